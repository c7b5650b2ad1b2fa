"""Answers compared by their words: F1 as SQuAD defines it, and Chinese by characters as CMRC does."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

__all__ = ["own_words", "token_f1"]

_ARTICLES = frozenset({"a", "an", "the"})
_UNIT = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:[.,:]\d+)*")
_CITED = re.compile(r"(?<!\s)\s*\[\d+(?:\s*,\s*\d+)*\]")
_QUOTED = re.compile(r"(?<!\s)\s*—\s*“[^”“]*”")


def token_f1(given: str, known: str) -> float:
    """Harmonic mean of precision and recall over words (Chinese: characters), 0 to 1. Rajpurkar et al. 2016; Cui et al. 2019."""
    mine, theirs = Counter(_units(given)), Counter(_units(known))
    both = sum((mine & theirs).values())
    if not both:
        return 0.0
    precision, recall = both / sum(mine.values()), both / sum(theirs.values())
    return 2 * precision * recall / (precision + recall)


def own_words(answer: str) -> str:
    """An answer without its citation marks and the sentence quoted beneath it."""
    return _CITED.sub("", _QUOTED.sub("", answer)).strip()


def _units(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'s", "")
    return [u for u in _UNIT.findall(folded) if u not in _ARTICLES]
