"""Where a document becomes findable, and where it stops being findable.

This is the only module that handles the lexical index, the vector store and the document's status together.

A store that takes part in the file's transaction (``StoreFacts.transactional``) is written in it, and one commit shows
everything. For any other store the file decides: the vectors are written and counted first, then one commit changes the status;
``nearest`` returns no vector whose chunk is not published. What may be left over in such a store is noted in the table
``leftover`` before it can exist: ids are noted before their vectors are written, struck out by the commit that publishes them,
and noted again by the commit that withdraws them. So a kill at any point loses nothing and shows nothing twice, and
``clear_leftovers`` removes what it left.

A new version of a document takes the place of the old one in the very commit that publishes it: until then the old one answers,
from then on the new one, and at no time both or neither.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Protocol

import numpy as np

from zhilu.errors import NotFoundError, UpstreamError
from zhilu.home import file_lock
from zhilu.messages import T
from zhilu.rag.database import KbDatabase
from zhilu.rag.records import utc_now
from zhilu.rag.stores import Filter, StoreFacts, Vector, VectorRow, VectorStore
from zhilu.text.terms import segment

__all__ = ["Indexes", "clear_leftovers", "nearest", "publish", "withdraw"]


class Indexes(Protocol):
    """What publishing needs of a knowledge base: its file, its vector store, and the lock of the one who ingests."""

    @property
    def database(self) -> KbDatabase: ...

    @property
    def store(self) -> VectorStore: ...

    @property
    def store_facts(self) -> StoreFacts: ...

    @property
    def ingest_lock(self) -> Path: ...


def publish(kb: Indexes, doc_id: str) -> int:
    """Make a document findable in every index at once, in the place of its earlier versions; the number of its chunks.

    Where a later version is findable already, this one is not made so any more: its status becomes replaced.

    Raises:
        UpstreamError: the store does not hold what it was given (code ``store_incomplete``); nothing is findable.
        NotFoundError: the document was removed meanwhile.
    """
    chunks = kb.database.rows(
        "SELECT c.id, c.heading, c.lang, c.text, e.vector FROM chunks c"
        " LEFT JOIN embeddings e ON e.text_sha = c.text_sha WHERE c.doc_id = ? ORDER BY c.ordinal",
        (doc_id,),
    )
    vectors = [
        VectorRow(c["id"], np.frombuffer(c["vector"], np.float16).astype(np.float32), doc_id, c["lang"])
        for c in chunks
        if c["vector"] is not None
    ]
    if not kb.store_facts.transactional:
        _write_beside(kb, vectors)
    with kb.database.write() as connection:
        if _is_outdated(connection, doc_id):
            _retire(kb, doc_id)
            return 0
        if kb.store_facts.transactional:
            kb.store.upsert(vectors)
        else:
            connection.executemany("DELETE FROM leftover WHERE id = ?", [(v.id,) for v in vectors])
        _flip(connection, doc_id, PurePath(_name(connection, doc_id)).stem, chunks)
        for (older,) in connection.execute(
            "SELECT o.id FROM documents o JOIN documents d ON d.series = o.series AND d.version > o.version"
            " WHERE d.id = ? AND o.status <> 'replaced'",
            (doc_id,),
        ).fetchall():
            _retire(kb, older)
    return len(chunks)


def withdraw(kb: Indexes, doc_id: str) -> None:
    """Take a document out of every index, and its text; its row and file stay. Part of the caller's transaction: call
    ``clear_leftovers`` when that is committed."""
    with kb.database.write() as connection:
        _take_out(kb, connection, doc_id)
        connection.execute("DELETE FROM texts WHERE doc_id = ?", (doc_id,))


def clear_leftovers(kb: Indexes, *, is_locked: bool = False) -> int:
    """Delete vectors that no published chunk needs from a store that is not transactional; how many were noted.

    Not while a document is being published, for its vectors are noted, too: then 0, and the ingestion clears up when it
    ends (``is_locked``: the caller is that ingestion and holds the lock).
    """
    if kb.store_facts.transactional or kb.database.value("SELECT 1 FROM leftover LIMIT 1") is None:
        return 0
    if not is_locked:
        with file_lock(kb.ingest_lock, blocking=False) as held:
            return clear_leftovers(kb, is_locked=True) if held else 0
    ids = [r[0] for r in kb.database.rows("SELECT id FROM leftover")]
    kb.store.delete(Filter(ids=ids))
    with kb.database.write() as connection:
        connection.executemany("DELETE FROM leftover WHERE id = ?", [(i,) for i in ids])
    return len(ids)


def nearest(kb: Indexes, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
    """At most k ``(chunk id, cosine)`` of published chunks, nearest first."""
    if kb.store_facts.transactional:
        return kb.store.search(vector, k, where)
    wanted = k
    while True:
        found = kb.store.search(vector, wanted, where)
        shown = _published(kb.database, [i for i, _ in found])
        kept = [(i, score) for i, score in found if i in shown]
        if len(kept) >= k or len(found) < wanted:
            return kept[:k]
        wanted *= 2


def _write_beside(kb: Indexes, vectors: Sequence[VectorRow]) -> None:
    """Write vectors to a store of its own: noted first, and counted before anyone may see them."""
    with kb.database.write() as connection:
        connection.executemany("INSERT OR IGNORE INTO leftover VALUES (?)", [(v.id,) for v in vectors])
    kb.store.upsert(vectors)
    there = kb.store.count(Filter(ids=[v.id for v in vectors]))
    if there != len(vectors):
        raise UpstreamError(
            T(
                en=f"The vector store {kb.store_facts.name!r} holds {there} of the {len(vectors)} vectors it was given.",
                zh=f"向量库 {kb.store_facts.name!r} 收到 {len(vectors)} 个向量，却只保存了 {there} 个。",
            ),
            code="store_incomplete",
        )


def _published(database: KbDatabase, ids: Sequence[int]) -> set[int]:
    """Those of the chunks ``ids`` that belong to ready documents."""
    rows = database.rows(
        "SELECT c.id FROM chunks c JOIN documents d ON d.id = c.doc_id"
        " WHERE d.status = 'ready' AND c.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {r[0] for r in rows}


def _name(connection: sqlite3.Connection, doc_id: str) -> str:
    row = connection.execute("SELECT name FROM documents WHERE id = ?", (doc_id,)).fetchone()
    if row is None:
        raise NotFoundError(T(en=f"The document {doc_id!r} was removed.", zh=f"文档 {doc_id!r} 已被删除。"))
    return str(row[0])


def _is_outdated(connection: sqlite3.Connection, doc_id: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM documents n JOIN documents d ON d.series = n.series AND d.version < n.version"
        " WHERE d.id = ? AND n.status = 'ready'",
        (doc_id,),
    ).fetchone()
    return found is not None


def _retire(kb: Indexes, doc_id: str) -> None:
    """Take a version out of every index, because another has taken its place. Its text stays, so that a citation in an
    answer of that time still opens what it cited. In the caller's transaction."""
    with kb.database.write() as connection:
        _take_out(kb, connection, doc_id)
        connection.execute(
            "UPDATE documents SET status = 'replaced', error = NULL, updated_at = ? WHERE id = ?", (utc_now(), doc_id)
        )


def _take_out(kb: Indexes, connection: sqlite3.Connection, doc_id: str) -> None:
    """A document's chunks out of every index, in the caller's transaction."""
    ids = [(r[0],) for r in connection.execute("SELECT id FROM chunks WHERE doc_id = ?", (doc_id,))]
    if kb.store_facts.transactional:
        kb.store.delete(Filter(ids=[i for (i,) in ids]))
    else:
        connection.executemany("INSERT OR IGNORE INTO leftover VALUES (?)", ids)
    connection.executemany("DELETE FROM lexical WHERE rowid = ?", ids)
    connection.execute("DELETE FROM chunks WHERE doc_id = ?", (doc_id,))


def _flip(connection: sqlite3.Connection, doc_id: str, title: str, chunks: Sequence[sqlite3.Row]) -> None:
    """Words and status, in the caller's transaction."""
    connection.execute(
        "DELETE FROM lexical WHERE rowid IN (SELECT value FROM json_each(?))", (json.dumps([c["id"] for c in chunks]),)
    )
    connection.executemany(
        "INSERT INTO lexical (rowid, title, body) VALUES (?, ?, ?)",
        [(c["id"], segment(f"{title} {c['heading']}"), segment(c["text"])) for c in chunks],
    )
    connection.execute("UPDATE documents SET status = 'ready', updated_at = ? WHERE id = ?", (utc_now(), doc_id))
