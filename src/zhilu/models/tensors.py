"""Safetensors without a framework: headers as data, tensors as views of the mapped file.

Format: 8 bytes of little-endian header length, a JSON header, the tensors' bytes
(https://github.com/huggingface/safetensors#format). Nothing in such a file can run code, which is why we open it and no pickle.
"""

from __future__ import annotations

import json
import math
import struct
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BITS", "TensorInfo", "map_tensors", "read_header"]

# Bits of one value, by the format's dtype names.
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip
# Those that NumPy has under one name or another; bfloat16 it has not.
_VIEWED = {"F32": "<f4", "F16": "<f2", "I8": "i1", "U8": "u1"}
# Bytes. The format allows 100 MB, of which a parser makes gigabytes; 100,000 tensors, more than any model has, take 13 MB.
_MAX_HEADER = 16 * 2**20


class TensorInfo(NamedTuple):
    """One tensor of a file; ``start`` and ``end`` count bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def num_values(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensors in a file, checked: each lies inside the file and has the size its shape asks for.

    Raises:
        InputError: not a safetensors file, cut off, or inconsistent.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, TensorInfo], int]:
    if not path.is_file():
        raise _broken(path, T("it is not there, or no file", "文件不存在，或不是普通文件"))
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if _MAX_HEADER < length <= size - 8:
            limit = _MAX_HEADER // 2**20
            raise _broken(path, T(f"its header is larger than {limit} MiB", f"文件头超过 {limit} MiB"))
        if not 2 <= length <= size - 8:
            raise _broken(path, T("it has no safetensors header", "没有 safetensors 文件头"))
        try:
            header = json.loads(file.read(length))
            tensors = {
                name: TensorInfo(item["dtype"], tuple(item["shape"]), *item["data_offsets"])
                for name, item in header.items()
                if name != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _broken(path, T("its header cannot be read", "文件头无法读取")) from error
    body = size - 8 - length
    for name, info in tensors.items():
        if not all(type(number) is int and number >= 0 for number in (*info.shape, info.start, info.end)):
            raise _broken(path, T(f"{name[:80]!r} has an impossible shape or place", f"{name[:80]!r} 的形状或位置无效"))
        if not 0 <= info.start <= info.end <= body:
            raise _broken(
                path, T(f"it is cut off: {name!r} lies beyond its end", f"文件不完整：{name!r} 超出了文件末尾")
            )
        bits = BITS.get(info.dtype)
        if bits is not None and (info.end - info.start) * 8 != info.num_values * bits:
            raise _broken(path, T(f"{name!r} has the wrong size for its shape", f"{name!r} 的大小与形状不符"))
    ordered = sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end))
    for (one, first), (other, second) in pairwise(ordered):
        if first.end > second.start:
            raise _broken(path, T(f"{one[:80]!r} and {other[:80]!r} overlap", f"{one[:80]!r} 与 {other[:80]!r} 重叠"))
    return tensors, 8 + length


def map_tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a type in ``_VIEWED`` as a view of the mapped file: no copy, a page is read when first touched.

    The views are writable (a library wants them so) but private: nothing reaches the file.
    """
    import numpy as np

    tensors, offset = _read(path)
    mapped = np.memmap(path, dtype=np.uint8, mode="c")
    return {
        name: mapped[offset + info.start : offset + info.end].view(_VIEWED[info.dtype]).reshape(info.shape)
        for name, info in tensors.items()
        if info.dtype in _VIEWED
    }


def _broken(path: Path, why: T) -> InputError:
    return InputError(
        T(f"The weights file {str(path)!r} cannot be used: {why.en}.", f"权重文件 {str(path)!r} 无法使用：{why.zh}。"),
        code="broken_weights",
    )
