"""Whether the numbers of a text come from somewhere: each must stand in one of its sources, as it is or rounded.

A small model that read ``96.50`` writes ``95.60``, and one that has two prices before it adds them in its head. Both are found
here without understanding either text: a number that stands in no source is ``unfounded``.

What counts as the same number: thousands separators, full-width digits, trailing zeros, 万 and 亿; rounded to the digits that are
said; a share as a percentage and the other way round; numbers written as words up to twelve; how many lines a source has (three
orders that were listed are "3 orders"). Signs and units are not compared. What is not seen: the right number of the wrong thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

__all__ = ["Known", "numbers_in", "unfounded", "words_in"]

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?")
_MARK = re.compile(r"^[ \t]{0,12}(?:[-*#][ \t]{1,4})?\d{1,2}[.)、](?=\D)", re.MULTILINE)  # of a list
_TIMES = {"万": 10_000.0, "亿": 100_000_000.0, "千": 1000.0, "百": 100.0}
_NAMES = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty
"""
_TENS = {"half": 0.5, "dozen": 12.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "ninety": 90.0}
_WORDS = {word: float(value) for value, word in enumerate(_NAMES.split())} | _TENS
_WORD = re.compile(r"[a-z]+")
_HAN = re.compile(r"[零一二两三四五六七八九十百半]+")
_COUNTED = re.compile(
    r"([二三四五六七八九十百]{1,5})(?=[本天元人个张把台次年周岁条只件项位名倍份间排箱瓶]|小时|分钟|公里)"
)
_FEW = 2.0
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"两": 2}
_SMALL = 12.0  # arithmetic and queries have numbers of their own: a limit, the months of a year
_OWN = frozenset((24.0, 30.0, 52.0, 60.0, 100.0, 360.0, 365.0, 1000.0, 3600.0))


@dataclass(frozen=True)
class _Number:
    shown: str
    value: float
    digits: int  # behind the point, as it is said
    is_share: bool = False  # a percentage


def words_in(text: str) -> Iterator[_Number]:
    """Numbers above two as words, where they count something: "three", 三本. Idioms and verse are full of others."""
    plain = unicodedata.normalize("NFKC", text)
    for match in _WORD.finditer(plain.lower()):
        if (value := _WORDS.get(match.group(), 0.0)) > _FEW:
            yield _Number(match.group(), value, 0)
    for match in _COUNTED.finditer(plain):
        if (counted := _of_han(match.group(1))) is not None and counted > _FEW:
            yield _Number(match.group(1), counted, 0)


def numbers_in(text: str) -> Iterator[_Number]:
    """The numbers of a text in figures, without the marks of lists."""
    plain = _MARK.sub(" ", unicodedata.normalize("NFKC", text))
    for match in _NUMBER.finditer(plain):
        figures = match.group().replace(",", "")
        value = float(figures)
        behind = _sign_behind(plain, match.end())
        digits = len(figures.partition(".")[2])
        if behind in _TIMES:
            yield _Number(match.group() + behind, value * _TIMES[behind], digits - 2)
        else:
            yield _Number(match.group(), value, digits, behind == "%")


def _sign_behind(text: str, at: int) -> str:
    return text[at : at + 2].lstrip(" ")[:1]


class Known:
    """The numbers that sources hold."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._values: set[float] = set()
        for source in sources:
            self._read(source)

    def _read(self, source: str) -> None:
        plain = unicodedata.normalize("NFKC", source)
        for match in _NUMBER.finditer(plain):
            self._values.add(float(match.group().replace(",", "")))
            self._values.update(float(part) for part in match.group().split(","))  # [12,345] is a list as well
            behind = _sign_behind(plain, match.end())
            factor = 0.01 if behind == "%" else _TIMES.get(behind, 1.0)
            self._values.add(round(float(match.group().replace(",", "")) * factor, 12))
        self._values.update(_WORDS[word] for word in _WORD.findall(plain.lower()) if word in _WORDS)
        self._values.update(value for run in _HAN.findall(plain) if (value := _of_han(run)) is not None)
        lines = sum(bool(line.strip()) for line in plain.splitlines())
        self._values.update((float(lines), float(max(lines - 1, 0))))  # with or without a header

    def has(self, number: _Number) -> bool:
        close = 10.0 ** -(max(number.digits, 0) + 3)
        scales = (1.0, 100.0) if number.is_share else (1.0,)
        return any(
            abs(known * scale - number.value) < close or abs(round(known * scale, number.digits) - number.value) < close
            for known in self._values
            for scale in scales
        )

    def can_be_worked_with(self, number: _Number) -> bool:
        """For an argument: also a factor (19 percent more is 1.19, 85 折 is 0.85) and what calculations have of their own."""
        value = number.value
        if (value <= _SMALL and value == int(value)) or value in _OWN or self.has(number):
            return True
        factors = (value * 100, value * 10, (value - 1) * 100, (1 - value) * 100)
        return any(abs(known - factor) < 1e-9 for known in self._values for factor in factors)


def unfounded(text: str, sources: Iterable[str], *, is_argument: bool = False) -> list[str]:
    """The numbers of ``text`` that stand in none of ``sources``, as they are written, each once."""
    known = Known(sources)
    right = known.can_be_worked_with if is_argument else known.has
    said = numbers_in(text) if is_argument else chain(numbers_in(text), words_in(text))
    return list(dict.fromkeys(number.shown for number in said if not right(number)))


def _of_han(run: str) -> float | None:
    """Up to 999; None for what is no number (一一)."""
    if run == "半":
        return 0.5
    total = current = 0
    for sign in run:
        if sign in _DIGITS:
            if current:
                return None
            current = _DIGITS[sign]
        elif sign in "十百":
            total += (current or 1) * (10 if sign == "十" else 100)
            current = 0
        else:
            return None
    return float(total + current)
