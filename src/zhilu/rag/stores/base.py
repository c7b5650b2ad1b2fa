"""The seam to vector databases: five methods that Milvus, pgvector, Chroma and FAISS can all keep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zhilu.messages import T

__all__ = ["Filter", "StoreFacts", "Vector", "VectorRow", "VectorStore"]

Vector = NDArray[np.float32]  # (dim,), L2-normalised


@dataclass(frozen=True)
class VectorRow:
    """One vector with what searches filter by. ``id`` is the chunk's, unique in the knowledge base for good."""

    id: int
    vector: Vector
    doc_id: str
    lang: str


@dataclass(frozen=True)
class Filter:
    """Rows that meet every given condition; None means "any", an empty collection means "none"."""

    ids: Collection[int] | None = None
    doc_ids: Collection[str] | None = None
    langs: Collection[str] | None = None

    def accepts(self, row: VectorRow) -> bool:
        return (
            (self.ids is None or row.id in self.ids)
            and (self.doc_ids is None or row.doc_id in self.doc_ids)
            and (self.langs is None or row.lang in self.langs)
        )


@dataclass(frozen=True)
class StoreFacts:
    """What a back end is and can do; decisions read this, never its name.

    Attributes:
        exact: the nearest rows are really the nearest (no approximate index).
        many_processes: another process's committed writes are seen by the next search.
        transactional: a write takes part in the transaction that publishes the document.
    """

    name: str
    title: T
    exact: bool
    many_processes: bool
    transactional: bool


class VectorStore(Protocol):
    """Vectors of one knowledge base, compared by cosine (inner product of normalised vectors).

    ``upsert`` and ``delete`` return when the change is durable: a kill -9 after it loses nothing. They may be repeated
    with the same rows without another effect, for an ingestion that was killed does its last step again. ``search`` applies
    the filter before it ranks: with at least k rows accepted it returns k. All methods may be called from any thread.
    """

    facts: StoreFacts

    def upsert(self, rows: Sequence[VectorRow]) -> None:
        """Insert rows, replacing those of the same id. ValueError if a vector's dimension is not the store's."""

    def delete(self, where: Filter) -> int:
        """Remove the rows accepted by ``where``; how many there were."""

    def search(self, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        """At most k ``(id, cosine)``, nearest first."""

    def count(self, where: Filter | None = None) -> int:
        """Number of rows."""

    def close(self) -> None:
        """Let go of files and connections; the store is not used after it."""
