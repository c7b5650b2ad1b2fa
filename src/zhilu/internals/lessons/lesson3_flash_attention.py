"""6.3 FlashAttention: exact attention, one tile at a time, forward and backward.

Read from top to bottom. ``exact`` is what has to come out. ``forward`` is FlashAttention-2's algorithm 1 (arXiv 2307.08691) with
the online softmax of Milakov and Gimelshein (1805.02867); ``backward`` is its algorithm 2. On a GPU the tiles live in the fast
memory of a core; here they are NumPy arrays that are small and soon forgotten, and that is measured.

Shapes: q, k, v, out ``(heads, n, head_dim)``; one row of statistics ``(heads, n)``. All float32.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zhilu.engine.observe import attention_weights, scale_of

__all__ = ["backward", "exact", "forward"]

Array = npt.NDArray[np.float32]


def exact(q: Array, k: Array, v: Array) -> Array:
    """Attention as the engine's observer computes it, with the whole ``(heads, n, n)`` matrix in memory."""
    weights = attention_weights(q.transpose(1, 0, 2), k.transpose(1, 0, 2))
    return np.asarray(weights @ v)


def forward(q: Array, k: Array, v: Array, block: int = 64) -> tuple[Array, Array]:
    """Attention without the matrix.

    Returns:
        The output, and for every row the logarithm of the sum of its exponentials: one number is all that ``backward``
        needs to make any tile's weights again.
    """
    heads, n, _ = q.shape
    out, lse = np.empty_like(v), np.empty((heads, n), np.float32)
    for start in range(0, n, block):
        rows = np.arange(start, min(start + block, n))
        top = np.full((heads, len(rows), 1), -np.inf, np.float32)  # the largest score so far
        total = np.zeros_like(top)  # of exp(score - top) so far
        collected = np.zeros((heads, len(rows), v.shape[-1]), np.float32)
        for first in range(0, int(rows[-1]) + 1, block):  # tiles that lie wholly in the future are not computed
            columns = np.arange(first, min(first + block, n))
            scores = _scores(q, k, rows, columns)
            new_top = np.maximum(top, scores.max(axis=-1, keepdims=True))
            shrink = np.exp(top - new_top)  # what came before was relative to the old maximum
            weights = np.exp(scores - new_top)
            total = total * shrink + weights.sum(axis=-1, keepdims=True)
            collected = collected * shrink + weights @ v[:, columns]
            top = new_top
        out[:, rows] = collected / total
        lse[:, rows] = (top + np.log(total))[..., 0]
    return out, lse


def backward(
    q: Array, k: Array, v: Array, out: Array, lse: Array, d_out: Array, block: int = 64
) -> tuple[Array, Array, Array]:
    """The gradients of q, k and v for the gradient ``d_out`` of the output; tiles are computed anew, none was kept."""
    n, scale = q.shape[1], scale_of(q.shape[-1])
    d_q, d_k, d_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    # Softmax's gradient needs sum(weights * d_weights) of each row. It equals sum(out * d_out), which needs no matrix.
    delta = (out * d_out).sum(axis=-1, keepdims=True)
    for first in range(0, n, block):
        columns = np.arange(first, min(first + block, n))
        for start in range(first, n, block):
            rows = np.arange(start, min(start + block, n))
            weights = np.exp(_scores(q, k, rows, columns) - lse[:, rows, None])
            d_v[:, columns] += weights.transpose(0, 2, 1) @ d_out[:, rows]
            d_weights = d_out[:, rows] @ v[:, columns].transpose(0, 2, 1)
            d_scores = weights * (d_weights - delta[:, rows]) * scale
            d_q[:, rows] += d_scores @ k[:, columns]
            d_k[:, columns] += d_scores.transpose(0, 2, 1) @ q[:, rows]
    return d_q, d_k, d_v


def _scores(q: Array, k: Array, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Array:
    """One tile of the scaled scores; a token sees itself and what stands before it."""
    scores = (q[:, rows] @ k[:, columns].transpose(0, 2, 1)) * scale_of(q.shape[-1])
    return np.where(rows[:, None] >= columns[None, :], scores, np.float32(-np.inf))
