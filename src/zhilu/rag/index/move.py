"""Moves the vectors of a knowledge base to another store, without embedding anything again.

They are taken from the knowledge base's own file, which keeps the vector of every passage; so a store whose server is gone can
be moved away from, too. How far it has come is noted after every batch: a job that was killed goes on there. While it copies,
the old store answers. Then, under the file's write lock, the new one is checked: as many rows as published passages, and
a few searches whose answers are known from the file. Only when they agree the knowledge base changes over, in one commit, and
after that the old store is emptied.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import ConflictError, UpstreamError, ZhiluError
from zhilu.home import file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.stores import STORES, Filter, Vector, VectorRow, VectorStore
from zhilu.rag.stores.offers import url_of

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["MOVE", "run_move", "start_move"]

_BATCH = 1_000  # rows a step; after each the place is noted
_SAMPLES, _NEAREST = 5, 10
_AGREE = 5e-3  # cosines of half-precision vectors
_PUBLISHED = "FROM chunks c JOIN documents d ON d.id = c.doc_id JOIN embeddings e ON e.text_sha = c.text_sha WHERE d.status = 'ready'"


def start_move(context: Context, kb: KnowledgeBase, store: str) -> Job:
    """The job that moves the vectors of ``kb`` to ``store``.

    Raises:
        NotFoundError: no such store. MissingComponentError, InputError: it cannot be had here; ``fix`` says how.
        ConflictError: they are there already.
    """
    kind = STORES.get(store)
    kind.check(url_of(kind, context.settings))
    if store == kb.store_name:
        raise ConflictError(
            T(
                f"The vectors of {kb.name!r} are in {kind.facts.title.en} already.",
                f"知识库 {kb.name!r} 的向量已经在 {kind.facts.title.zh} 里。",
            ),
            code="already_there",
        )
    title = T(f"Move the vectors of {kb.name} to {store}", f"把知识库 {kb.name} 的向量移到 {store}")
    return JobStore(context).submit("kb-move", {"kb": kb.id, "store": store}, title)


def run_move(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """Copy, check, change over, empty the old one. May be repeated at any point."""
    kb, store = Library(job.context).open(params["kb"]), str(params["store"])
    old = kb.store_name
    if old == store:  # changed over before the kill; what is left is to empty the old one
        old = str(kb.database.meta("moved_from") or store)
        return {"kb": kb.id, "from": old, "to": store, "vectors": _count(kb), "kept": _empty_old(kb, old, store)}
    target = STORES.get(store).open(kb.place(store))
    try:
        with _alone(job, kb):
            num = _copy(job, kb, store, target)
            job.progress(0.95, T("Checking", "核对"))
            _change_over(kb, old, store, target)
    finally:
        target.close()
    kb.write_card()
    return {"kb": kb.id, "from": old, "to": store, "vectors": num, "kept": _empty_old(kb, old, store)}


MOVE = JobKind(name="kb-move", run=run_move, resumable=True)


def _alone(job: JobContext, kb: KnowledgeBase) -> ExitStack:
    """The lock of the one who publishes: waits for an ingestion to come to the end of its group."""
    stack = ExitStack()
    while not stack.enter_context(file_lock(kb.ingest_lock, blocking=False)):
        stack.close()
        job.check()
        time.sleep(0.2)
    return stack


def _count(kb: KnowledgeBase) -> int:
    return int(kb.database.value(f"SELECT COUNT(*) {_PUBLISHED}"))


def _copy(job: JobContext, kb: KnowledgeBase, store: str, target: VectorStore) -> int:
    """All published rows, in the order of their ids, from where an earlier attempt stopped."""
    noted = json.loads(kb.database.meta("moving") or "{}")
    if noted.get("to") != store:
        target.drop()
        noted = {"to": store, "after": 0}
        kb.database.set_meta(moving=json.dumps(noted))
    after, num = int(noted["after"]), _count(kb)
    done = int(kb.database.value(f"SELECT COUNT(*) {_PUBLISHED} AND c.id <= ?", (after,)))
    while True:
        job.progress(0.95 * done / max(num, 1), T("Copying", "复制"), f"{done} / {num}")
        rows = kb.database.rows(
            f"SELECT c.id, c.doc_id, c.lang, e.vector {_PUBLISHED} AND c.id > ? ORDER BY c.id LIMIT ?", (after, _BATCH)
        )
        if not rows:
            return num
        target.upsert([VectorRow(r["id"], _vector(r["vector"]), r["doc_id"], r["lang"]) for r in rows])
        after, done = rows[-1]["id"], done + len(rows)
        kb.database.set_meta(moving=json.dumps({"to": store, "after": after}))


def _change_over(kb: KnowledgeBase, old: str, store: str, target: VectorStore) -> None:
    """Check and commit, while no document can come or go.

    Raises:
        UpstreamError: the new store does not hold, or does not find, what it was given; the old one stays.
    """
    with kb.database.write() as connection:
        _delete_withdrawn(kb, target)
        there, num = target.count(), _count(kb)
        agree = sum(_finds(target, query, best) for query, best in _known_searches(kb)) if there == num else 0
        if there != num or agree < min(_SAMPLES, num):
            raise UpstreamError(
                T(
                    f"{store!r} holds {there} of {num} vectors, and {agree} of {min(_SAMPLES, num)} searches agree: the knowledge"
                    f" base stays with {old!r}.",
                    f"{store!r} 保存了 {num} 个向量中的 {there} 个，{min(_SAMPLES, num)} 次检索中有 {agree} 次一致：知识库仍使用 {old!r}。",
                ),
                code="store_incomplete",
            )
        kb.database.set_meta(store=store, moved_from=old)
        connection.execute("DELETE FROM leftover")  # of the old store, which is emptied
        connection.execute("DELETE FROM meta WHERE key = 'moving'")


def _delete_withdrawn(kb: KnowledgeBase, target: VectorStore) -> None:
    """Passages that were withdrawn after they were copied."""
    if target.count() == _count(kb):
        return
    published = {r[0] for r in kb.database.rows(f"SELECT c.id {_PUBLISHED}")}
    last = int(kb.database.value("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'chunks'"))
    others = [i for i in range(1, last + 1) if i not in published]
    for at in range(0, len(others), 10_000):
        target.delete(Filter(ids=others[at : at + 10_000]))


def _known_searches(kb: KnowledgeBase) -> list[tuple[Vector, NDArray[np.float32]]]:
    """A few vectors from all over the knowledge base, each with the cosines of what is nearest to it, the best first."""
    ids = [r[0] for r in kb.database.rows(f"SELECT c.id {_PUBLISHED} ORDER BY c.id")]
    if not ids:
        return []
    chosen = [ids[i] for i in np.linspace(0, len(ids) - 1, min(_SAMPLES, len(ids))).astype(int)]
    rows = kb.database.rows(
        f"SELECT e.vector {_PUBLISHED} AND c.id IN (SELECT value FROM json_each(?)) ORDER BY c.id",
        (json.dumps(chosen),),
    )
    queries = np.stack([_vector(r[0]) for r in rows])  # (num_samples, dim)
    scores = np.empty((len(rows), 0), np.float32)
    after = 0
    while part := kb.database.rows(
        f"SELECT c.id, e.vector {_PUBLISHED} AND c.id > ? ORDER BY c.id LIMIT ?", (after, 4 * _BATCH)
    ):
        after = part[-1][0]
        near = queries @ np.stack([_vector(r[1]) for r in part]).T
        scores = -np.sort(-np.concatenate([scores, near], axis=1), axis=1)[:, :_NEAREST]
    return list(zip(queries, scores, strict=True))


def _finds(target: VectorStore, query: Vector, best: NDArray[np.float32]) -> bool:
    """Whether the nearest are as near as they should be; an approximate index may miss one in ten."""
    found = [score for _, score in target.search(query, len(best))]
    if len(found) != len(best):
        return False
    close = np.abs(np.array(found) - best) <= _AGREE
    return bool(close.all() if target.facts.exact else close[0] and close.mean() >= 0.9)


def _empty_old(kb: KnowledgeBase, old: str, store: str) -> dict[str, Any] | None:
    """Empty the store that was left; why it could not be, where it could not."""
    if old == store:
        return None
    try:
        before = STORES.get(old).open(kb.place(old))
        try:
            before.drop()
        finally:
            before.close()
    except ZhiluError as error:  # a server that is gone, a library that was removed: that may be why it was moved
        return {"messages": error.message.data()}
    with kb.database.write() as connection:
        connection.execute("DELETE FROM meta WHERE key = 'moved_from'")
    return None


def _vector(blob: bytes) -> Vector:
    return np.frombuffer(blob, np.float16).astype(np.float32)
