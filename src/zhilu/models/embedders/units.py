"""Text to the units that zhilu-embed has vectors for: stemmed words, Chinese characters and pairs of them.

The weights in the package were trained on exactly these units, so this file changes only together with them
(``tests/unit/models/test_embed.py`` holds a digest). ``zhilu.text.terms`` cuts much alike, and may change freely.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from functools import lru_cache

__all__ = ["bucket_rows", "count_tokens", "is_chinese_unit", "is_mark", "units"]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")
_ACCENT = re.compile("[\u0300-\u036f]")
_PREFIX = 5  # letters; "normandy" and "normans" share one
_LONGEST_KEPT = 64  # characters of a word whose units are remembered: 65,536 of a megabyte each would fill the memory
_SEEDS = (0, 0x9E3779B9)


def units(text: str) -> list[str]:
    """The units of ``text``, as often as they occur; ``[""]`` where it holds none, so that every text has a vector.

    A word gives its stem, and one of more than five letters its first five, marked ``^``; a number gives itself and how
    many digits it has, marked ``#`` (1066 is like 1492: an answer to "when"); a run of Chinese gives its characters and
    pairs of neighbours. Case, accents and width make no difference.
    """
    found: list[str] = []
    for match in _RUN.finditer(_plain(text)):
        run = match.group()
        if is_chinese_unit(run):
            found += run
            found += [run[i : i + 2] for i in range(len(run) - 1)]
        else:
            found += _word_units(run) if len(run) <= _LONGEST_KEPT else _units_of(run)
    return found or [""]


def count_tokens(text: str) -> int:
    """Words and Chinese characters of ``text``: what a person would count, and what usage is measured in."""
    return sum(len(run) if is_chinese_unit(run) else 1 for run in _RUN.findall(_plain(text)))


def is_mark(unit: str) -> bool:
    """True of what stands beside a word in ``units`` and is no word of the text."""
    return unit[:1] in ("^", "#")


def is_chinese_unit(unit: str) -> bool:
    return "\u3400" <= unit[:1] <= "\u9fff" or "\uf900" <= unit[:1] <= "\ufaff"


def bucket_rows(unit: str, num_buckets: int) -> list[int]:
    """The buckets whose vectors a unit without a row of its own adds up (hash embeddings, Svenstrup et al. 2017).

    Two of 4,096 tell eight million units apart; one would mix thousands of names.
    """
    data = unit.encode()
    return [zlib.crc32(data, seed) % num_buckets for seed in _SEEDS]


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    return _ACCENT.sub("", unicodedata.normalize("NFKD", text)).lower()


def _units_of(word: str) -> tuple[str, ...]:
    stem = _stem(word)
    if len(stem) > _PREFIX and stem.isascii() and stem.isalpha():
        return stem, f"^{stem[:_PREFIX]}"
    if stem.isdecimal():
        return stem, f"#{len(stem)}"
    return (stem,)


_word_units = lru_cache(maxsize=65536)(_units_of)


def _stem(word: str) -> str:
    """Without plural, -ing, -ed, -ly and a last e: light, since a wrong stem joins what a vector should keep apart."""
    if len(word) <= 3 or not word.isascii():
        return word
    for suffix, put, least in (
        ("sses", "ss", 4),
        ("ies", "y", 5),
        ("ied", "y", 5),
        ("ss", "ss", 2),
        ("us", "us", 2),
        ("s", "", 4),
    ):
        if word.endswith(suffix) and len(word) >= least:
            word = word[: -len(suffix)] + put
            break
    for suffix in ("ing", "edly", "ed", "ly"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word
