"""bfloat16, which NumPy does not have: its bits in uint16, the upper half of a float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["as_bfloat16", "as_float32"]


def as_bfloat16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The bits of finite numbers rounded to bfloat16, to the nearest and of two equally near to the even one."""
    bits = array.view(np.uint32)
    rounded: npt.NDArray[np.uint16] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return rounded


def as_float32(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """A tensor of ``weights.map_tensors`` or some of its rows, exactly, in float32."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)
