"""Tables as Markdown rows, and the formats that are nothing else: CSV, spreadsheets, JSON.

A long table is written in blocks with the header above each: a passage is read on its own, and a row without its header says little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

__all__ = ["table_blocks"]

_BLOCK_CHARS = 900  # about a passage
_CELL_CHARS = 4_000


def table_blocks(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The rows, of which the first is the header, as Markdown tables of about a passage each. Empty rows are left out."""
    header, length = "", 0
    block: list[str] = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        line = "| " + " | ".join(_cell(cell) for cell in row) + " |"
        if not header:
            header = line + "\n|" + " --- |" * len(row)
            continue
        if block and length + len(line) > max(_BLOCK_CHARS, 2 * len(header)):
            yield "\n".join([header, *block])
            block, length = [], 0
        block.append(line)
        length += len(line)
    if block or header:
        yield "\n".join([header, *block])


def _cell(text: str) -> str:
    return " ".join(text[:_CELL_CHARS].split()).replace("|", "\\|")
