"""Chroma (Apache-2.0): a collection in the knowledge base's folder, in a process of its own (see ``owner``).

Chroma applies a filter before it ranks, and its graph index is approximate: with the values below, 50 questions to 20,000
vectors of 384 numbers found all of their 50 nearest rows, alone or with a narrow filter, and .9996 of them where the filter accepts
half of the rows. Two processes on one folder would see stale results and can damage its index; that is why it has an owner.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from zhilu.messages import T
from zhilu.rag.stores.base import Filter, StoreFacts, StorePlace, Vector, VectorRow, check_length
from zhilu.rag.stores.owned import owned

__all__ = ["CHROMA", "ChromaStore", "open_chroma"]

_FACTS = StoreFacts(
    "chroma",
    T(en="Chroma, in a process of its own", zh="Chroma，在独立进程中运行"),
    exact=False,
    many_processes=True,
    transactional=False,
)
_HNSW = {"space": "cosine", "max_neighbors": 32, "ef_construction": 200, "ef_search": 200}
_BATCH = 1_000  # rows written, and ids asked for, at a time


class ChromaStore:
    facts = _FACTS

    def __init__(self, place: StorePlace) -> None:
        import chromadb
        from chromadb.config import Settings

        self.dim = place.dim
        self._name = f"zhilu_{place.key}"
        self._lock = threading.Lock()
        self._client: Any = chromadb.PersistentClient(
            path=str(place.folder / "vectors.chroma"), settings=Settings(anonymized_telemetry=False)
        )
        self._rows = self._open()

    def upsert(self, rows: Sequence[VectorRow]) -> None:
        check_length(rows, self.dim)
        last = list({r.id: r for r in rows}.values())  # one call may not name an id twice
        with self._lock:
            for at in range(0, len(last), _BATCH):
                part = last[at : at + _BATCH]
                self._rows.upsert(
                    ids=[str(r.id) for r in part],
                    embeddings=np.stack([r.vector for r in part]).astype(np.float32),
                    metadatas=[{"doc_id": r.doc_id, "lang": r.lang} for r in part],
                )

    def delete(self, where: Filter) -> int:
        with self._lock:
            ids = self._accepted(where)
            for at in range(0, len(ids), _BATCH):
                self._rows.delete(ids=ids[at : at + _BATCH])
            return len(ids)

    def search(self, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        k = min(k, self._rows.count())
        if k <= 0 or (where is not None and _is_none(where)):
            return []
        asked: dict[str, Any] = {"query_embeddings": [np.asarray(vector, np.float32)], "n_results": k}
        if where is not None:
            asked["where"] = _where(where)
            if where.ids is not None:
                asked["ids"] = self._accepted(where)  # a question for an id that is not there is refused
                if not asked["ids"]:
                    return []
        found = self._rows.query(include=["distances"], **asked)
        return [(int(i), 1.0 - float(d)) for i, d in zip(found["ids"][0], found["distances"][0], strict=True)]

    def count(self, where: Filter | None = None) -> int:
        return int(self._rows.count()) if where is None else len(self._accepted(where))

    def drop(self) -> None:
        with self._lock:
            self._client.delete_collection(self._name)
            self._rows = self._open()

    def close(self) -> None:
        self._client.close()

    def _open(self) -> Any:
        return self._client.get_or_create_collection(
            self._name, embedding_function=None, configuration={"hnsw": _HNSW}
        )  # fmt: skip

    def _accepted(self, where: Filter) -> list[str]:
        if _is_none(where):
            return []
        condition = _where(where)
        if where.ids is None:
            return list(self._rows.get(where=condition, include=[])["ids"])
        ids, found = [str(i) for i in sorted(set(where.ids))], []
        for at in range(0, len(ids), _BATCH):
            found += self._rows.get(ids=ids[at : at + _BATCH], where=condition, include=[])["ids"]
        return found


def _is_none(where: Filter) -> bool:
    return any(wanted is not None and not len(wanted) for wanted in (where.ids, where.doc_ids, where.langs))


def _where(where: Filter) -> dict[str, Any] | None:
    parts: list[dict[str, Any]] = [
        {column: {"$in": sorted(set(wanted))}}
        for column, wanted in (("doc_id", where.doc_ids), ("lang", where.langs))
        if wanted is not None
    ]
    if len(parts) > 1:
        return {"$and": parts}
    return parts[0] if parts else None


def open_chroma(place: StorePlace) -> ChromaStore:
    """Chroma itself, in this process: what the owner runs."""
    return ChromaStore(place)


CHROMA = owned(
    _FACTS, "zhilu.rag.stores.chroma:open_chroma", needs=("chromadb",), install="pip install chromadb"
)  # fmt: skip
