"""Rotary position frequencies and their stretching for longer contexts (as transformers 5, ``modeling_rope_utils``)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.config import RopeConfig

__all__ = ["inverse_frequencies"]


def inverse_frequencies(rope: RopeConfig, head_dim: int) -> npt.NDArray[np.float32]:
    """``(head_dim / 2,)``: radians per position for each pair of dimensions, fastest first."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequencies = (1.0 / np.float32(rope.theta) ** exponents).astype(np.float32)
    if rope.kind == "linear":  # positions divided by the factor (kaiokendev's interpolation)
        return (frequencies / np.float32(rope.factor)).astype(np.float32)
    if rope.kind == "factors":
        return (frequencies / np.asarray(rope.factors, np.float32)).astype(np.float32)
    if rope.kind == "llama3":
        return _llama3(frequencies, rope)
    return frequencies


def _llama3(frequencies: npt.NDArray[np.float32], rope: RopeConfig) -> npt.NDArray[np.float32]:
    """Long waves are stretched, short ones kept, those between blended (Llama 3.1 release notes)."""
    wavelength = 2 * math.pi / frequencies
    longest_kept = rope.original_max_positions / rope.high_freq_factor
    shortest_stretched = rope.original_max_positions / rope.low_freq_factor
    blend = (rope.original_max_positions / wavelength - rope.low_freq_factor) / (
        rope.high_freq_factor - rope.low_freq_factor
    )
    blended = (1 - blend) * frequencies / rope.factor + blend * frequencies
    stretched = np.where(wavelength > shortest_stretched, frequencies / rope.factor, blended)
    return np.where(wavelength < longest_kept, frequencies, stretched).astype(np.float32)
