"""The seam to vector databases: six methods that SQLite, FAISS, Milvus, pgvector and Chroma can all implement."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import InputError, MissingComponentError, ZhiluError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.rag.database import KbDatabase

__all__ = ["Filter", "StoreFacts", "StoreKind", "StorePlace", "Vector", "VectorRow", "VectorStore", "check_length"]

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
        transactional: a write takes part in the transaction that publishes the document. Where it does not, the vectors
            are written and counted first, and the document becomes findable afterwards (see ``index.publish``).
        elsewhere: the rows are on a server, not in the knowledge base's folder: they must be dropped before it is deleted.
    """

    name: str
    title: T
    exact: bool
    many_processes: bool
    transactional: bool
    elsewhere: bool = False


@dataclass(frozen=True)
class StorePlace:
    """What a back end is opened with: the knowledge base's own file, its folder (for files beside it) and ``dim``, the
    length of its vectors (0 where it has no embedder). ``key`` names the knowledge base (letters and digits) in a
    database that others share, and ``url`` says where that is (see ``StoreKind.url_setting``)."""

    database: KbDatabase
    folder: Path
    dim: int
    key: str = "vectors"
    url: str | None = None


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

    def drop(self) -> None:
        """Delete everything that the store keeps of this knowledge base; it is empty after it."""

    def close(self) -> None:
        """Let go of files and connections; the store is not used after it."""


@dataclass(frozen=True)
class StoreKind:
    """A back end as the entry points ``zhilu.stores`` name it.

    Attributes:
        facts: known without importing the library behind it.
        open: the store at a place, made on first use. Raises ``MissingComponentError`` where a library is not installed.
        needs: modules that must be installed; ``install`` is the command that does it.
        url_setting: the setting that says where its server is; None where it needs no server.
    """

    facts: StoreFacts
    open: Callable[[StorePlace], VectorStore]
    needs: tuple[str, ...] = ()
    install: str | None = None
    url_setting: str | None = None

    def refusal(self, url: str | None) -> ZhiluError | None:
        """Why it cannot be had here, and the command that mends it; None if it can. Imports nothing, connects to nothing."""
        name = self.facts.title
        if any(importlib.util.find_spec(module) is None for module in self.needs):
            return MissingComponentError(
                T(
                    f"The vector store {name.en} is not installed ({', '.join(self.needs)}).",
                    f"向量库 {name.zh} 没有安装（{'、'.join(self.needs)}）。",
                ),
                fix=self.install,
            )
        if self.url_setting is not None and not url:
            return InputError(
                T(
                    f"The vector store {name.en} needs to know where its server is: set {self.url_setting}.",
                    f"向量库 {name.zh} 需要知道服务器地址：请设置 {self.url_setting}。",
                ),
                code="store_url_missing",
                param=self.url_setting,
                fix=f"zhilu settings set {self.url_setting} URL",
            )
        return None

    def check(self, url: str | None) -> None:
        """
        Raises:
            MissingComponentError, InputError: as ``refusal`` says.
        """
        if (refusal := self.refusal(url)) is not None:
            raise refusal


def check_length(rows: Sequence[VectorRow], dim: int) -> None:
    """
    Raises:
        ValueError: a vector is not of shape ``(dim,)``.
    """
    for row in rows:
        if row.vector.shape != (dim,):
            raise ValueError(f"chunk {row.id}: vector of shape {row.vector.shape}, the store's is ({dim},)")
