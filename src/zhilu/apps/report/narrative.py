"""Sentences about a result, each judged: a number must stand in the result, in the row of whom the sentence speaks.

A model that tells what a table says changes figures, exchanges two rows, or works out a share and is wrong. So every sentence is
held against the result, and one that cannot be proven is left out and shown as left out. What may stand in a sentence:

- a cell, also rounded to fewer digits; of the rows named in the sentence where it names any;
- the number of rows; the sum, the mean, the least and the greatest of a column; the difference of two cells of a column;
- a number or a year of the question.

Words that are figures (half, twice, 一半, 三倍) are never provable here, and money is of the kind that the
table or the question names. A superlative must be true of the row it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from pydantic import BaseModel

from zhilu.apps.report.sql import QueryResult
from zhilu.jobs.base import Text
from zhilu.messages import T

__all__ = ["ToldSentence", "judge", "plain_sentences", "split_sentences"]

_NUMBER = re.compile(r"(?<![\w.,-])[-−]?\d{1,3}(?:[,，]\d{3})+(?:\.\d+)?|(?<![A-Za-z_.\d])[-−]?\d+(?:\.\d+)?")
_WORD_FIGURE = re.compile(
    r"\b(?:half|halves|twice|thrice|double[ds]?|triple[ds]?|quarters?|thirds?|dozens?|hundreds?|thousands?|millions?"
    r"|majority|(?:two|three|four|five|six|seven|eight|nine|ten)[ -](?:times|fold))\b"
    r"|[一两二三四五六七八九十几]倍|翻[一两]?番|一半|过半|半数|[一二三四五六七八九]成|[一二三四五六七八九十百]+分之",
    re.IGNORECASE,
)
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORDS = {word: number for number, word in enumerate(_NAMES)}
_COUNT_WORD = re.compile(r"\b(?:" + "|".join(w for w in _WORDS if w != "one") + r")\b", re.IGNORECASE)
_MOST = re.compile(
    r"\b(?:most|highest|largest|biggest|greatest|top|maximum|best)\b|最[高多大好贵]|第一名|排名第一|居首", re.IGNORECASE
)
_LEAST = re.compile(r"\b(?:least|lowest|smallest|fewest|minimum|worst)\b|最[低少小差]", re.IGNORECASE)
# Money of a kind: a small model puts a dollar sign before any price.
_MONEY = {
    "$": re.compile(r"[$]|\bUSD\b|dollars?|美元", re.IGNORECASE),
    "€": re.compile(r"€|EUR(?![a-z])|euros?|欧元", re.IGNORECASE),
    "£": re.compile(r"£|\bGBP\b|pounds?|英镑", re.IGNORECASE),
    "¥": re.compile(r"[¥￥]|\b(?:CNY|RMB|JPY)\b|yuan|(?<![美欧日])元|人民币", re.IGNORECASE),
}
_END = re.compile(r"(?<=[。！？])|(?<=[.!?])\s+|\n+")
_MAX_PAIRS = 60  # rows whose differences are looked at
_TRANSLATED = str.maketrans({",": "", "，": "", "−": "-"})


class ToldSentence(BaseModel):
    """``is_kept`` false: it was left out; ``why`` then says what could not be proven."""

    text: str
    is_kept: bool
    why: Text | None = None


def split_sentences(text: str) -> list[str]:
    return [s.strip(" -*#•") for s in _END.split(text) if s.strip(" -*#•")]


def judge(text: str, result: QueryResult, question: str) -> list[ToldSentence]:
    """Every sentence of ``text`` with its judgement."""
    return [_judged(sentence, result, question) for sentence in split_sentences(text)]


def _judged(sentence: str, result: QueryResult, question: str) -> ToldSentence:
    why = _wrong(sentence, result, question)
    return ToldSentence(text=sentence, is_kept=why is None, why=why)


def _wrong(sentence: str, result: QueryResult, question: str) -> T | None:
    if found := _WORD_FIGURE.search(sentence):
        word = found.group()
        return T(f"{word!r} is a figure that the result does not hold", f"“{word}”是结果里没有的数量")
    known = " ".join((question, *result.columns, *(str(c) for row in result.rows[:50] for c in row)))
    for money, said in _MONEY.items():
        if said.search(sentence) and not said.search(known):
            return T(f"the result does not say that it is {money}", f"结果没有说明单位是 {money}")
    named = _named_rows(sentence, result)
    bare = _without_labels(sentence, result)
    allowed = set(_allowed(result, named)) | {n for _, n, _ in _numbers(question)}
    for shown, number, digits in _numbers(bare):
        if not any(_same(number, a, digits) for a in allowed):
            return T(f"{shown} does not stand in the result", f"结果里没有 {shown}")
    return _wrong_superlative(sentence, result, named)


def _numbers(text: str) -> Iterator[tuple[str, float, int]]:
    """The figures of a text: as written, their value, their digits behind the point."""
    for match in _NUMBER.finditer(text):
        plain = match.group().translate(_TRANSLATED)
        yield match.group(), float(plain), len(plain.partition(".")[2])
    for match in _COUNT_WORD.finditer(text):
        yield match.group(), float(_WORDS[match.group().lower()]), 0


def _same(said: float, true: float, digits: int) -> bool:
    """Equal when the true value is rounded to the digits that were said; a whole number may stand for one with a fraction."""
    return abs(said - round(true, digits)) < 10.0 ** -(digits + 3) or said == true


def _labels(result: QueryResult) -> dict[str, set[int]]:
    """Texts of the result that can name a row, and the rows they name."""
    found: dict[str, set[int]] = {}
    for index, row in enumerate(result.rows):
        for cell in row:
            if isinstance(cell, str) and len(cell.strip()) > 1:
                found.setdefault(cell.strip(), set()).add(index)
    return found


def _without_labels(sentence: str, result: QueryResult) -> str:
    """Names such as ``2025-03`` or ``Line 4`` hold digits that are no figures."""
    for label in sorted(_labels(result), key=len, reverse=True):
        sentence = _naming(label).sub(" ", sentence)
    return sentence


def _naming(label: str) -> re.Pattern[str]:
    """Where a label stands as a name: "west" is not named by "lowest"."""
    before = r"(?<![A-Za-z0-9])" if label[:1].isascii() else ""
    after = r"(?![A-Za-z0-9])" if label[-1:].isascii() else ""
    return re.compile(before + re.escape(label) + after, re.IGNORECASE)


def _named_rows(sentence: str, result: QueryResult) -> list[int]:
    """Rows whose label stands in the sentence, in the order of their naming; empty: it speaks of all."""
    found = {label: match.start() for label in _labels(result) if (match := _naming(label).search(sentence))}
    labels = {label: rows for label, rows in _labels(result).items() if label in found}
    # "North" inside "North mill" names the mill alone.
    longest = [a for a in labels if not any(a != b and a.lower() in b.lower() for b in labels)]
    ordered = sorted(longest, key=lambda label: found[label])
    sets = [labels[label] for label in ordered]
    if len(sets) > 1 and (both := set.intersection(*sets)):
        return sorted(both)  # a row is named by two of its cells (a class and a term)
    return list(dict.fromkeys(row for rows in sets for row in sorted(rows)))


def _columns(result: QueryResult) -> Iterator[list[float]]:
    for index in range(len(result.columns)):
        values = [row[index] for row in result.rows if row[index] is not None]
        if values and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            yield [float(v) for v in values]


def _allowed(result: QueryResult, named: Sequence[int]) -> Iterator[float]:
    yield float(len(result.rows))
    if len(named) > 1:
        yield float(len(named))
    rows = [result.rows[i] for i in named] if named else result.rows
    for row in rows:
        yield from (float(c) for c in row if isinstance(c, (int, float)) and not isinstance(c, bool))
    for values in _columns(result):
        yield from (sum(values), sum(values) / len(values))
        if not named:
            yield from (min(values), max(values))
    if 2 <= len(rows) <= _MAX_PAIRS:
        for index in range(len(result.columns)):
            cells = [r[index] for r in rows if isinstance(r[index], (int, float))]
            yield from (abs(a - b) for a, b in combinations(cells, 2))


def _wrong_superlative(sentence: str, result: QueryResult, named: Sequence[int]) -> T | None:
    most, least = bool(_MOST.search(sentence)), bool(_LEAST.search(sentence))
    if most == least or not named or len(result.rows) < 2:
        return None
    first = result.rows[named[0]]
    for index in range(len(result.columns)):
        cells = [r[index] for r in result.rows if isinstance(r[index], (int, float))]
        if cells and isinstance(first[index], (int, float)) and first[index] == (max(cells) if most else min(cells)):
            return None
    return T("the row it names is not that one", "它说的那一行并不是这样")


def plain_sentences(result: QueryResult) -> list[str]:
    """What can always be said, for where no sentence of the model could be kept; in both languages' order (en, zh)."""
    number = len(result.rows)
    if number == 0:
        return ["No row fits the question.", "没有符合的行。"]
    if number == 1:
        pairs = [(c, _shown(v)) for c, v in zip(result.columns, result.rows[0], strict=True)]
        return ["; ".join(f"{c}: {v}" for c, v in pairs) + ".", "；".join(f"{c}：{v}" for c, v in pairs) + "。"]
    label = next((i for i, v in enumerate(result.rows[0]) if isinstance(v, str)), None)
    figure = next((i for i, v in enumerate(result.rows[0]) if isinstance(v, (int, float))), None)
    if label is None or figure is None:
        return [f"{number} rows.", f"共 {number} 行。"]
    top = result.rows[0]
    name, column = top[label], result.columns[figure]
    return [
        f"{number} rows; the first is {name} ({column}: {_shown(top[figure])}).",
        f"共 {number} 行，第一行是{name}（{column}：{_shown(top[figure])}）。",
    ]


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
