"""Two ways tried on the same questions: is the difference more than chance?

Pairing matters: both ways meet the same easy and the same hard questions, so only where they differ is there anything to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np

__all__ = ["Interval", "bootstrap", "mcnemar"]


class Interval(NamedTuple):
    """A mean difference, and the interval that holds it in 95 of 100 resamples."""

    mean: float
    low: float
    high: float


def bootstrap(differences: Sequence[float] | np.ndarray, *, resamples: int = 2000, seed: int = 1) -> Interval:
    """The percentile bootstrap over paired differences (Efron & Tibshirani 1993, chapter 13); all zero where there is none."""
    apart = np.asarray(differences, dtype=float)
    if not len(apart):
        return Interval(0.0, 0.0, 0.0)
    chance = np.random.default_rng(seed)
    means = apart[chance.integers(0, len(apart), (resamples, len(apart)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(apart.mean()), float(low), float(high))


def mcnemar(only_a: int, only_b: int) -> float:
    """The two-sided p-value of McNemar's exact test: of the questions that one way alone had right, is half each likely?

    Args:
        only_a, only_b: how many questions the one had right and the other wrong, and the other way round.
    """
    apart = only_a + only_b
    tail = sum(comb(apart, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2**apart)
