"""The tables of a text. Every loader writes a table as Markdown rows, so that they are found in one way whatever the format was.

A long table is written in blocks with its header above each (see ``zhilu.rag.load.tables``): they are one table here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["DocTable", "TableRow", "number_in", "tables_of"]

MOST_ROWS = 5_000  # of a document; a question to more is one for a database
_DIVIDER = re.compile(r"\|(?:[ \t]*:?-+:?[ \t]*\|)+")
_CELL = re.compile(r"(?<!\\)\|")
# A number with what people write around it: currency before, unit after.
_NUMBER = re.compile(r"(?P<before>[^\d.-]{0,4})(?P<number>-?\d[\d,]{0,20}(?:\.\d{1,9})?)(?P<after>[^\d]{0,12})")


@dataclass(frozen=True)
class TableRow:
    """``start`` and ``end``: where the row stands in the text, in code points."""

    cells: tuple[str, ...]
    start: int
    end: int


@dataclass
class DocTable:
    """``heading``: the last heading above it."""

    doc_id: str
    doc_name: str
    heading: str
    columns: tuple[str, ...]
    rows: list[TableRow] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.rows[0].start if self.rows else 0

    def is_numeric(self, column: int) -> bool:
        """Whether nearly all cells of a column are numbers."""
        cells = [row.cells[column] for row in self.rows if row.cells[column]]
        return bool(cells) and sum(number_in(cell) is not None for cell in cells) >= 0.8 * len(cells)

    @property
    def label(self) -> int:
        """The column that names a row: the first that holds words and no value twice, else the first that holds words."""
        words = [c for c in range(len(self.columns)) if not self.is_numeric(c)]
        for column in words:
            cells = [row.cells[column] for row in self.rows]
            if len(set(cells)) == len(cells):
                return column
        return words[0] if words else 0


def number_in(cell: str) -> float | None:
    """The number that a cell is: ``€1,200``, ``12 %``, ``7公里``; None where it is a text with a number in it, or a code (``007``)."""
    matched = _NUMBER.fullmatch(cell.strip())
    if matched is None:
        return None
    digits = matched["number"].replace(",", "")
    if re.fullmatch(r"-?0\d+", digits) or any(c.isalnum() for c in matched["before"]):
        return None
    return float(digits)


def tables_of(doc_id: str, doc_name: str, text: str, headings: Sequence[tuple[int, str]] = ()) -> list[DocTable]:
    """The tables of a text; ``headings``: where each begins and its title, in order."""
    found: list[DocTable] = []
    starts = [start for start, _ in headings]
    left = MOST_ROWS
    for header, rows in _blocks(text):
        if left <= 0:
            break
        above = bisect_right(starts, header.start)
        heading = headings[above - 1][1] if above else ""
        last = found[-1] if found else None
        if last is None or last.columns != header.cells or last.heading != heading:
            last = DocTable(doc_id, doc_name, heading, header.cells)
            found.append(last)
        width = len(header.cells)
        for row in rows[:left]:
            cells = (*row.cells[:width], *[""] * (width - len(row.cells)))
            last.rows.append(TableRow(cells, row.start, row.end))
        left -= len(rows)
    return [table for table in found if table.rows and len(table.columns) > 1]


def _blocks(text: str) -> Iterator[tuple[TableRow, list[TableRow]]]:
    """Runs of lines that are rows: the header and the rows below it, without the line that divides them."""
    run: list[TableRow] = []
    at = 0
    for line in [*text.splitlines(keepends=True), ""]:
        bare = line.strip()
        if len(bare) > 2 and bare.startswith("|") and bare.endswith("|"):
            if not _DIVIDER.fullmatch(bare):
                start = at + len(line) - len(line.lstrip())
                cells = tuple(cell.strip().replace("\\|", "|") for cell in _CELL.split(bare)[1:-1])
                run.append(TableRow(cells, start, start + len(bare)))
        elif run:
            if len(run) > 1:
                yield run[0], run[1:]
            run = []
        at += len(line)
