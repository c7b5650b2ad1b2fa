"""6.7.2 Speculative decoding: a small model guesses ahead, the large one judges all guesses in one pass.

Read from top to bottom. ``accept`` is the heart (Leviathan et al., arXiv 2211.17192, algorithm 1): guesses are kept or thrown away so
that what comes out is distributed exactly as the large model alone would write. ``generate`` repeats: guess, judge, keep.
``expected_tokens`` and ``speed_up`` say what it is worth.

A model is a function from ids to probabilities ``(len(ids), vocabulary)``: row i is what it expects after token i. Greedy writing is the
same thing with all of the probability on one token (``one_hot``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Model", "Run", "accept", "expected_tokens", "generate", "one_hot", "speed_up"]

Array = npt.NDArray[np.float64]
Model = Callable[[Sequence[int]], Array]


def one_hot(probabilities: Array) -> Array:
    """All on the likeliest token of each row."""
    sure = np.zeros_like(probabilities)
    sure[np.arange(len(sure)), probabilities.argmax(axis=-1)] = 1
    return sure


def accept(guesses: Sequence[int], draft: Array, target: Array, rng: np.random.Generator) -> list[int]:
    """The tokens that are written: the accepted guesses, and one more of the target's own.

    Args:
        guesses: ``k`` tokens that were drawn from ``draft``.
        draft: ``(k, vocabulary)``, what the small model gave each place.
        target: ``(k + 1, vocabulary)``, what the large one gives the same places, and the place after them.
    """
    written: list[int] = []
    for place, token in enumerate(guesses):
        p, q = target[place], draft[place]
        if rng.random() < p[token] / q[token]:  # what the target likes at least as much is always kept
            written.append(token)
            continue
        # Thrown away. The target's own token comes from what the draft gave too little of: together with what was kept this is
        # min(p, q) + max(p - q, 0) = p.
        rest = np.maximum(p - q, 0)
        written.append(int(rng.choice(len(rest), p=rest / rest.sum())))
        return written
    written.append(int(rng.choice(target.shape[-1], p=target[-1])))  # all were right: one more for nothing
    return written


@dataclass
class Run:
    """``ids`` that were written, and for each pass of the target how many guesses it kept."""

    ids: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    guesses: int = 0  # for each pass

    @property
    def acceptance(self) -> float:
        """Share of judged guesses that were kept; those behind a wrong one were never judged."""
        judged = sum(min(kept + 1, self.guesses) for kept in self.kept)
        return sum(self.kept) / max(1, judged)

    @property
    def tokens_per_pass(self) -> float:
        return len(self.ids) / max(1, len(self.kept))


def generate(
    target: Model, draft: Model, ids: Sequence[int], count: int, *, guesses: int, rng: np.random.Generator
) -> Run:
    """At least ``count`` tokens behind ``ids``; whole passes, so there may be a few more."""
    run = Run(guesses=guesses)
    while len(run.ids) < count:
        text = [*ids, *run.ids]
        guessed, likely = list[int](), []
        for _ in range(guesses):
            row = draft([*text, *guessed])[-1]
            likely.append(row)
            guessed.append(int(rng.choice(len(row), p=row)))
        judged = target([*text, *guessed])[len(text) - 1 :]  # one pass for all places
        written = accept(guessed, np.array(likely), judged, rng)
        run.ids += written
        run.kept.append(len(written) - 1)
    return run


def expected_tokens(acceptance: float, guesses: int) -> float:
    """Tokens that one pass of the target gives, if each guess is kept with the same chance (equation 1)."""
    if acceptance >= 1:
        return guesses + 1.0
    return float((1 - acceptance ** (guesses + 1)) / (1 - acceptance))


def speed_up(acceptance: float, guesses: int, cost: float) -> float:
    """``cost``: a pass of the draft over one of the target (theorem 3.8). Below one it is a loss."""
    return expected_tokens(acceptance, guesses) / (guesses * cost + 1)
