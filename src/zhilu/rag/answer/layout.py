"""What of a passage says something: sentences and table rows. Headings, titles and header rows name things and say nothing.

A row of a table means little by itself ("| FH-102 | 1 kg | 17.20 |"): it is read with the words of its header, both by the
model, which takes a wrong column or row otherwise, and by the one who checks it.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from zhilu.prompts import language_of
from zhilu.text.sentences import sentences

__all__ = ["Cell", "Statement", "plain", "readable", "statements", "title_set"]

_ROW = re.compile(r"^[ \t]*\|.*\|[ \t]*$")
_RULE = re.compile(r"^[ \t]*\|(?:[ \t]*:?-{2,}:?[ \t]*\|)+[ \t]*$")
_BAR = re.compile(r"(?<!\\)[|｜]")
_CELL_NUMBER = re.compile(r"(?<!\\)[|｜][ \t]*[€£$¥]?\d")  # in a column behind the first
_MARKED = re.compile(r"^[ \t]*(?:#{1,6}[ \t]|\*\*[^*]+\*\*[ \t]*$|(?:={3,}|-{3,})[ \t]*$)")
_BULLET = re.compile(r"^[ \t]*(?:[-*+>•·]|\d{1,3}[.)、．]|[（(]\d{1,3}[）)])[ \t]*")
_ENDS = re.compile(r"[。！？；.!?;:：…”\"'）)]$")
_SHORT = 44  # columns; a heading is short


@dataclass(frozen=True)
class Cell:
    """One cell of a row: its place in the passage, the header over it and what stands in it."""

    start: int
    end: int
    header: str
    text: str


@dataclass(frozen=True)
class Statement:
    """``passage[start:end]``, and ``said``: how it reads by itself. ``cells`` of a table row, the first one names the row."""

    start: int
    end: int
    said: str
    cells: tuple[Cell, ...] = ()


def title_set(*titles: str) -> frozenset[str]:
    """Names and heading paths in the form that lines of a passage are compared in."""
    parts = [part for title in titles for part in (title, *title.split(" › "), title.rsplit(".", 1)[0])]
    return frozenset(folded for part in parts if (folded := _fold(part)))


def statements(text: str, titles: Collection[str] = ()) -> list[Statement]:
    """Everything that a passage says, in order; ``titles`` (see ``title_set``) are left out wherever they stand alone."""
    rows = {row.start: row for row in _rows(text)}
    spans = {(at, stop) for at, stop, _ in _table_lines(text)}
    found = []
    for start, end in sentences(text):
        if start in rows:
            found.append(rows[start])
        elif not any(a <= start < b for a, b in spans) and not _is_heading(text, start, end, titles):
            found.append(Statement(start, end, plain(text[start:end])))
    return found


def readable(text: str) -> str:
    """A passage as a model is given it: each row of a table is told with its header's words."""
    out, at = [], 0
    rows = {row.start: row for row in _rows(text)}
    for start, stop, is_row in _table_lines(text):
        out.append(text[at:start])
        row = rows.get(start + len(text[start:stop]) - len(text[start:stop].lstrip()))
        if is_row and row is not None:
            out.append(f"- {row.said}")
        at = stop if is_row else min(stop + 1, len(text))  # a header row goes with its line
    out.append(text[at:])
    return "".join(out)


def plain(text: str) -> str:
    """On one line, without the marks of Markdown tables and lists."""
    text = re.sub(r"^(?:[|>#*+-]+|\d+[.)]) | ?\|$|\*\*", "", " ".join(text.split()))
    return re.sub(r"(?:(?<! ) +)?\| *", " · ", text)  # a run of blanks is looked at once, where it begins


def _table_lines(text: str) -> Iterator[tuple[int, int, bool]]:
    """``(start, end, is a row)`` of the lines of tables; False: a header row, or the rule beneath it.

    Markdown's, and those of plain text: lines one below the other with the same number of bars, and at least two.
    """
    lines, at = [], 0
    for line in text.split("\n"):
        lines.append((at, at + len(line), line))
        at += len(line) + 1
    bars = [0 if _ROW.match(line) else len(_BAR.findall(line)) for _, _, line in lines]
    for i, (start, end, line) in enumerate(lines):
        below = lines[i + 1][2] if i + 1 < len(lines) else ""
        if _ROW.match(line):
            yield start, end, not (_RULE.match(below) or _RULE.match(line))
        elif bars[i] >= 2 and bars[i] in (bars[i - 1] if i else 0, bars[i + 1] if i + 1 < len(bars) else 0):
            begins = i == 0 or bars[i - 1] != bars[i]
            yield start, end, not (begins and not _CELL_NUMBER.search(line) and bool(_CELL_NUMBER.search(below)))


def _rows(text: str) -> Iterator[Statement]:
    header: list[str] = []
    before = -2
    for start, end, is_row in _table_lines(text):
        if start != before + 1:
            header = []  # another table, or one whose header stands in an earlier passage
        before = end
        line = text[start:end]
        if not is_row:
            header = header if _RULE.match(line) else [plain(c[2]) for c in _cut(line, start)]
            continue
        cells = tuple(
            Cell(a, b, header[i] if i < len(header) else "", plain(cell))
            for i, (a, b, cell) in enumerate(_cut(line, start))
        )
        left = start + len(line) - len(line.lstrip())
        yield Statement(left, left + len(line.strip()), _told(cells), cells)


def _cut(line: str, start: int) -> Iterator[tuple[int, int, str]]:
    """``(start, end, text)`` of the cells of a row."""
    bars = [m.start() for m in _BAR.finditer(line)]
    if not _ROW.match(line):  # no bars at its edges
        bars = [-1, *bars, len(line)]
    for a, b in itertools.pairwise(bars):
        cell = line[a + 1 : b]
        left = a + 1 + len(cell) - len(cell.lstrip())
        yield start + left, start + max(left, a + 1 + len(cell.rstrip())), cell.strip()


def _told(cells: tuple[Cell, ...]) -> str:
    """ "Night Shift" under "Coffee" and "17.20" under "Price": "FH-102: Coffee Night Shift, Price 17.20"."""
    filled = [cell for cell in cells if cell.text]
    if not any(cell.header for cell in filled):
        return " · ".join(cell.text for cell in filled)
    is_zh = language_of(" ".join(f"{c.header}{c.text}" for c in filled)) == "zh"
    first, *others = filled
    told = [f"{c.header} {c.text}".strip() for c in others]
    return first.text + ("：" if is_zh else ": ") + ("，" if is_zh else ", ").join(told) if told else first.text


def _is_heading(text: str, start: int, end: int, titles: Collection[str]) -> bool:
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    if text[line_start:start].strip() or text[end:line_end].strip():
        return False  # not a line by itself
    line = text[line_start:line_end]
    if _MARKED.match(line) or _fold(line) in titles:
        return True
    following = text[line_end + 1 :]
    if re.match(r"[ \t]*(?:={3,}|-{3,})[ \t]*(?:\n|$)", following):
        return True
    stands_apart = line_start == 0 or text[:line_start].endswith(("\n\n", "\n\r\n"))
    width = sum(2 if c >= "\u2e80" else 1 for c in line.strip())
    numbered = re.match(r"^\s*(?:第?[一二三四五六七八九十百\d]+[章节条、．.])", line)
    bare = _BULLET.sub("", line).strip() if numbered else line.strip()
    return (
        stands_apart
        and width <= _SHORT
        and bool(following.strip())
        and not _ENDS.search(bare)
        and not re.search(r"\d|[，,:：]", bare.split("、", 1)[-1] if numbered else bare)
        and (bool(numbered) or not _BULLET.match(line))
    )


def _fold(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
