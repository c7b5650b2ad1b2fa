"""6.7.6 Scaling laws: how much better a larger model or more text will be, from runs that one can afford.

Read from top to bottom. ``fit`` finds L(N, D) = E + A / N^α + B / D^β (Chinchilla, arXiv 2203.15556, equation 2) for runs of N
parameters on D tokens: for given powers the other three are a plain least-squares fit, so only the two powers are searched.
``predict`` asks the law, ``best_size`` what to do with a budget, ``spread`` how much of it to believe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Law", "Run", "best_size", "fit", "parameters", "predict", "spread"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    parameters: float  # without embeddings
    tokens: float
    loss: float


@dataclass(frozen=True)
class Law:
    """``floor`` is what no size and no text takes away."""

    floor: float
    a: float
    alpha: float
    b: float
    beta: float


def parameters(hidden: int, layers: int, inner: int, heads: int, kv_heads: int, head_dim: int) -> int:
    """Of the blocks, which is what the papers count: attention, feed-forward, norms."""
    attention = hidden * head_dim * (2 * heads + 2 * kv_heads) + 2 * head_dim
    return layers * (attention + 3 * hidden * inner + 2 * hidden)


def fit(runs: Sequence[Run], powers: Array | None = None) -> Law:
    """The law with the smallest squared error of the loss among all powers on a grid, refined twice."""
    grid = np.linspace(0.05, 1.5, 30) if powers is None else powers
    best, law = np.inf, None
    alphas = betas = grid
    for _ in range(3):
        for alpha in alphas:
            for beta in betas:
                error, found = _given(runs, float(alpha), float(beta))
                if error < best:
                    best, law = error, found
        assert law is not None  # some of three numbers that are not negative always fit best
        step = (alphas[1] - alphas[0]) if len(alphas) > 1 else 0.0
        alphas = np.linspace(max(0.01, law.alpha - step), law.alpha + step, 21)
        step = (betas[1] - betas[0]) if len(betas) > 1 else 0.0
        betas = np.linspace(max(0.01, law.beta - step), law.beta + step, 21)
    assert law is not None
    return law


def _given(runs: Sequence[Run], alpha: float, beta: float) -> tuple[float, Law]:
    """The best floor, a and b for these powers; none may be negative: what would be is left out."""
    sizes, tokens, losses = (
        np.array([getattr(run, name) for run in runs]) for name in ("parameters", "tokens", "loss")
    )
    columns = np.stack([np.ones(len(runs)), sizes**-alpha, tokens**-beta], axis=1)
    weight = np.abs(columns).max(axis=0)
    used = [0, 1, 2]
    while True:
        found, *_ = np.linalg.lstsq(columns[:, used] / weight[used], losses, rcond=None)
        if (found >= 0).all() or len(used) == 1:
            break
        used = [place for place, value in zip(used, found, strict=True) if value >= 0] or [0]
    whole = np.zeros(3)
    whole[used] = found / weight[used]
    error = float(((columns @ whole - losses) ** 2).sum())
    return error, Law(float(whole[0]), float(whole[1]), alpha, float(whole[2]), beta)


def predict(law: Law, parameters: float, tokens: float) -> float:
    return float(law.floor + law.a * parameters**-law.alpha + law.b * tokens**-law.beta)


def best_size(law: Law, budget: float) -> float:
    """Parameters for so many operations, which are about 6 · parameters · tokens (equation 4)."""
    ratio = (law.alpha * law.a / (law.beta * law.b)) ** (1 / (law.alpha + law.beta))
    return float(ratio * (budget / 6) ** (law.beta / (law.alpha + law.beta)))


def spread(runs: Sequence[Run], times: int, seed: int = 0) -> tuple[Array, Array]:
    """Powers α and β of laws that were fitted to the same runs drawn anew with replacement (bootstrap): how sure one can be."""
    rng = np.random.default_rng(seed)
    laws = list[Law]()
    while len(laws) < times:
        drawn = [runs[number] for number in rng.integers(len(runs), size=len(runs))]
        if len({run.parameters for run in drawn}) > 2 and len({run.tokens for run in drawn}) > 2:
            laws.append(fit(drawn, np.linspace(0.05, 1.5, 15)))
    return np.array([law.alpha for law in laws]), np.array([law.beta for law in laws])
