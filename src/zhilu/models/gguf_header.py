"""The header of a GGUF file: its facts and the shapes of its tensors. No weight is read; nothing is believed unchecked.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (little-endian; versions 2 and 3).
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["GgufHeader", "read_gguf_header"]

_MAGIC = b"GGUF"
_MAX_KEYS, _MAX_TENSORS = 4096, 1 << 17
_MAX_STRING, _MAX_ARRAY = 1 << 24, 1 << 24  # bytes (a chat template is 10 KB); values (a vocabulary is 250,000)
_KEPT_ARRAY = 64  # values of an array that are kept; of longer ones only the length
# By value type: struct format. 8 is a string, 9 an array.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
# By ggml type: name, values a block, bytes a block (ggml.h; the IQ kinds and later ones are told by number).
_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 20: ("IQ4_NL", 32, 18), 23: ("IQ4_XS", 256, 136), 30: ("BF16", 1, 2),
}  # fmt: skip


@dataclass(frozen=True)
class GgufHeader:
    """
    Attributes:
        facts: the metadata by key; of an array longer than 64 values an ``int``, its length.
        parameters: values of all tensors.
        dtype: the type that most values are stored in, in lower case (``q4_k``).
        lengths: of every array, by key.
        multiplied: values by type, of all that is multiplied: without the table of embeddings, where that is no more than
            looked up.
    """

    facts: dict[str, Any]
    parameters: int
    dtype: str | None
    size_bytes: int
    lengths: dict[str, int] = field(default_factory=dict)
    multiplied: dict[str, int] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        return str(self.facts.get("general.architecture") or "?")

    def own(self, key: str) -> Any:
        """A fact of the architecture: ``own("context_length")`` is ``qwen2.context_length`` of a Qwen2."""
        return self.facts.get(f"{self.architecture}.{key}")

    @property
    def vocab_size(self) -> int | None:
        return self.lengths.get("tokenizer.ggml.tokens")


def read_gguf_header(path: Path) -> GgufHeader:
    """The head of a file; read once for as long as the file is the same (a vocabulary takes half a second to pass over).

    Raises:
        InputError: no GGUF file, one of another version, cut off, or damaged; says where.
    """
    try:
        stat = path.stat()
        return _read_once(str(path), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise InputError(T(f"{str(path)!r} cannot be read: {error}.", f"无法读取 {str(path)!r}：{error}。")) from error
    except (ValueError, struct.error, EOFError, MemoryError) as error:
        why = str(error) or "it ends too early"
        raise InputError(
            T(f"{path.name!r} is no usable GGUF file: {why}.", f"{path.name!r} 不是可用的 GGUF 文件：{why}。"),
            code="broken_model",
        ) from error


@lru_cache(maxsize=256)
def _read_once(path: str, size: int, changed: int) -> GgufHeader:
    with open(path, "rb") as file:
        return _read(file, size)


def _read(file: BinaryIO, size: int) -> GgufHeader:
    if file.read(4) != _MAGIC:
        raise ValueError("it does not begin with GGUF")
    version = _scalar(file, "<I")
    if version not in (2, 3):
        raise ValueError(f"version {version}, readable are 2 and 3 (a big-endian file?)")
    num_tensors, num_keys = _scalar(file, "<Q"), _scalar(file, "<Q")
    if num_tensors > _MAX_TENSORS or num_keys > _MAX_KEYS:
        raise ValueError(f"it announces {num_tensors} tensors and {num_keys} facts")
    facts: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    for _ in range(num_keys):
        key = _string(file, 1 << 16)
        value = _value(file, _scalar(file, "<I"))
        if isinstance(value, _Long):
            lengths[key] = value.length
            facts[key] = value.length
        else:
            facts[key] = value
            if isinstance(value, list):
                lengths[key] = len(value)
    parameters, end = 0, 0
    by_type: dict[str, int] = {}
    table, has_output = ("", 0), False
    for _ in range(num_tensors):
        name = _string(file, 1 << 12)
        dims = _scalar(file, "<I")
        if dims > 4:
            raise ValueError(f"tensor {name!r} has {dims} dimensions")
        values = math.prod(_scalar(file, "<Q") for _ in range(dims))
        kind, offset = _scalar(file, "<I"), _scalar(file, "<Q")
        if values > 1 << 44:
            raise ValueError(f"tensor {name!r} has {values} values")
        word, block, width = _TYPES.get(kind, (f"type {kind}", 0, 0))
        if block:
            end = max(end, offset + -(-values // block) * width)
        parameters += values
        by_type[word] = by_type.get(word, 0) + values
        table = (word, values) if name == "token_embd.weight" else table
        has_output = has_output or name == "output.weight"
    begin = _aligned(file.tell(), facts.get("general.alignment", 32))
    if num_tensors and begin + end > size:
        raise ValueError(f"it is cut off: {size} bytes, its tensors end at {begin + end}")
    most = max(by_type, key=by_type.__getitem__).lower() if by_type else None
    multiplied = {
        word: values - (table[1] if has_output and word == table[0] else 0) for word, values in by_type.items()
    }
    return GgufHeader(facts, parameters, most, size, lengths, multiplied)


class _Long:
    """An array whose values were passed over."""

    def __init__(self, length: int) -> None:
        self.length = length


def _value(file: BinaryIO, kind: int) -> Any:
    if kind in _SCALARS:
        return _scalar(file, _SCALARS[kind])
    if kind == 8:
        return _string(file, _MAX_STRING)
    if kind != 9:
        raise ValueError(f"a fact of unknown type {kind}")
    of, length = _scalar(file, "<I"), _scalar(file, "<Q")
    if length > _MAX_ARRAY:
        raise ValueError(f"an array of {length} values")
    if of in _SCALARS and length > _KEPT_ARRAY:
        _skip(file, length * struct.calcsize(_SCALARS[of]))
        return _Long(length)
    if of == 8 and length > _KEPT_ARRAY:
        for _ in range(length):
            _skip(file, _scalar(file, "<Q"))
        return _Long(length)
    if of == 9:
        raise ValueError("an array of arrays")
    return [_value(file, of) for _ in range(length)]


def _scalar(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, _exactly(file, struct.calcsize(form)))[0]


def _string(file: BinaryIO, limit: int) -> str:
    length = _scalar(file, "<Q")
    if length > limit:
        raise ValueError(f"a text of {length} bytes")
    return _exactly(file, length).decode("utf-8", errors="replace")


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise EOFError("it ends within its head")
    return found


def _skip(file: BinaryIO, count: int) -> None:
    if count > _MAX_STRING * 8:
        raise ValueError(f"a value of {count} bytes")
    if count <= 4096:  # most: a seek would throw the buffer away
        _exactly(file, count)
        return
    file.seek(count, os.SEEK_CUR)
    if file.tell() > os.fstat(file.fileno()).st_size:
        raise EOFError("it ends within its head")


def _aligned(position: int, alignment: Any) -> int:
    step = alignment if isinstance(alignment, int) and 1 <= alignment <= 1 << 20 else 32
    return -(-position // step) * step
