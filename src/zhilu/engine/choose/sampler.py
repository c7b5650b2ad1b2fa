"""From one row of logits to one token.

Plain NumPy, one row at a time. Each sequence has its own random generator, so a seeded request draws the same numbers whatever
else is in its batch. The order of the filters is vLLM's: bias and penalties, temperature, min-p, top-k, top-p.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zhilu.engine.choose.sampling import SamplingParams

__all__ = [
    "SampledToken",
    "candidates",
    "draw_from_all",
    "log_softmax",
    "make_generator",
    "penalize",
    "report",
    "sample",
]

# Dividing by less overflows; vLLM draws the same line (``_SAMPLING_EPS``).
_GREEDY_BELOW = 1e-5

Row = npt.NDArray[np.float32]  # (vocab_size,)


class SampledToken(NamedTuple):
    id: int
    logprob: float | None = None
    top: Sequence[tuple[int, float]] = ()  # (token id, logprob), likeliest first
    rank: int | None = None  # 1 for the likeliest


def make_generator(seed: int | None, index: int) -> np.random.Generator:
    """The random source of the ``index``-th choice of a request; ``seed=None`` takes entropy from the system."""
    if seed is None:
        return np.random.default_rng()
    return np.random.default_rng([seed & (2**64 - 1), index])


def sample(
    logits: Row,
    params: SamplingParams,
    generator: np.random.Generator,
    prompt_ids: Collection[int],
    counts: Mapping[int, int],
    forbidden: Collection[int] = (),
    allowed: npt.NDArray[np.bool_] | None = None,
    likeliest: int | None = None,
) -> SampledToken:
    """Choose the next token. Pure but for ``generator``: several positions of a draft can be verified one by one.

    Args:
        logits: ``(vocab_size,)`` float32 as the model made them; left unchanged.
        prompt_ids: tokens of the prompt (for the repetition penalty).
        counts: how often each token was generated so far.
        forbidden: tokens that must not come yet (the end, before ``min_tokens``).
        allowed: ``(vocab_size,)``, the tokens that fit the sequence's grammar; at least one is true. Where all of them
            are forbidden as well, the grammar wins: there is no other way on.
        likeliest: ``logits.argmax()``, from a caller who knows it.
    """
    row = penalize(logits, params, prompt_ids, counts)
    mask = _mask(len(row), params, forbidden, allowed)
    if mask is not None:
        row = np.where(mask, row, np.float32(-np.inf))
    if params.temperature < _GREEDY_BELOW:
        chosen = int(row.argmax()) if row is not logits or likeliest is None else likeliest
    elif not params.top_k and params.top_p >= 1 and params.min_p <= 0:
        chosen = draw_from_all(row, params.temperature, generator.random())
    else:
        ids, probabilities = candidates(row, params)
        # Inverse of the cumulative distribution; the clip guards against a rounded sum just below the draw.
        cumulative = probabilities.cumsum()
        position = int(cumulative.searchsorted(generator.random() * cumulative[-1], side="right"))
        chosen = int(ids[min(position, len(ids) - 1)])
    return _with_logprobs(logits, chosen, params.num_top_logprobs, params.logprob_token_ids)


def draw_from_all(row: Row, temperature: float, uniform: float, width: int = 256) -> int:
    """The token at ``uniform`` (0 to 1) of the cumulative distribution, without any filter.

    The plain case is the common one, and every sequence of a batch pays for it in each step. So it is counted in single
    precision, and the place is looked up in two levels instead of summing the whole vocabulary up.
    """
    with np.errstate(over="ignore"):  # far below the likeliest is zero either way
        weights = np.exp((row - row.max()) * np.float32(1 / temperature))
    blocks = np.add.reduceat(weights, np.arange(0, len(weights), width), dtype=np.float64).cumsum()
    block = _place(blocks, uniform * blocks[-1])
    before = blocks[block - 1] if block else 0.0
    inside = weights[block * width : (block + 1) * width].cumsum(dtype=np.float64)
    return block * width + _place(inside, uniform * blocks[-1] - before)


def _place(cumulative: npt.NDArray[np.float64], target: float) -> int:
    """The first entry above ``target``; where rounding has put it past the sum, the last entry that has any weight."""
    last = int(cumulative.searchsorted(cumulative[-1]))
    return min(int(cumulative.searchsorted(target, side="right")), last)


def _mask(
    size: int, params: SamplingParams, forbidden: Collection[int], allowed: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    """The tokens that may be drawn; ``None`` for all. Each wish is dropped where it would leave nothing."""
    mask = allowed
    for ids, keeps in ((params.allowed_token_ids, True), (forbidden, False)):
        if ids:
            own = np.full(size, not keeps)
            own[list(ids)] = keeps
            both = own if mask is None else mask & own
            mask = both if both.any() else mask
    return mask


def penalize(logits: Row, params: SamplingParams, prompt_ids: Collection[int], counts: Mapping[int, int]) -> Row:
    """Logit bias and the three penalties. Returns ``logits`` itself where there is nothing to do."""
    p = params
    additive = bool(counts) and (p.presence_penalty != 0 or p.frequency_penalty != 0)
    if not (p.logit_bias or p.repetition_penalty != 1 or additive):
        return logits
    row = logits.copy()
    if p.logit_bias:
        row[list(p.logit_bias)] += np.array(list(p.logit_bias.values()), dtype=np.float32)
    if p.repetition_penalty != 1:
        seen = np.array(list({*prompt_ids, *counts}), dtype=np.int64)
        row[seen] = np.where(row[seen] > 0, row[seen] / p.repetition_penalty, row[seen] * p.repetition_penalty)
    if additive:
        ids = np.array(list(counts), dtype=np.int64)
        times = np.array(list(counts.values()), dtype=np.float32)
        row[ids] -= p.presence_penalty + p.frequency_penalty * times
    return row


def candidates(row: Row, params: SamplingParams) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The tokens that may be drawn and their probabilities (not normalised), after temperature, min-p, top-k, top-p."""
    scaled = row.astype(np.float64) / params.temperature
    scaled -= scaled.max()
    weights = np.exp(scaled)
    keep = weights >= params.min_p  # the likeliest weighs 1, so min-p is a plain threshold
    if 0 < params.top_k < len(row):
        # Ties at the boundary stay in, as in vLLM: which of two equals goes would depend on the sort.
        keep &= weights >= np.partition(weights, -params.top_k)[-params.top_k]
    ids = np.flatnonzero(keep & (weights > 0))
    weights = weights[ids]
    if params.top_p < 1:
        order = _nucleus(weights, params.top_p)
        ids, weights = ids[order], weights[order]
    return ids, weights


def _nucleus(weights: npt.NDArray[np.float64], top_p: float, guess: int = 256) -> npt.NDArray[np.int64]:
    """Indices of the smallest set with ``top_p`` of the mass, likeliest first.

    Sorting a vocabulary of 150,000 costs milliseconds and the set is mostly small: sort the top few first, and all of
    them only if those do not reach the mass.
    """
    needed = top_p * weights.sum()
    order = np.arange(len(weights))
    if len(weights) > guess:
        top = np.argpartition(weights, -guess)[-guess:]
        if weights[top].sum() >= needed:
            order = top
    order = order[np.argsort(-weights[order], kind="stable")]
    # A token stays as long as the mass before it falls short; the first always stays.
    before = weights[order].cumsum() - weights[order]
    return order[(before < needed) | (np.arange(len(order)) == 0)]


def report(rows: npt.NDArray[np.float32], ids: Iterable[int], num_top: int) -> list[SampledToken]:
    """Log-probabilities of tokens that are given, not chosen (a prompt's): ``rows[i]`` are the logits before ``ids[i]``."""
    return [_with_logprobs(row, id, num_top) for row, id in zip(rows, ids, strict=True)]


def log_softmax(logits: Row) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - float(logits.max())
    return shifted - np.log(np.exp(shifted).sum())


def _with_logprobs(logits: Row, chosen: int, num_top: int | None, wanted: Collection[int] = ()) -> SampledToken:
    """``wanted``: report these, and the chosen one, instead of the ``num_top`` likeliest."""
    if num_top is None:
        return SampledToken(chosen)
    logprobs = log_softmax(logits)
    top: list[tuple[int, float]] = []
    if wanted:
        top = sorted(((id, float(logprobs[id])) for id in {*wanted, chosen}), key=lambda pair: -pair[1])
    elif num_top:
        best = np.argpartition(logprobs, -num_top)[-num_top:] if num_top < len(logprobs) else np.arange(len(logprobs))
        best = best[np.argsort(-logprobs[best], kind="stable")]
        top = [(int(id), float(logprobs[id])) for id in best]
    return SampledToken(chosen, float(logprobs[chosen]), top, int((logprobs > logprobs[chosen]).sum()) + 1)
