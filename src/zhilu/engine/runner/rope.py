"""Rotary position frequencies and their stretching for longer contexts (as transformers 5, ``modeling_rope_utils``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.config import RopeConfig

__all__ = ["cos_and_sin", "inverse_frequencies"]

Floats = npt.NDArray[np.float32]


def inverse_frequencies(rope: RopeConfig, head_dim: int) -> Floats:
    """``(head_dim / 2,)``: radians per position for each pair of dimensions, fastest first; zero for what is not turned."""
    turned = int(head_dim * rope.partial)
    exponents = np.arange(0, turned, 2, dtype=np.float32) / np.float32(turned)
    frequencies = (1.0 / np.float32(rope.theta) ** exponents).astype(np.float32)
    stretched = _stretched(frequencies, rope, turned).astype(np.float32)
    return np.concatenate([stretched, np.zeros((head_dim - turned) // 2, np.float32)])


def cos_and_sin(rope: RopeConfig, frequencies: Floats, positions: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """``(len(positions), head_dim / 2)`` each; exactly 1 and 0 for what is not turned."""
    angles = positions.astype(np.float32)[:, None] * frequencies
    if rope.attention_factor == 1:
        return np.cos(angles), np.sin(angles)
    size = np.where(frequencies > 0, np.float32(rope.attention_factor), np.float32(1))
    return np.cos(angles) * size, np.sin(angles) * size


def _stretched(frequencies: Floats, rope: RopeConfig, turned: int) -> npt.NDArray[Any]:
    if rope.kind == "linear":  # positions divided by the factor (kaiokendev's interpolation)
        return frequencies / np.float32(rope.factor)
    if rope.kind == "factors":
        return frequencies / np.asarray(rope.factors, np.float32)
    if rope.kind == "llama3":
        return _llama3(frequencies, rope)
    if rope.kind == "yarn":
        return _yarn(frequencies, rope, turned)
    return frequencies


def _llama3(frequencies: Floats, rope: RopeConfig) -> npt.NDArray[Any]:
    """Long waves are stretched, short ones kept, those between blended (Llama 3.1 release notes)."""
    wavelength = 2 * math.pi / frequencies
    longest_kept = rope.original_max_positions / rope.high_freq_factor
    shortest_stretched = rope.original_max_positions / rope.low_freq_factor
    blend = (rope.original_max_positions / wavelength - rope.low_freq_factor) / (
        rope.high_freq_factor - rope.low_freq_factor
    )
    blended = (1 - blend) * frequencies / rope.factor + blend * frequencies
    stretched = np.where(wavelength > shortest_stretched, frequencies / rope.factor, blended)
    return np.where(wavelength < longest_kept, frequencies, stretched)


def _yarn(frequencies: Floats, rope: RopeConfig, turned: int) -> npt.NDArray[Any]:
    """Pairs that turn often within the original length are kept, those that turn less than once are stretched, and between
    them the share grows evenly (arXiv 2309.00071, 3.2)."""

    def pair_that_turns(times: float) -> float:
        return turned * math.log(rope.original_max_positions / (times * 2 * math.pi)) / (2 * math.log(rope.theta))

    first, last = pair_that_turns(rope.beta_fast), pair_that_turns(rope.beta_slow)
    if rope.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, turned - 1)
    ramp = (np.arange(turned // 2, dtype=np.float32) - first) / (last - first or 0.001)
    share = np.clip(ramp, 0, 1)
    return frequencies / np.float32(rope.factor) * share + frequencies * (1 - share)
