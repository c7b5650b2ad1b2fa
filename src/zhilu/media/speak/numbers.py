"""Numbers, times and signs in English words. Chinese ones are read by cn2an."""

from __future__ import annotations

import re

__all__ = ["in_words"]

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_SIGNS = {"%": " percent", "&": " and ", "+": " plus ", "=": " equals ", "@": " at ", "°": " degrees "}
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_SHORT = {
    "mr": "mister",
    "mrs": "missus",
    "ms": "miss",
    "dr": "doctor",
    "st": "saint",
    "vs": "versus",
    "etc": "et cetera",
}


def in_words(text: str) -> str:
    """``text`` with every number, time, amount and common short form spelled out."""
    text = re.sub(r"\b(mr|mrs|ms|dr|st|vs|etc)\.", lambda found: _SHORT[found[1].lower()], text, flags=re.IGNORECASE)
    text = re.sub(r"\b(\d{1,2}):(\d{2})\b", _time, text)
    text = re.sub(r"([$€£])\s?(\d[\d,]*(?:\.\d+)?)", _amount, text)
    text = re.sub(r"\b(\d+)(st|nd|rd|th)\b", lambda found: _ordinal(int(found[1])), text)
    text = re.sub(r"-?\d[\d,]*(?:\.\d+)?", _number, text)
    return re.sub(r"[%&+=@°]", lambda found: _SIGNS[found[0]], text)


def _cardinal(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        rest = number % 10
        return _TENS[number // 10] + (f" {_ONES[rest]}" if rest else "")
    for size, name in _SCALES:
        if number >= size:
            rest = number % size
            return f"{_cardinal(number // size)} {name}" + (f" {_cardinal(rest)}" if rest else "")
    raise AssertionError("every number of a hundred and more has a scale")


def _ordinal(number: int) -> str:
    *before, last = _cardinal(number).split()
    ending = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*before, ending])


def _number(found: re.Match[str]) -> str:
    text = found[0].replace(",", "")
    before = found.string[: found.start()]
    sign = ""
    if text.startswith("-"):
        sign, text = (" " if before[-1:].isalnum() else "minus "), text[1:]
    whole, _, decimals = text.partition(".")
    if len(whole) > 12 or (len(whole) > 1 and whole.startswith("0")):
        said = _digits(whole)
    elif len(whole) == 4 and "1100" <= whole <= "2099" and not decimals and "," not in found[0]:
        said = _year(int(whole))
    else:
        said = _cardinal(int(whole))
    after = found.string[found.end() : found.end() + 1]
    return sign + said + (f" point {_digits(decimals)}" if decimals else "") + (" " if after.isalpha() else "")


def _year(number: int) -> str:
    first, second = divmod(number, 100)
    if (first == 20 and second < 10) or (second == 0 and first % 10 == 0):
        return _cardinal(number)
    if second == 0:
        return f"{_cardinal(first)} hundred"
    return f"{_cardinal(first)} {'oh ' if second < 10 else ''}{_cardinal(second)}"


def _digits(text: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in text)


def _time(found: re.Match[str]) -> str:
    hours, minutes = int(found[1]), int(found[2])
    if hours > 24 or minutes > 59:
        return f"{_cardinal(hours)} to {_cardinal(minutes)}"
    said = "o'clock" if minutes == 0 else (f"oh {_ONES[minutes]}" if minutes < 10 else _cardinal(minutes))
    return f"{_cardinal(hours)} {said}"


_UNITS = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")}


def _amount(found: re.Match[str]) -> str:
    whole, _, part = found[2].replace(",", "").partition(".")
    unit, small = _UNITS[found[1]]
    said = f"{_cardinal(int(whole))} {unit}{'' if int(whole) == 1 else 's'}"
    if len(part) == 2 and int(part):
        said += f" {_cardinal(int(part))} {'pence' if small == 'penny' else 'cents'}"
    return said
