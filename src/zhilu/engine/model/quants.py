"""ggml's block formats, taken apart into what a processor multiplies: small integers, scales and minima.

A weight is ``scale * code - minimum`` in groups of 16 or 32 along the input; the codes have 4 to 8 bits. Nothing is rounded
again: except for the last bit of a float32, the numbers are those of ``dequantize_row_*`` in ggml-quants.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FORMATS", "PLAIN", "BlockFormat", "LowBit", "Quantized"]

Bytes = npt.NDArray[np.uint8]

# Bytes a value of what is stored as plain numbers.
PLAIN = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class LowBit:
    """A matrix ``(out, in)`` in groups along ``in``.

    Attributes:
        codes: ``(out, groups, size)`` int8 or uint8; of 4 bits ``(out, groups, size / 2)`` uint8, the even value in the
            low half of a byte.
        bits: i8, u8, i4 or u4: how codes are to be read.
        scales: ``(out, groups, 1)`` float32.
        minima: likewise; None where zero has the code zero.
    """

    codes: npt.NDArray[Any]
    bits: str
    scales: npt.NDArray[np.float32]
    minima: npt.NDArray[np.float32] | None = None

    @property
    def group(self) -> int:
        return int(self.codes.shape[2]) * (2 if self.bits in ("i4", "u4") else 1)

    def float32(self) -> npt.NDArray[np.float32]:
        """``(out, in)``"""
        codes = self.codes
        if self.bits in ("i4", "u4"):
            codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(*codes.shape[:2], -1)
            if self.bits == "i4":
                codes = (codes ^ 8).astype(np.int8) - np.int8(8)
        exact = codes.astype(np.float32)
        exact *= self.scales
        if self.minima is not None:
            exact -= self.minima
        return exact.reshape(len(exact), -1)


@dataclass(frozen=True)
class BlockFormat:
    """
    Attributes:
        block: values a block. block_bytes: bytes a block.
        take_apart: from ``(out, blocks, block_bytes)`` to a LowBit.
    """

    block: int
    block_bytes: int
    take_apart: Callable[[Bytes], LowBit]


@dataclass(frozen=True)
class Quantized:
    """A matrix ``(out, in)`` as blocks of a mapped file; ``order`` names the file's row for each row of the matrix."""

    kind: str
    rows: Bytes  # (out, bytes a row)
    shape: tuple[int, int]
    order: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        return int(self.rows.nbytes)

    def low_bit(self, rows: slice | Sequence[int] = slice(None)) -> LowBit:
        chosen = self.rows[rows] if self.order is None else self.rows[self.order[rows]]
        form = FORMATS[self.kind]
        return form.take_apart(chosen.reshape(len(chosen), -1, form.block_bytes))

    def float32(self, rows: slice | Sequence[int] = slice(None)) -> npt.NDArray[np.float32]:
        return self.low_bit(rows).float32()

    def reordered(self, order: npt.NDArray[np.int64]) -> Quantized:
        return replace(self, order=order)

    def part(self, start: int, stop: int) -> Quantized:
        """Some neighbouring rows as a matrix of their own."""
        order = None if self.order is None else self.order[start:stop]
        rows = self.rows[start:stop] if order is None else self.rows
        return Quantized(self.kind, rows, (stop - start, self.shape[1]), order)


def _half(blocks: Bytes, at: int) -> npt.NDArray[np.float32]:
    """The float16 at byte ``at`` of each block: ``(out, blocks, 1)``."""
    return np.ascontiguousarray(blocks[..., at : at + 2]).view(np.float16).astype(np.float32)


def _pairs(halves: Bytes) -> tuple[Bytes, Bytes]:
    """Low and high halves of neighbouring bytes, two values packed in one byte each: ``(..., 2n)`` to twice ``(..., n)``."""
    words = np.ascontiguousarray(halves).view(np.uint16)
    return ((words & 0x0F) | (words >> 4 & 0xF0)).astype(np.uint8), (words >> 4 & 0x0F | words >> 8 & 0xF0).astype(
        np.uint8
    )


def _nibbles(qs: Bytes) -> Bytes:
    """One value a byte, the low halves before the high ones: ``(..., n)`` to ``(..., 2n)``."""
    return np.concatenate([qs & 15, qs >> 4], axis=-1)


def _fifth_bits(blocks: Bytes, at: int) -> Bytes:
    """32 bits as values 0 or 16: ``(out, blocks, 32)``."""
    return np.unpackbits(blocks[..., at : at + 4], axis=-1, bitorder="little") << np.uint8(4)


def _q4_0(blocks: Bytes) -> LowBit:
    low, high = _pairs(blocks[..., 2:])
    # The stored 0 to 15 mean -8 to 7, which is two's complement with the top bit turned.
    return LowBit(np.concatenate([low, high], axis=-1) ^ np.uint8(0x88), "i4", _half(blocks, 0))


def _q4_1(blocks: Bytes) -> LowBit:
    return LowBit(np.concatenate(_pairs(blocks[..., 4:]), axis=-1), "u4", _half(blocks, 0), -_half(blocks, 2))


def _q5_0(blocks: Bytes) -> LowBit:
    codes = (_nibbles(blocks[..., 6:]) | _fifth_bits(blocks, 2)).view(np.int8) - np.int8(16)
    return LowBit(codes, "i8", _half(blocks, 0))


def _q5_1(blocks: Bytes) -> LowBit:
    return LowBit(_nibbles(blocks[..., 8:]) | _fifth_bits(blocks, 4), "u8", _half(blocks, 0), -_half(blocks, 2))


def _q8_0(blocks: Bytes) -> LowBit:
    return LowBit(np.ascontiguousarray(blocks[..., 2:]).view(np.int8), "i8", _half(blocks, 0))


def _k_scales(blocks: Bytes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Scales and minima of a superblock's eight groups, from bytes 0 to 15: ``(out, groups, 1)`` each."""
    low, middle, mixed = (blocks[..., start : start + 4] for start in (4, 8, 12))
    scales = np.concatenate([low & 63, mixed & 15 | low >> 2 & 48], axis=-1)
    minima = np.concatenate([middle & 63, mixed >> 4 | middle >> 2 & 48], axis=-1)
    return _groups(_half(blocks, 0) * scales), _groups(_half(blocks, 2) * minima)


def _groups(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``(out, blocks, k)`` to ``(out, blocks * k, 1)``."""
    return values.reshape(len(values), -1, 1)


def _coded(codes: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """``(out, blocks, ...)`` to ``(out, groups, size)``."""
    return codes.reshape(len(codes), -1, size)


def _q4_k(blocks: Bytes) -> LowBit:
    scales, minima = _k_scales(blocks)
    qs = blocks[..., 16:].reshape(*blocks.shape[:2], 4, 32)  # 32 bytes hold two groups: low halves, high halves
    return LowBit(_coded(np.stack(_pairs(qs), axis=-2), 16), "u4", scales, minima)


def _q5_k(blocks: Bytes) -> LowBit:
    scales, minima = _k_scales(blocks)
    qs = blocks[..., 48:].reshape(*blocks.shape[:2], 4, 1, 32)
    low = np.concatenate([qs & 15, qs >> 4], axis=-2)  # (out, blocks, 4, 2, 32)
    bit = np.arange(8, dtype=np.uint8).reshape(4, 2, 1)
    high = blocks[..., None, None, 16:48] >> bit & 1
    return LowBit(_coded(low | high << np.uint8(4), 32), "u8", scales, minima)


def _q6_k(blocks: Bytes) -> LowBit:
    shift = np.array([0, 4], np.uint8).reshape(2, 1)
    low = blocks[..., :128].reshape(*blocks.shape[:2], 2, 1, 64) >> shift & 15  # (out, blocks, 2, 2, 64)
    high = blocks[..., 128:192].reshape(*blocks.shape[:2], 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(4, 1)
    codes = low.reshape(*blocks.shape[:2], 256) | (high & 3).reshape(*blocks.shape[:2], 256) << np.uint8(4)
    scales = _half(blocks, 208) * np.ascontiguousarray(blocks[..., 192:208]).view(np.int8)
    return LowBit(_coded(codes.view(np.int8) - np.int8(32), 16), "i8", _groups(scales))


def _q2_k(blocks: Bytes) -> LowBit:
    stated = blocks[..., :16]
    shift = np.array([0, 2, 4, 6], np.uint8).reshape(4, 1)
    codes = blocks[..., 16:80].reshape(*blocks.shape[:2], 2, 1, 32) >> shift & 3
    scales, minima = _half(blocks, 80) * (stated & 15), _half(blocks, 82) * (stated >> 4)
    packed = codes.reshape(*blocks.shape[:2], 128, 2)
    return LowBit(_coded(packed[..., 0] | packed[..., 1] << np.uint8(4), 8), "u4", _groups(scales), _groups(minima))


def _q3_k(blocks: Bytes) -> LowBit:
    shift = np.array([0, 2, 4, 6], np.uint8).reshape(4, 1)
    low = blocks[..., 32:96].reshape(*blocks.shape[:2], 2, 1, 32) >> shift & 3
    high = blocks[..., None, :32] >> np.arange(8, dtype=np.uint8).reshape(8, 1) & 1  # a set bit: nothing is taken off
    codes = (low.reshape(*blocks.shape[:2], 256) | high.reshape(*blocks.shape[:2], 256) << np.uint8(2)).view(
        np.int8
    ) - 4
    stated = blocks[..., 96:108]
    scales = np.concatenate([stated[..., :8] & 15, stated[..., :8] >> 4], axis=-1)
    upper = np.concatenate([stated[..., 8:] >> np.uint8(shift_by) & 3 for shift_by in (0, 2, 4, 6)], axis=-1)
    signed = (scales | upper << np.uint8(4)).view(np.int8) - np.int8(32)
    return LowBit(_coded(codes.astype(np.int8), 16), "i8", _groups(_half(blocks, 108) * signed))


_UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8)


def _iq4_nl(blocks: Bytes) -> LowBit:
    return LowBit(_UNEVEN[_nibbles(blocks[..., 2:])], "i8", _half(blocks, 0))


def _iq4_xs(blocks: Bytes) -> LowBit:
    high = np.ascontiguousarray(blocks[..., 2:4]).view(np.uint16) >> np.arange(0, 16, 2, dtype=np.uint16) & 3
    low = np.stack([blocks[..., 4:8] & 15, blocks[..., 4:8] >> 4], axis=-1).reshape(*blocks.shape[:2], 8)
    scales = _half(blocks, 0) * ((low | high.astype(np.uint8) << np.uint8(4)).view(np.int8) - np.int8(32))
    codes = _UNEVEN[_nibbles(blocks[..., 8:].reshape(*blocks.shape[:2], 8, 16))]
    return LowBit(_coded(codes, 32), "i8", _groups(scales))


FORMATS: Mapping[str, BlockFormat] = {
    "Q4_0": BlockFormat(32, 18, _q4_0),
    "Q4_1": BlockFormat(32, 20, _q4_1),
    "Q5_0": BlockFormat(32, 22, _q5_0),
    "Q5_1": BlockFormat(32, 24, _q5_1),
    "Q8_0": BlockFormat(32, 34, _q8_0),
    "Q2_K": BlockFormat(256, 84, _q2_k),
    "Q3_K": BlockFormat(256, 110, _q3_k),
    "Q4_K": BlockFormat(256, 144, _q4_k),
    "Q5_K": BlockFormat(256, 176, _q5_k),
    "Q6_K": BlockFormat(256, 210, _q6_k),
    "IQ4_NL": BlockFormat(32, 18, _iq4_nl),
    "IQ4_XS": BlockFormat(256, 136, _iq4_xs),
}
