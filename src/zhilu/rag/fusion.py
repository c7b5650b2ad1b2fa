"""Two ranked lists into one: min-max normalised scores, weighted by what each list is worth for the language.

Reciprocal-rank fusion counts a bad list as much as a good one: with an English embedder it takes Chinese recall@5 from
0.996 to 0.748. Here the dense list weighs ``weight`` and the lexical one ``1 - weight``, and ``dense_weight`` is 0 where
the embedder does not know the language. Figures: ``benchmarks/retrieval.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["dense_weight", "fuse"]

# Best or within 0.002 of it on the question sets of benchmarks/retrieval.py.
DENSE_WEIGHT = 0.5


def dense_weight(lang: str, languages: Collection[str]) -> float:
    """The dense list's share for a question in ``lang``, with an embedder measured good in ``languages``."""
    return DENSE_WEIGHT if lang in languages else 0.0


def fuse(lexical: Mapping[int, float], dense: Mapping[int, float], weight: float) -> list[tuple[int, float]]:
    """``(id, score)`` best first; scores 0 to 1. An id absent from a list counts as that list's lowest."""
    a, b = _min_max(lexical), _min_max(dense)
    if not a or not b:  # one list found nothing: the other one decides alone
        weight = 0.0 if a else 1.0
    scores = {i: (1 - weight) * a.get(i, 0.0) + weight * b.get(i, 0.0) for i in {*a, *b}}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _min_max(scores: Mapping[int, float]) -> dict[int, float]:
    """Scaled to 0..1; a list whose scores are all alike says the same of each of its members: 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    return {i: (s - low) / (high - low) if high > low else 1.0 for i, s in scores.items()}
