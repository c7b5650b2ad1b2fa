"""zhilu-embed: the project's own embedder for Chinese and English, which ships in the package. A sum of vectors, no network.

A text is cut into units (``units``). Each unit has a vector of int8 values and two weights, one for questions and one for
passages; the weighted sum is scaled to length 1. No word sees another, so a chunk costs a fraction of a millisecond. The
recipe, the card and what was tried are in ``zhilu/training/embed``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.models.embedders.base import Kind
from zhilu.models.embedders.units import bucket_rows, count_tokens, units

if TYPE_CHECKING:
    import numpy as np

    from zhilu.context import Context

__all__ = ["StaticEmbedder", "load", "saturated"]

FORMAT = "zhilu-embed-1"  # of the files: another number, another reader
MAX_TOKENS = 8192


def load(context: Context) -> StaticEmbedder:
    """The embedder whose weights are in the package."""
    from zhilu.models.shipped import EMBED

    return StaticEmbedder(EMBED)


def saturated(count: int) -> float:
    """What ``count`` occurrences of a unit count for: the fourth adds less than the first."""
    return float(count**0.5)


class StaticEmbedder:
    """See ``Embedder``. Safe from several threads: nothing changes after loading."""

    name: str = "zhilu-embed"
    languages: tuple[str, ...] = ("en", "zh")
    max_tokens: int = MAX_TOKENS

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            InputError: the folder holds no weights of this format.
        """
        from zhilu.models.tensors import map_tensors

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("format") != FORMAT:
            raise InputError(
                T(
                    f"{str(folder)!r} holds an embedder of format {config.get('format')!r}, not {FORMAT!r}.",
                    f"{str(folder)!r} 中的向量模型格式是 {config.get('format')!r}，不是 {FORMAT!r}。",
                )
            )
        tensors = map_tensors(folder / "model.safetensors")
        self._table = tensors["table"]  # int8 (vocabulary + buckets, dim); a row's scale is part of its weights
        self._weights: dict[Kind, np.ndarray] = {"query": tensors["query"], "passage": tensors["passage"]}
        names = bytes(tensors["units"]).decode().split("\n")
        self._rows = {unit: row for row, unit in enumerate(names)}
        self._num_buckets = len(self._table) - len(names)
        self.dim = int(self._table.shape[1])
        self.why = T(
            "sums of int8 vectors: nothing to multiply, so one thread is enough",
            "int8 向量加权求和：没有矩阵乘法，一个线程就够",
        ).say()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Words and Chinese characters of each text, as if nothing were cut."""
        return [count_tokens(text) for text in texts]

    def truncate(self, texts: Sequence[str], num_tokens: int) -> list[str]:
        """Each text up to its ``num_tokens``-th word or Chinese character."""
        return [_beginning(text, num_tokens) for text in texts]

    def rows_of(self, text: str) -> tuple[list[int], list[float]]:
        """The table's rows that make up ``text``, and how much each counts before its learned weight."""
        rows: list[int] = []
        counts: list[float] = []
        # A token gives at most two units, so this keeps at least the first MAX_TOKENS.
        for unit, count in Counter(units(text)[: 2 * MAX_TOKENS]).items():
            row = self._rows.get(unit)
            if row is None:
                found = [len(self._rows) + bucket for bucket in bucket_rows(unit, self._num_buckets)]
            else:
                found = [row]
            rows += found
            counts += [saturated(count)] * len(found)
        return rows, counts

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        import numpy as np

        vectors = np.empty((len(texts), self.dim), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            rows, counts = self.rows_of(text)
            weights = self._weights[kind][rows].astype(np.float32) * np.asarray(counts, np.float32)
            np.matmul(weights, self._table[rows].astype(np.float32), out=vector)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _beginning(text: str, num_tokens: int) -> str:
    low, high = 0, len(text)  # the longest beginning that is short enough: tokens only become more
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_tokens(text[:middle]) <= num_tokens else (low, middle - 1)
    return text[:low]
