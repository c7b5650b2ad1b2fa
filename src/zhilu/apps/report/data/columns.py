"""Rows of text into typed columns: what is a number, what a day, what a name, and what the table's head is.

A column is a number when four of five cells are one: ``1,234.50``, ``12 %`` (kept as 12), ``€ 5``. Cells that are none then become
NULL and are counted: they are said, never silent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["Columns", "typed"]

MAX_COLUMNS = 200
_SHARE = 0.8  # of the cells that are filled must be numbers, or days
_HALF = 0.4  # from here on it may have been meant as one: said
_NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:[,，]\d{3})+|\d+)(?:\.\d+)?")
_SIGNS = " €$£¥￥%％元"  # around a number
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]00:00(?::00)?)?")
_CODE = re.compile(r"0\d+")  # a leading zero belongs to a code or a telephone number


@dataclass
class Columns:
    """A table ready to be stored. ``notes``: what was changed or lost, for the person who brought it."""

    names: list[str]
    kinds: list[str]  # NUMERIC, DATE or TEXT
    rows: list[list[Any]]
    notes: list[T] = field(default_factory=list)


def typed(rows: Sequence[Sequence[str]], where: str) -> Columns:
    """Rows, the first of which is the head, as typed columns.

    Raises:
        InputError: there is no head with rows beneath it, or there are too many columns.
    """
    filled = [list(row) for row in rows if any(cell.strip() for cell in row)]
    if len(filled) < 2:
        raise InputError(
            T(f"{where!r} has no row beneath its head.", f"{where!r} 在表头下面没有任何一行。"),
            param="file",
            fix="zhilu report add FILE.csv",
        )
    width = max(len(row) for row in filled[:1000])
    if width > MAX_COLUMNS:
        raise InputError(
            T(
                f"{where!r} has {width} columns; at most {MAX_COLUMNS}.",
                f"{where!r} 有 {width} 列，最多 {MAX_COLUMNS} 列。",
            ),
            param="file",
        )
    # A title stands above many tables: the head is the first row that is nearly full.
    head = next((i for i, r in enumerate(filled[:10]) if sum(bool(c.strip()) for c in r) > width / 2), 0)
    body = [[*row[:width], *[""] * (width - len(row))] for row in filled[head + 1 :]]
    table = Columns(_names(filled[head], width), [], [])
    cut = sum(any(c.strip() for c in row[width:]) for row in filled[head + 1 :])
    if cut:
        table.notes.append(
            T(f"{cut} rows are longer than the head: the rest was left out", f"{cut} 行比表头长，多出的部分已舍去")
        )
    columns = [_column([row[i].strip() for row in body], name, table) for i, name in enumerate(table.names)]
    table.rows = [list(row) for row in zip(*columns, strict=True)]
    return table


def _names(head: Sequence[str], width: int) -> list[str]:
    names: list[str] = []
    for index in range(width):
        given = head[index].strip() if index < len(head) else ""
        name = re.sub(r"\s+", " ", given)[:60] or f"column_{index + 1}"
        stem, number = name, 2
        while name.lower() in {n.lower() for n in names}:
            name, number = f"{stem}_{number}", number + 1
        names.append(name)
    return names


def _column(cells: list[str], name: str, table: Columns) -> list[Any]:
    filled = [c for c in cells if c]
    for kind, read in (("NUMERIC", _number), ("DATE", _day)):
        good = sum(read(c) is not None for c in filled)
        if filled and good >= _SHARE * len(filled):
            table.kinds.append(kind)
            lost = next((c for c in filled if read(c) is None), None)
            if lost is not None:
                table.notes.append(
                    T(
                        f"{name}: {len(filled) - good} cells such as {lost[:30]!r} fit no {kind.lower()} and are empty now",
                        f"{name}：{len(filled) - good} 个单元格（如 {lost[:30]!r}）不是{'数字' if kind == 'NUMERIC' else '日期'}，已置空",
                    )
                )
            return [read(c) if c else None for c in cells]
    if filled and sum(_number(c) is not None for c in filled) >= _HALF * len(filled):
        odd = next(c for c in filled if _number(c) is None)
        table.notes.append(
            T(
                f"{name}: stays text, for cells such as {odd[:30]!r} are no numbers: it cannot be summed",
                f"{name}：因为有 {odd[:30]!r} 这样不是数字的单元格，按文本保存，不能求和",
            )
        )
    table.kinds.append("TEXT")
    return [c or None for c in cells]


def _number(cell: str) -> int | float | None:
    plain = cell.strip(_SIGNS)
    if not _NUMBER.fullmatch(plain) or _CODE.fullmatch(plain):
        return None
    value = float(re.sub("[,，]", "", plain).replace("−", "-"))
    return int(value) if value.is_integer() and "." not in plain and abs(value) < 2**53 else value


def _day(cell: str) -> str | None:
    found = _DAY.fullmatch(cell)
    if not found:
        return None
    year, month, day = (int(part) for part in found.groups())
    return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None
