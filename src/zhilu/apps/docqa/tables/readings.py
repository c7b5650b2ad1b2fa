"""What a question may mean by a table, from its own words alone: nothing that it does not name is ever looked up.

A reading names a column that the question names, and all the cells that it names. So "the fare to Ystad" cannot become the fare to
another place, and a question about a column that no table has has no reading at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zhilu.apps.docqa.tables.found import DocTable, TableRow, number_in
from zhilu.messages import T
from zhilu.text.terms import content_terms, terms

__all__ = ["MOST_READINGS", "Reading", "readings_of"]

Want = Literal["cells", "max", "min", "sum", "mean", "count"]
MOST_READINGS = 8  # a question that may mean more than this says too little
_MOST_CELLS = 12
_SHARE = 0.6  # of a header's words that a question must name

_CUES: tuple[tuple[Want, re.Pattern[str], tuple[str, ...]], ...] = (
    ("max", re.compile(r"\b(?:highest|most|largest|biggest|greatest|longest|maximum|tallest|busiest)\b"),
     ("最高", "最多", "最大", "最长", "最重", "最贵", "最远")),
    ("min", re.compile(r"\b(?:lowest|least|smallest|shortest|minimum|fewest|cheapest)\b"),
     ("最低", "最少", "最小", "最短", "最轻", "最便宜", "最近")),
    ("sum", re.compile(r"\b(?:total|sum|altogether|combined|in all)\b"), ("总共", "一共", "合计", "总和", "总计", "共计", "总")),
    ("mean", re.compile(r"\b(?:average|mean)\b"), ("平均",)),
    ("count", re.compile(r"\b(?:how many|number of)\b|(?:多少|几)[个种条间类项行款家所门]"), ()),
)  # fmt: skip
_PRICE = re.compile(r"\b(?:cheapest|expensive|costs?|prices?|fares?|fees?)\b|贵|便宜|价|费|多少钱")
_COMPARED = (
    (">=", re.compile(r"(?:at least|no less than|不少于|不低于|至少|≥|>=)\s*(-?\d[\d,]{0,15}(?:\.\d{1,6})?)")),
    ("<=", re.compile(r"(?:at most|no more than|up to|不超过|不多于|至多|最多|≤|<=)\s*(-?\d[\d,]{0,15}(?:\.\d{1,6})?)")),
    (">", re.compile(r"(?:(?<!no )more than|over|above|greater than|longer than|超过|大于|高于|多于|>)\s*(-?\d[\d,]{0,15}(?:\.\d{1,6})?)")),
    ("<", re.compile(r"(?:(?<!no )less than|under|below|fewer than|shorter than|小于|低于|少于|不到|不足|<)\s*(-?\d[\d,]{0,15}(?:\.\d{1,6})?)")),
)  # fmt: skip
_EXPLAINED = 0.6
_ASKS_ELSE = re.compile(r"\b(?:who|whose|whom|why)\b|谁|为什么|为何")
_SAID_BY_CUES = frozenset(
    terms(
        "many much highest most largest biggest longest lowest least smallest shortest cheapest fewest expensive cost total average number all"
    )
    + list("最高多大长重贵远低少小短轻便宜近总共一合计和平均各分别")
)
_TAIL = re.compile("(?<=.)(?:数量|数|量|额|月份|时间|日期)$")  # what a Chinese header says more than a question does
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


@dataclass(frozen=True)
class Reading:
    """``column`` None: the rows themselves are counted. ``rows``: those that the named cells leave."""

    table: DocTable
    want: Want
    column: int | None
    rows: tuple[TableRow, ...]
    named: tuple[str, ...] = ()

    def said(self) -> T:
        """What it looks up, in words."""
        column = self.table.columns[self.column] if self.column is not None else ""
        of = ", ".join(self.named) or self.table.doc_name
        return {
            "cells": T(f"the {column} of {of}", f"{of} 的{column}"),
            "max": T(f"which has the highest {column}", f"{column}最高的是哪一个"),
            "min": T(f"which has the lowest {column}", f"{column}最低的是哪一个"),
            "sum": T(f"the {column} added up", f"{column}的总和"),
            "mean": T(f"the average {column}", f"{column}的平均值"),
            "count": T(f"how many rows there are ({of})", f"有多少行（{of}）"),
        }[self.want]

    def result(self) -> tuple[str, tuple[TableRow, ...]]:
        """The value as it is shown, and the rows it rests on."""
        if self.want == "count":
            return str(len(self.rows)), self.rows
        assert self.column is not None
        if self.want == "cells":
            return "; ".join(row.cells[self.column] for row in self.rows[:_MOST_CELLS]), self.rows[:_MOST_CELLS]
        valued = [(value, row) for row in self.rows if (value := number_in(row.cells[self.column])) is not None]
        values = [value for value, _ in valued]
        if self.want in ("max", "min"):
            best = max(values) if self.want == "max" else min(values)
            rows = tuple(row for value, row in valued if value == best)
            return rows[0].cells[self.column], rows
        total = sum(values) / (len(values) if self.want == "mean" else 1)
        return f"{round(total, 2):,.10g}", tuple(row for _, row in valued)


def readings_of(question: str, tables: Sequence[DocTable]) -> list[Reading]:
    """Every reading of ``question``, those alike given once; none where the tables are not what it is about."""
    question = unicodedata.normalize("NFKC", question).lower()
    made: list[Reading] = []
    for table in tables:
        made += _of_table(question, table)
        if len(made) > MOST_READINGS:
            return []
    most = max((len(r.named) for r in made), default=0)
    made = [r for r in made if len(r.named) == most and _explains(question, r)]
    return [r for r in made if _is_titled(question, r.table)] or made


def _is_titled(question: str, table: DocTable) -> bool:
    """Whether the question names the document or the part of it in which the table stands."""
    stem = table.doc_name.rpartition("/")[2].rpartition(".")[0]
    titles = [unicodedata.normalize("NFKC", title).lower().strip() for title in (stem, table.heading)]
    return any(len(title) > 1 and _place(title, question) >= 0 for title in titles)


def _explains(question: str, reading: Reading) -> bool:
    """Whether the table, its title and the cells named say most of what the question is about, and it asks for such a thing."""
    if reading.want == "cells" and _ASKS_ELSE.search(question) and reading.table.is_numeric(reading.column or 0):
        return False
    table = reading.table
    known = " ".join([*table.columns, *reading.named, table.heading, table.doc_name.rpartition(".")[0]])
    explained = set(terms(known)) | _SAID_BY_CUES
    for _, pattern in _COMPARED:
        question = pattern.sub(" ", question)
    asked = [t for t in content_terms(question) if not (len(t) > 1 and _HAN.match(t))]
    return sum(t in explained for t in asked) >= _EXPLAINED * len(asked)


def _of_table(question: str, table: DocTable) -> list[Reading]:
    named = _named_cells(question, table)
    hit = [c for c in range(len(table.columns)) if _is_named(question, table.columns[c], table.is_numeric(c))]
    cued = [want for want, en, zh in _CUES if en.search(question) or any(cue in question for cue in zh)]
    compared, rest = _comparisons(question)
    numeric = [c for c in hit if table.is_numeric(c)]
    rows = [r for r in table.rows if all(any(_cell(r, c) == v for v in vs) for c, vs in named.items())]
    if compared:
        if len(numeric) != 1:
            return []
        rows = [r for r in rows if _holds(number_in(r.cells[numeric[0]]), compared)]
        cued = [want for want, en, zh in _CUES if en.search(rest) or any(cue in rest for cue in zh)]
    names = tuple(value for values in named.values() for value in values)
    if not rows or not (hit or named):
        return []
    made = [want for want in cued if want != "count"]
    found = [Reading(table, want, c, tuple(rows), names) for want in made for c in numeric]
    if made:
        return found
    if "count" in cued and (named or table.label in hit) and len(rows) != 1:
        found.append(Reading(table, "count", None, tuple(rows), names))
    if compared and not found:
        found.append(Reading(table, "cells", table.label, tuple(rows), names))
    if named:
        found += [
            Reading(table, "cells", c, tuple(rows), names) for c in hit if c not in named and len(rows) <= _MOST_CELLS
        ]
    return found


def _cell(row: TableRow, column: int) -> str:
    return unicodedata.normalize("NFKC", row.cells[column]).lower()


def _named_cells(question: str, table: DocTable) -> dict[int, list[str]]:
    """The cells that the question names, by column; a name that is part of a longer one does not count."""
    spans: list[tuple[int, int, int, str]] = []
    seen: set[str] = set()
    for column in range(len(table.columns)):
        for row in table.rows:
            value = _cell(row, column)
            if len(value) < 2 or value in seen or number_in(value) is not None:
                continue
            at = _place(value, question)
            if at >= 0:
                seen.add(value)
                spans.append((at, at + len(value), column, value))
    longest = [s for s in spans if not any(o[0] <= s[0] and s[1] <= o[1] and o != s for o in spans)]
    found: dict[int, list[str]] = {}
    for _, _, column, value in longest:
        found.setdefault(column, []).append(value)
    return found


def _place(value: str, question: str) -> int:
    """Where ``value`` stands in the question as words of its own, else -1."""
    at = question.find(value)
    while at >= 0:
        before, after = question[at - 1 : at], question[at + len(value) : at + len(value) + 1]
        if not (_joins(before, value[0]) or _joins(value[-1], after)):
            return at
        at = question.find(value, at + 1)
    return -1


def _joins(a: str, b: str) -> bool:
    """Whether two characters belong to one word. Chinese is written without spaces."""
    return bool(a and b) and a.isalnum() and b.isalnum() and not _HAN.match(a) and not _HAN.match(b)


def _is_named(question: str, header: str, is_numeric: bool) -> bool:
    header = unicodedata.normalize("NFKC", header).lower()
    bare = re.sub(r"[(\[][^()\[\]]{0,40}[)\]]", " ", header)  # a unit is no name
    words = [t for t in (content_terms(bare) or terms(bare)) if not (len(t) == 1 and _HAN.match(t))]
    if _HAN.search(bare):
        core = _TAIL.sub("", bare.strip())
        if (len(core) > 1 and core in question) or re.search(f"(?:多少|几){re.escape(core)}", question):
            return True
    if not words:
        return bool(bare.strip()) and bare.strip() in question
    asked = set(terms(question))
    if sum(word in asked for word in words) >= _SHARE * len(words):
        return True
    same_script = bool(_HAN.search(question)) == bool(_HAN.search(bare))
    return is_numeric and same_script and bool(_PRICE.search(question)) and bool(_PRICE.search(bare))


def _comparisons(question: str) -> tuple[list[tuple[str, float]], str]:
    """What a number is held against, and the question without it."""
    found: list[tuple[str, float]] = []
    for sign, pattern in _COMPARED:
        found += [(sign, float(match[1].replace(",", ""))) for match in pattern.finditer(question)]
        question = pattern.sub(" ", question)
    return found, question


def _holds(value: float | None, compared: Sequence[tuple[str, float]]) -> bool:
    if value is None:
        return False
    holds = {">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b}
    return all(holds[sign](value, bound) for sign, bound in compared)
