"""BM25 over pieces that fit in memory (Robertson & Zaragoza 2009, k1 1.2, b 0.75): which of them a question is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log1p

from zhilu.text.terms import query_terms, stem, terms

__all__ = ["ranked"]

_K1, _B = 1.2, 0.75


def ranked(question: str, pieces: Sequence[str]) -> list[tuple[int, float]]:
    """``(place, score)`` of the pieces that share a term with the question, the best first."""
    bags = [Counter(terms(piece)) for piece in pieces]
    mean = sum(bag.total() for bag in bags) / max(len(bags), 1) or 1.0
    wanted = {stem(term) for term in query_terms(question)}
    held = {term: sum(term in bag for bag in bags) for term in wanted}
    rarity = {term: log1p((len(bags) - n + 0.5) / (n + 0.5)) for term, n in held.items() if n}
    found = []
    for place, bag in enumerate(bags):
        norm = _K1 * (1 - _B + _B * bag.total() / mean)
        score = sum(r * bag[term] * (_K1 + 1) / (bag[term] + norm) for term, r in rarity.items() if bag[term])
        if score:
            found.append((place, score))
    return sorted(found, key=lambda one: -one[1])
