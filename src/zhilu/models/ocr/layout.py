"""Reading order: an engine's lines to rows, columns and paragraphs, by their boxes alone.

Parts of one row (the cells of a table) become one line with a tab between them. Two columns of running text are read one after
the other: a gutter counts as one only if most lines beside it are as wide as their column, which the cells of a table seldom are.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from zhilu.models.ocr.base import OcrLine

__all__ = ["Paragraph", "as_text", "in_reading_order", "paragraphs", "rows"]

_TERMINAL = "。！？；：.!?;:”\"'）)"


@dataclass(frozen=True)
class Paragraph:
    """Lines that were joined: ``text``, and each line's place in it (``spans``: start, end, line)."""

    text: str
    spans: tuple[tuple[int, int, OcrLine], ...]


def in_reading_order(lines: Sequence[OcrLine]) -> list[OcrLine]:
    return [part for row in _columns_then_rows(lines) for part in row]


def rows(lines: Sequence[OcrLine]) -> list[list[OcrLine]]:
    """Lines that stand side by side, each row from left to right, the rows from top to bottom."""
    found: list[list[OcrLine]] = []
    for line in sorted(lines, key=lambda x: x.box[1] + x.box[3]):
        if found and _same_row(found[-1], line):
            found[-1].append(line)
        else:
            found.append([line])
    return [sorted(row, key=lambda x: x.box[0]) for row in found]


def paragraphs(lines: Sequence[OcrLine]) -> list[Paragraph]:
    """Rows to paragraphs: a row goes on in the next one unless it ends short, a gap stands between, or it is a table's."""
    ordered = _columns_then_rows(lines)
    if not ordered:
        return []
    heights = statistics.median(_height(row) for row in ordered)
    left, right = min(r[0].box[0] for r in ordered), max(r[-1].box[2] for r in ordered)
    groups: list[list[list[OcrLine]]] = []
    for row in ordered:
        before = groups[-1][-1] if groups else None
        if before is not None and _goes_on(before, row, heights, right - left):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [_joined(group) for group in groups]


def as_text(lines: Sequence[OcrLine]) -> str:
    """A page as plain text, an empty line between paragraphs."""
    return "\n\n".join(p.text for p in paragraphs(lines))


def _columns_then_rows(lines: Sequence[OcrLine]) -> list[list[OcrLine]]:
    gutter = _gutter(lines)
    if gutter is None:
        return rows(lines)
    # what crosses the gutter (a title) ends the columns above it and begins those below
    found: list[list[OcrLine]] = []
    block: list[OcrLine] = []
    for row in rows(lines):
        if any(line.box[0] < gutter < line.box[2] for line in row):
            found += [*_two_columns(block, gutter), row]
            block = []
        else:
            block += row
    return found + _two_columns(block, gutter)


def _two_columns(block: Sequence[OcrLine], gutter: float) -> list[list[OcrLine]]:
    return rows([x for x in block if x.box[2] <= gutter]) + rows([x for x in block if x.box[2] > gutter])


def _gutter(lines: Sequence[OcrLine]) -> float | None:
    """Where two columns of text part, as a share of the width; None: there is one column."""
    if len(lines) < 8:
        return None
    for at in (x / 100 for x in range(35, 66)):
        crossing = [x for x in lines if x.box[0] < at < x.box[2]]
        left, right = [x for x in lines if x.box[2] <= at], [x for x in lines if x.box[0] >= at]
        if len(crossing) <= 0.15 * len(lines) and min(len(left), len(right)) >= 4 and _full(left) and _full(right):
            return at
    return None


def _full(side: Sequence[OcrLine]) -> bool:
    width = max(x.box[2] for x in side) - min(x.box[0] for x in side)
    return width > 0.3 and statistics.median(x.box[2] - x.box[0] for x in side) > 0.7 * width


def _same_row(row: Sequence[OcrLine], line: OcrLine) -> bool:
    last = row[-1]
    overlap = min(last.box[3], line.box[3]) - max(last.box[1], line.box[1])
    return overlap > 0.5 * min(_height([last]), _height([line]))


def _height(row: Sequence[OcrLine]) -> float:
    return max(x.box[3] - x.box[1] for x in row)


def _goes_on(before: Sequence[OcrLine], row: Sequence[OcrLine], height: float, width: float) -> bool:
    if len(before) > 1 or len(row) > 1:
        return False
    last, line = before[0], row[0]
    gap = line.box[1] - last.box[3]
    is_full = last.box[2] - last.box[0] > 0.8 * width
    alike = 0.7 < _height(row) / max(_height(before), 1e-6) < 1.4
    is_end = last.text[-1:] in _TERMINAL and last.box[2] - last.box[0] < 0.9 * width
    return alike and is_full and not is_end and -height < gap < 0.9 * height and abs(line.box[0] - last.box[0]) < 0.1


def _joined(group: Sequence[Sequence[OcrLine]]) -> Paragraph:
    text = ""
    spans: list[tuple[int, int, OcrLine]] = []
    for row in group:
        for place, line in enumerate(row):
            text += "\t" if place else _between(text, line.text)
            spans.append((len(text), len(text) + len(line.text), line))
            text += line.text
    return Paragraph(text, tuple(spans))


def _between(left: str, right: str) -> str:
    if not left or not right or (_is_wide(left[-1]) and _is_wide(right[0])):
        return ""
    return " "


def _is_wide(character: str) -> bool:
    return "\u2e80" <= character <= "\uffef"
