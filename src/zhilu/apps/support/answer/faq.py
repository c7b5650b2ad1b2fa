"""Which canned answer a question means: the words that it shares with their questions, and how near it is in meaning.

The score of an entry is the mean of its two nearest questions, the nearest twice: one question that happens to be near is worth
less than an entry that is near as a whole. Cosines weigh 0.9 and words 0.1, measured on 84 ways to ask for 14 entries and 48
questions for none of them (``benchmarks/support_faq.py``), which is also where ``LIMITS`` come from: ``sure`` lies above all but
one of the strangers, ``possible`` above most, and those the model has to confirm.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zhilu.apps.support.answer.meaning import Meanings
from zhilu.apps.support.desks import FaqEntry
from zhilu.client import ModelClient
from zhilu.prompts import language_of
from zhilu.text.terms import content_terms

__all__ = ["LIMITS", "Candidate", "match"]

_BY_MEANING = 0.9
_CLAUSE_END = re.compile(r"[,.;:!?\n，。；：！？、]")
_APART = 0.05  # the best must lead the second by this much
# (sure, possible) by embedder and language; "": words alone.
LIMITS: dict[str, dict[str, tuple[float, float]]] = {
    "e5-small": {"en": (0.60, 0.38), "zh": (0.48, 0.32)},
    "default": {"en": (0.55, 0.30), "zh": (0.35, 0.14)},
    "": {"en": (0.50, 0.20), "zh": (0.36, 0.12)},
}


@dataclass(frozen=True)
class Candidate:
    """An entry and how near it is; ``sure``: it is what was asked, and answers at once."""

    entry: FaqEntry
    score: float
    sure: bool


async def match(
    question: str, entries: Sequence[FaqEntry], client: ModelClient | None, meanings: Meanings
) -> list[Candidate]:
    """The entries that come into question, the nearest first; of these at most the first is sure. Without ``client`` words
    alone decide.

    A question may stand behind a greeting or a story, so the clauses of a message are looked at beside the whole: one sure hit is
    enough, unless another part surely asks for another entry.
    """
    asked = [(place, text) for place, entry in enumerate(entries) for text in entry.questions]
    if not asked or not question.strip():
        return []
    texts = [text for _, text in asked]
    pieces = [question, *_clauses(question)]
    vectors = None
    if client is not None:
        ours, theirs = await meanings.of(client, pieces, "query"), await meanings.of(client, texts, "query")
        if ours is not None and theirs is not None and ours.embedder == theirs.embedder:
            vectors = ours, theirs
    sure, possible = LIMITS[vectors[0].embedder if vectors is not None else ""][language_of(question)]
    best: dict[int, float] = {}
    surely: list[int] = []  # the entries that a piece surely asks for
    for number, piece in enumerate(pieces):
        scores = _by_words(piece, texts)
        if vectors is not None:
            near = vectors[1].rows @ vectors[0].rows[number]
            scores = _BY_MEANING * near + (1 - _BY_MEANING) * scores
        same = _plain(piece)
        scores = np.where([_plain(text) == same for text in texts], 1.0, scores)
        of: dict[int, list[float]] = {}
        for (place, _), score in zip(asked, scores.tolist(), strict=True):
            of.setdefault(place, []).append(score)
        ranked = sorted(((_together(each), place) for place, each in of.items()), reverse=True)
        for score, place in ranked:
            best[place] = max(best.get(place, score), score)
        if ranked[0][0] >= sure and ranked[0][0] - (ranked[1][0] if len(ranked) > 1 else 0.0) >= _APART:
            surely.append(ranked[0][1])
    meant = surely[0] if len(set(surely)) == 1 else None
    order = sorted(best, key=lambda place: (place != meant, -best[place], place))
    return [
        Candidate(entries[place], round(best[place], 3), place == meant) for place in order if best[place] >= possible
    ]


def _clauses(question: str) -> list[str]:
    """The parts of a longer message, at most four; none where it is one part."""
    parts = [part for text in _CLAUSE_END.split(question[:1000]) if len(part := text.strip()) >= 3]
    return parts[:4] if len(parts) > 1 else []


def _together(scores: list[float]) -> float:
    first, *rest = sorted(scores, reverse=True)
    return first if first >= 1.0 or not rest else (2 * first + rest[0]) / 3


def _by_words(question: str, texts: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Twice what both share over what they are together, each word weighing what it tells apart (as in BM25)."""
    bags = [set(content_terms(text)) for text in texts]
    held = Counter(term for bag in bags for term in bag)

    def weight(terms: set[str]) -> float:
        return sum(math.log1p((len(bags) - held[t] + 0.5) / (held[t] + 0.5)) for t in terms)

    ours = set(content_terms(question))
    if not ours:
        return np.zeros(len(bags))
    own = weight(ours)
    return np.array([2 * weight(ours & bag) / (own + weight(bag)) if bag else 0.0 for bag in bags])


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isalnum())
