"""The default store: vectors as half-precision blobs in the knowledge base's file, searched exactly in memory.

Up to about 200,000 chunks, an exact search in NumPy takes a few milliseconds, is right for every filter and needs nothing
installed. The matrix is loaded once per process and kept up to date by two counters in the file, so the next search sees what
another process has ingested: appended rows are read, and after a deletion everything is read again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zhilu.messages import T
from zhilu.rag.database import KbDatabase
from zhilu.rag.stores.base import Filter, StoreFacts, StoreKind, Vector, VectorRow, check_length

__all__ = ["SQLITE", "SqliteVectorStore"]

_SCHEMA = (
    # seq grows with every insert, also after deletions: "what is new since" is one comparison
    "CREATE TABLE IF NOT EXISTS vectors (seq INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE,"
    " doc_id TEXT NOT NULL, lang TEXT NOT NULL, vector BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS vectors_doc ON vectors(doc_id)",
    "INSERT OR IGNORE INTO meta VALUES ('vectors_deleted', '0')",
    "CREATE TRIGGER IF NOT EXISTS vectors_deleted AFTER DELETE ON vectors BEGIN"
    " UPDATE meta SET value = value + 1 WHERE key = 'vectors_deleted'; END",
)


class _Matrix:
    """A snapshot of all rows; arrays are replaced, never changed, so that a running search keeps its own."""

    def __init__(self, dim: int) -> None:
        self.version = (-1, -1)  # (deletions, last seq)
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        self.docs: NDArray[np.object_] = np.empty(0, object)
        self.langs: NDArray[np.object_] = np.empty(0, object)
        self.vectors: NDArray[np.float32] = np.empty((0, dim), np.float32)


class SqliteVectorStore:
    facts = StoreFacts(
        "sqlite",
        T(en="SQLite, exact search in memory", zh="SQLite，内存中精确检索"),
        exact=True,
        many_processes=True,
        transactional=True,
    )

    def __init__(self, database: KbDatabase, dim: int) -> None:
        self.dim = dim
        self._database = database
        self._lock = threading.Lock()
        self._matrix = _Matrix(dim)
        if database.value("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = 'vectors_deleted'") is None:
            with database.write() as connection:
                for statement in _SCHEMA:
                    connection.execute(statement)

    def upsert(self, rows: Sequence[VectorRow]) -> None:
        check_length(rows, self.dim)
        with self._database.write() as connection:
            connection.executemany("DELETE FROM vectors WHERE id = ?", [(row.id,) for row in rows])
            connection.executemany(
                "INSERT INTO vectors (id, doc_id, lang, vector) VALUES (?, ?, ?, ?)",
                [(row.id, row.doc_id, row.lang, row.vector.astype(np.float16).tobytes()) for row in rows],
            )

    def delete(self, where: Filter) -> int:
        conditions, args = ["1"], []
        for column, wanted in (("id", where.ids), ("doc_id", where.doc_ids), ("lang", where.langs)):
            if wanted is not None:
                conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
                args.append(json.dumps(list(wanted)))
        with self._database.write() as connection:
            return connection.execute(f"DELETE FROM vectors WHERE {' AND '.join(conditions)}", args).rowcount

    def search(self, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        snapshot = self._current()
        rows = np.flatnonzero(_accepted(snapshot, where)) if where is not None else None
        scores = (snapshot.vectors if rows is None else snapshot.vectors[rows]) @ vector.astype(np.float32)  # (n,)
        k = min(k, len(scores))
        if k <= 0:
            return []
        top = np.argpartition(-scores, k - 1)[:k]
        top = top[np.argsort(-scores[top], kind="stable")]
        ids = snapshot.ids if rows is None else snapshot.ids[rows]
        return [(int(ids[i]), float(scores[i])) for i in top]

    def count(self, where: Filter | None = None) -> int:
        snapshot = self._current()
        return len(snapshot.ids) if where is None else int(_accepted(snapshot, where).sum())

    def drop(self) -> None:
        self.delete(Filter())

    def close(self) -> None:
        """The file belongs to the knowledge base, which closes it."""

    def _current(self) -> _Matrix:
        """The snapshot that matches the file now, read further or anew if the file has moved on."""
        with self._lock:
            row = self._database.row(
                "SELECT CAST((SELECT value FROM meta WHERE key = 'vectors_deleted') AS INTEGER),"
                " COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'vectors'), 0)"
            )
            assert row is not None
            version = (int(row[0]), int(row[1]))
            if version != self._matrix.version:
                self._matrix = self._load(version)
            return self._matrix

    def _load(self, version: tuple[int, int]) -> _Matrix:
        old = self._matrix
        after = old.version[1] if version[0] == old.version[0] else 0
        rows = self._database.rows(
            "SELECT id, doc_id, lang, vector FROM vectors WHERE seq > ? AND seq <= ? ORDER BY seq", (after, version[1])
        )
        new = _Matrix(self.dim)
        new.version = version
        vectors = np.frombuffer(b"".join(r["vector"] for r in rows), np.float16).astype(np.float32)
        parts = (
            np.array([r["id"] for r in rows], np.int64),
            np.array([r["doc_id"] for r in rows], object),
            np.array([r["lang"] for r in rows], object),
            vectors.reshape(len(rows), self.dim),
        )
        if after > 0:
            parts = (
                np.concatenate([old.ids, parts[0]]),
                np.concatenate([old.docs, parts[1]]),
                np.concatenate([old.langs, parts[2]]),
                np.concatenate([old.vectors, parts[3]]),
            )
        new.ids, new.docs, new.langs, new.vectors = parts
        return new


def _accepted(snapshot: _Matrix, where: Filter | None) -> NDArray[np.bool_]:
    """Mask over the snapshot's rows, (n,)."""
    mask = np.ones(len(snapshot.ids), bool)
    if where is None:
        return mask
    if where.ids is not None:
        mask &= np.isin(snapshot.ids, np.fromiter(where.ids, np.int64, len(where.ids)))
    for column, wanted in ((snapshot.docs, where.doc_ids), (snapshot.langs, where.langs)):
        if wanted is not None:
            accepted = set(wanted)
            mask &= np.fromiter((value in accepted for value in column), bool, len(column))
    return mask


SQLITE = StoreKind(SqliteVectorStore.facts, lambda place: SqliteVectorStore(place.database, place.dim))
