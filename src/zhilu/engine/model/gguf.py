"""A GGUF file's header, and views of its tensors. Nothing is copied, and nothing that the file says is believed unchecked.

The format is ggml's (docs/gguf.md of ggml-org/ggml): magic, version, counts, key-value pairs, tensor descriptions, then the
aligned data. The `gguf` package also reads it, but needs 16 s of one core and 520 MB for the header of a model with 151,936
tokens (measured), and believes every count; this module needs about half a second. A file can come from anywhere, so every count
and length is compared with the bytes that are left before anything is allocated for it.
"""

from __future__ import annotations

import mmap
import struct
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.quants import FORMATS, PLAIN
from zhilu.errors import InputError, NotFoundError, UnsupportedError
from zhilu.messages import T

__all__ = ["Gguf", "StoredTensor", "find_gguf", "read_gguf"]

# More than any model has (the largest vocabularies are of 260,000 tokens and twice as many merges), and little enough
# that a file made to fill the memory cannot.
_MOST_HEADER_BYTES = 256 * 2**20
_MOST_ELEMENTS = 4 * 2**20  # of all arrays together
_MOST_TENSORS = 100_000
_MOST_DIMENSIONS = 4

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# ggml's numbers of tensor types; those without a format here are named when a file uses them.
_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
    13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
    22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies. ``shape`` is in NumPy's order, the last dimension contiguous."""

    kind: str
    shape: tuple[int, ...]
    start: int  # of its bytes in the file
    num_bytes: int


class Gguf:
    """One opened file.

    Attributes:
        path: where it lies.
        metadata: the key-value pairs; arrays are lists.
        tensors: what is stored, by ggml's names.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, StoredTensor]) -> None:
        self.path = path
        self.metadata = metadata
        self.tensors = tensors
        self._bytes = np.memmap(path, np.uint8, "c")

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def own(self, key: str, default: Any = None) -> Any:
        """The value of ``ARCHITECTURE.key``."""
        return self.metadata.get(f"{self.architecture}.{key}", default)

    def bytes_of(self, name: str) -> npt.NDArray[np.uint8]:
        """The tensor's bytes, ``(rows, bytes a row)``: a view of the mapped file."""
        tensor = self.tensors[name]
        rows = prod(tensor.shape[:-1])
        return self._bytes[tensor.start : tensor.start + tensor.num_bytes].reshape(rows, -1)


def find_gguf(path: Path) -> Path | None:
    """The GGUF file that ``path`` is, or the only one in that folder where there is no config.json; None: another kind.

    InputError where a folder holds several, since one of them must be meant.
    """
    if path.is_file():
        with path.open("rb") as file:
            is_named = path.suffix.lower() == ".gguf"
            return path if is_named or file.read(4) == b"GGUF" else None
    if (path / "config.json").is_file() or not path.is_dir():
        return None
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".gguf" and file.is_file())
    main = [file for file in files if not file.name.startswith("mmproj")]  # a vision tower beside the model
    if len(main) > 1:
        names = ", ".join(file.name for file in main)
        raise InputError(
            T(f"{str(path)!r} holds several GGUF files: {names}", f"{str(path)!r} 中有多个 GGUF 文件：{names}"),
            param="model",
            fix=f"--model {main[0]}",
        )
    return main[0] if main else None


_open: weakref.WeakValueDictionary[tuple[Path, int, int], Gguf] = weakref.WeakValueDictionary()


def read_gguf(path: Path) -> Gguf:
    """Open a file; the same object as long as somebody holds it and the file stays as it is.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is damaged, or contradicts itself.
        UnsupportedError: it is fine, but of a version or in a block format that is not read here.
    """
    if not path.is_file():
        raise NotFoundError(T(f"no file {str(path)!r}", f"没有文件 {str(path)!r}"), param="model")
    stat = path.stat()
    key = path.resolve(), stat.st_size, stat.st_mtime_ns
    found = _open.get(key)
    if found is None:
        with path.open("rb") as file:
            if stat.st_size < 24:
                raise _damaged(path, "it is too short to be one", "文件太短")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = Gguf(path, *_Header(path, data).read())
        _open[key] = found
    return found


class _Header:
    """Reads front to back; ``self.at`` is the place."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.size = len(data)
        self.end = min(self.size, _MOST_HEADER_BYTES)
        self.at = 0
        self.num_elements = 0

    def read(self) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
        magic = bytes(self.data[:4])
        if magic != b"GGUF":
            raise self.bad(f"it begins with {magic!r}, not b'GGUF'", f"文件开头是 {magic!r}，而不是 b'GGUF'")
        self.at = 4
        version = self.number("I")
        if version not in (2, 3):
            swapped = version & 0xFFFF == 0
            note = " (the file is big-endian)" if swapped else ""
            raise UnsupportedError(
                T(
                    f"{str(self.path)!r}: GGUF version {version} is not read; 2 and 3 are{note}",
                    f"{str(self.path)!r}：不支持 GGUF 版本 {version}；支持 2 和 3"
                    + ("（文件为大端序）" if swapped else ""),
                ),
                param="model",
                code="unsupported_model",
            )
        num_tensors, num_pairs = self.number("Q"), self.number("Q")
        # A pair takes 13 bytes or more, a description 24.
        if num_pairs * 13 + num_tensors * 24 > self.size or num_tensors > _MOST_TENSORS:
            raise self.bad(
                f"it claims {num_tensors} tensors and {num_pairs} keys in {self.size} bytes",
                f"声称在 {self.size} 字节中有 {num_tensors} 个张量和 {num_pairs} 个键",
            )
        metadata: dict[str, Any] = {}
        for _ in range(num_pairs):
            key = self.text()
            metadata[key] = self.value(self.number("I"))
        found = [self.description() for _ in range(num_tensors)]
        return metadata, self.placed(found, metadata)

    def bad(self, en: str, zh: str) -> InputError:
        return _damaged(self.path, en, zh)

    def need(self, count: int) -> int:
        """The place after ``count`` more bytes."""
        if self.at + count > self.end:
            if self.end < self.size:
                limit = _MOST_HEADER_BYTES // 2**20
                raise self.bad(f"its header is larger than {limit} MiB", f"文件头超过 {limit} MiB")
            raise self.bad(
                f"it ends inside its header, at byte {self.size}: the download may have been cut",
                f"文件头不完整，在第 {self.size} 字节处结束：下载可能中断了",
            )
        return self.at + count

    def number(self, kind: str) -> Any:
        end = self.need(struct.calcsize("<" + kind))
        (value,) = struct.unpack_from("<" + kind, self.data, self.at)
        self.at = end
        return value

    def text(self) -> str:
        length = self.number("Q")
        end = self.need(length)
        raw = self.data[self.at : end]
        self.at = end
        return raw.decode("utf-8", "replace")

    def texts(self, count: int) -> list[str]:
        """Many of them: a vocabulary has 150,000 tokens and as many merges."""
        data, at, end, length_at = self.data, self.at, self.end, struct.Struct("<Q").unpack_from
        found = []
        for _ in range(count):
            if at + 8 > end:
                break
            (length,) = length_at(data, at)
            if at + 8 + length > end:
                break
            found.append(data[at + 8 : at + 8 + length].decode("utf-8", "replace"))
            at += 8 + length
        self.at = at
        while len(found) < count:
            found.append(self.text())  # says what is wrong
        return found

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind != _ARRAY:
            raise self.bad(f"a value is of the unknown type {kind}", f"有未知类型 {kind} 的值")
        kind, count = self.number("I"), self.number("Q")
        self.num_elements += count
        if self.num_elements > _MOST_ELEMENTS or count > self.size:
            raise self.bad(f"it claims an array of {count} elements", f"声称有一个 {count} 个元素的数组")
        if kind == _STRING:
            return self.texts(count)
        if kind not in _SCALARS:
            raise self.bad(f"an array holds values of the type {kind}", f"数组元素的类型 {kind} 无效")
        dtype = np.dtype("<" + _SCALARS[kind] if kind != 7 else "?")
        end = self.need(count * dtype.itemsize)
        array = np.frombuffer(self.data[self.at : end], dtype)
        self.at = end
        return array.tolist()

    def description(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.text()
        num_dimensions = self.number("I")
        if not 1 <= num_dimensions <= _MOST_DIMENSIONS:
            raise self.bad(
                f"{name[:64]!r} has {num_dimensions} dimensions", f"{name[:64]!r} 有 {num_dimensions} 个维度"
            )
        shape = tuple(self.number("Q") for _ in range(num_dimensions))[::-1]
        return name, shape, self.number("I"), self.number("Q")

    def placed(
        self, found: list[tuple[str, tuple[int, ...], int, int]], metadata: Mapping[str, Any]
    ) -> dict[str, StoredTensor]:
        """Sizes and places of the tensors, each inside the file and none over another."""
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1) or alignment > 2**20:
            raise self.bad(f"its alignment is {alignment!r}", f"对齐值为 {alignment!r}")
        start = -(-self.at // alignment) * alignment
        tensors: dict[str, StoredTensor] = {}
        for name, shape, number, offset in found:
            kind = _TYPES.get(number, f"number {number}")
            if kind not in FORMATS and kind not in PLAIN:
                raise UnsupportedError(
                    T(
                        f"{str(self.path)!r}: {name[:64]!r} is stored as {kind}, which the embedded engine does not read; "
                        "llama.cpp may",
                        f"{str(self.path)!r}：{name[:64]!r} 的存储格式是 {kind}，内置引擎无法读取；llama.cpp 也许可以",
                    ),
                    param="model",
                    code="unsupported_model",
                    fix="--engine llamacpp",
                )
            if name in tensors or not name:
                raise self.bad(f"the tensor {name[:64]!r} is there twice", f"张量 {name[:64]!r} 出现两次")
            block, block_bytes = (
                (FORMATS[kind].block, FORMATS[kind].block_bytes) if kind in FORMATS else (1, PLAIN[kind])
            )
            if not all(shape) or shape[-1] % block:
                raise self.bad(
                    f"{name[:64]!r} has the shape {shape}, in blocks of {block}",
                    f"{name[:64]!r} 的形状是 {shape}，而每块有 {block} 个值",
                )
            num_bytes = prod(shape) // block * block_bytes
            begin = start + offset
            if offset % alignment or begin + num_bytes > self.size:
                raise self.bad(
                    f"{name[:64]!r} would end at byte {begin + num_bytes} of {self.size}: the download may have been cut",
                    f"{name[:64]!r} 应在第 {begin + num_bytes} 字节结束，而文件只有 {self.size} 字节：下载可能中断了",
                )
            tensors[name] = StoredTensor(kind, shape, begin, num_bytes)
        ordered = sorted(tensors.items(), key=lambda item: item[1].start)
        for (one, first), (other, second) in pairwise(ordered):
            if first.start + first.num_bytes > second.start:
                raise self.bad(f"{one[:64]!r} and {other[:64]!r} overlap", f"{one[:64]!r} 与 {other[:64]!r} 重叠")
        return tensors


def _damaged(path: Path, en: str, zh: str) -> InputError:
    return InputError(
        T(f"{str(path)!r} is no sound GGUF file: {en}", f"{str(path)!r} 不是完好的 GGUF 文件：{zh}"),
        param="model",
        code="bad_weights",
    )
