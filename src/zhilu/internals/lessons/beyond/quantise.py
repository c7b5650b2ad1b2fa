"""6.7.4 Quantisation: weights in 8, 4 or 3 bits, and what it costs.

Read from top to bottom. ``int8`` is the plain way: each row has a scale, each number is rounded. ``nf4`` (QLoRA, arXiv 2305.14314,
section 3) puts its 16 levels where normal numbers lie. ``gptq`` (2210.17323) rounds one column after the other and lets the columns
that are still to come make good for the error, as far as the inputs that the layer really sees allow.

Shapes: weight ``(out, in)``; inputs ``(tokens, in)``: a layer computes inputs @ weight.T.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = ["NF4", "gptq", "int8", "nf4", "normal_levels", "output_error", "pack_nf4", "round_rows", "unpack_nf4"]

Array = npt.NDArray[np.float32]


def int8(weight: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Whole numbers -127 … 127, and a scale for each row: ``weight ≈ numbers * scale``."""
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    scale = np.where(scale == 0, 1, scale).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


def round_rows(weight: Array, bits: int) -> Array:
    """The same with fewer bits, and back to numbers: what plain rounding gives."""
    scale = _row_scale(weight, bits)
    return np.asarray(_round(weight, scale, bits), np.float32)


def _row_scale(weight: Array, bits: int) -> Array:
    most = 2 ** (bits - 1) - 1
    scale = np.abs(weight).max(axis=1, keepdims=True) / most
    return np.where(scale == 0, 1, scale).astype(np.float32)


def _round(x: npt.NDArray[np.floating], scale: npt.NDArray[np.floating], bits: int) -> npt.NDArray[np.floating]:
    most = 2 ** (bits - 1) - 1
    return np.asarray(np.clip(np.rint(x / scale), -most - 1, most) * scale)


def normal_levels() -> Array:
    """The 16 levels of NF4: places that cut a normal distribution into equal shares, with an exact zero, from -1 to 1.

    Eight shares below zero and nine above, of which zero is in both; ``offset`` keeps the outermost from being infinite.
    """
    offset = 0.5 * ((1 - 1 / (2 * 15)) + (1 - 1 / (2 * 16)))
    quantile = NormalDist().inv_cdf
    above = [quantile(p) for p in np.linspace(offset, 0.5, 9)[:-1]]
    below = [-quantile(p) for p in np.linspace(offset, 0.5, 8)[:-1]]
    levels = np.sort(np.array([*above, 0.0, *below]))
    return np.asarray(levels / levels.max(), np.float32)


NF4 = normal_levels()


def pack_nf4(weight: Array, block: int = 64) -> tuple[npt.NDArray[np.uint8], Array]:
    """Number of the nearest level of each weight, and the largest size in each block of 64, in the weights' order."""
    flat = weight.reshape(-1, block)
    largest = np.abs(flat).max(axis=1, keepdims=True)
    part = flat / np.where(largest == 0, 1, largest)
    middles = (NF4[1:] + NF4[:-1]) / 2
    return np.searchsorted(middles, part).astype(np.uint8).reshape(weight.shape), largest[:, 0]


def unpack_nf4(codes: npt.NDArray[np.uint8], largest: Array) -> Array:
    levels = NF4[codes.reshape(len(largest), -1)]
    return np.asarray((levels * largest[:, None]).reshape(codes.shape), np.float32)


def nf4(weight: Array, block: int = 64) -> Array:
    """There and back. 4 bits a weight, and 32 for each block: 4.5 in all."""
    return unpack_nf4(*pack_nf4(weight, block))


def gptq(weight: Array, inputs: Array, bits: int, damp: float = 0.01) -> Array:
    """Rounded to ``bits``, so that the layer's output on ``inputs`` changes as little as it can.

    The error of a rounded column is spread over the later ones by the inverse of the inputs' squares (H = 2 XᵀX); the Cholesky factor
    of that inverse holds, row by row, what is needed after the columns before are done.
    """
    x = inputs.astype(np.float64)
    h = 2 * x.T @ x
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))  # a direction that no input has must not be free
    upper = np.linalg.cholesky(np.linalg.inv(h)).T  # H⁻¹ = upperᵀ upper
    left, scale = weight.astype(np.float64).copy(), _row_scale(weight, bits)[:, 0].astype(np.float64)
    done = np.empty_like(left)
    for column in range(weight.shape[1]):
        done[:, column] = _round(left[:, column], scale, bits)
        error = (left[:, column] - done[:, column]) / upper[column, column]
        left[:, column + 1 :] -= np.outer(error, upper[column, column + 1 :])
    return np.asarray(done, np.float32)


def output_error(weight: Array, rounded: Array, inputs: Array) -> float:
    """How far the layer's output moves, relative to its size."""
    right = inputs @ weight.T
    return float(np.linalg.norm(inputs @ rounded.T - right) / np.linalg.norm(right))
