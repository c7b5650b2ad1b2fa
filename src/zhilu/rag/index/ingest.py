"""Documents in: the job kind ``ingest`` (load, split, embed, publish), resumable at every step.

What a kill -9 can cut off, and what happens then:

- the upload: file and row are made before it is acknowledged; a file without a row is swept away later
- reading and splitting: nothing was written, it starts again
- embedding: each batch is committed under the hash of its text, so that only the missing ones are computed
- publishing: one transaction makes the document findable in every index; before it nothing is, after it everything

So no document is lost and none is doubled, wherever the kill falls; ``tests/e2e/test_ingest_kill.py`` proves it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from zhilu.errors import CancelledByUser, InputError, ZhiluError
from zhilu.home import file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.prompts import language_of
from zhilu.rag.index.embedding import TextEmbedder, embedder_of
from zhilu.rag.index.lexical import segment
from zhilu.rag.index.split import split
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import Loaded, load_limited
from zhilu.rag.records import Document, utc_now
from zhilu.rag.stores import Filter, VectorRow

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["INGEST", "ingest_document", "requeue_stranded", "run_ingest", "start_ingestion"]

BATCH = 32  # passages embedded and committed at a time

Report = Callable[[float, T], None]  # share of this document done, stage


def start_ingestion(context: Context, kb: KnowledgeBase, documents: Iterable[Document]) -> Job | None:
    """Queue a job for the documents that wait; None if there is none."""
    waiting = [d for d in documents if d.status == "queued"]
    if not waiting:
        return None
    first = waiting[0].name
    more = len(waiting) - 1
    title = T(
        en=f"Read {first}" + (f" and {more} more" if more else "") + f" into {kb.name}",
        zh=f"读入 {first}" + (f" 等 {more + 1} 个文档" if more else "") + f"，知识库：{kb.name}",
    )
    job = JobStore(context).submit("ingest", {"kb": kb.id, "documents": [d.id for d in waiting]}, title)
    with kb.database.write() as connection:
        connection.executemany("UPDATE documents SET job_id = ? WHERE id = ?", [(job.id, d.id) for d in waiting])
    return job


def requeue_stranded(context: Context, kb: KnowledgeBase) -> Job | None:
    """Look after documents that wait for a job which will never come.

    Without a job (a kill fell between upload and submission) they get one now; where their job was cancelled or failed
    before it reached them they are failed with that reason, and can be tried again.
    """
    waiting = [d for d in kb.documents() if d.status in ("queued", "ingesting")]
    if not waiting:
        return None
    jobs = {job.id: job for job in JobStore(context).list(kind="ingest")}
    stranded = []
    for document in waiting:
        job = jobs.get(document.job_id or "")
        if job is None or job.status == "done":
            stranded.append(document)
        elif job.status == "cancelled":
            kb.mark([document.id], "failed", _cancelled())
        elif job.status == "failed":
            message = (job.error or {}).get("messages") or {"en": "The job failed.", "zh": "任务失败。"}
            kb.mark([document.id], "failed", ZhiluError(T.of(message), code="ingest_failed"))
    kb.mark([d.id for d in stranded], "queued")
    return start_ingestion(context, kb, [kb.document(d.id) for d in stranded])


def run_ingest(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """Ingest the documents ``params["documents"]`` of knowledge base ``params["kb"]``; one that fails stops no other."""
    kb = Library(job.context).open(params["kb"])
    outcome: dict[str, Any] = {"ready": 0, "failed": 0, "documents": params["documents"]}
    embedder = embedder_of(job.context, kb.embedder)
    started = time.monotonic()
    for number, doc_id in enumerate(params["documents"]):
        job.check()
        with _one_at_a_time(job, kb):
            if not _is_waiting(kb, doc_id):
                outcome["ready"] += _status(kb, doc_id) == "ready"
                continue
            name = kb.document(doc_id).name

            def report(share: float, stage: T, number: int = number, name: str = name) -> None:
                job.progress((number + share) / len(params["documents"]), stage, name)

            try:
                num_chunks = ingest_document(kb, doc_id, embedder, report)
                outcome["ready"] += 1
                job.log(f"{name}: {num_chunks} chunks, {time.monotonic() - started:.1f} s so far")
            except CancelledByUser as error:
                if error.code == "cancelled":  # not when the machine shuts down: then the next worker goes on
                    waiting = [d for d in params["documents"] if _is_waiting(kb, d)]
                    kb.mark(waiting, "failed", _cancelled())
                raise
            except (ZhiluError, sqlite3.IntegrityError) as error:
                if _status(kb, doc_id) is None:
                    continue  # it was deleted while it was read
                if not isinstance(error, ZhiluError):
                    raise
                kb.forget(doc_id)
                kb.mark([doc_id], "failed", error)
                outcome["failed"] += 1
                job.log(f"{name}: {error.message.en}")
    return outcome


INGEST = JobKind(name="ingest", run=run_ingest, resumable=True)


def ingest_document(
    kb: KnowledgeBase, doc_id: str, embedder: TextEmbedder | None, report: Report, loaded: Loaded | None = None
) -> int:
    """Take one document from its file (or from ``loaded``, if that was read already) to every index.

    Returns the number of its chunks.

    Raises:
        ZhiluError: the file cannot be read; nothing of it is findable.
    """
    kb.mark([doc_id], "ingesting")
    if kb.database.value("SELECT COUNT(*) FROM chunks WHERE doc_id = ?", (doc_id,)) == 0:
        report(0.0, T(en="Reading", zh="读取"))
        loaded = loaded or load_limited(kb.original(doc_id), kb.document(doc_id).name)
        report(0.1, T(en="Splitting", zh="切分"))
        _stage_chunks(kb, doc_id, loaded)
    if embedder is not None:
        _embed_missing(kb, doc_id, embedder, report)
    report(0.95, T(en="Indexing", zh="建立索引"))
    return _publish(kb, doc_id)


def _stage_chunks(kb: KnowledgeBase, doc_id: str, loaded: Loaded) -> None:
    """Write text and chunks; no index knows them yet."""
    chunks = split(loaded.text, loaded.outline, loaded.pages)
    rows = []
    for ordinal, chunk in enumerate(chunks):
        text = loaded.text[chunk.start : chunk.end]
        sha = hashlib.sha256(_to_embed(chunk.heading, text).encode()).digest()
        rows.append((doc_id, ordinal, chunk.start, chunk.end, chunk.page, chunk.heading, language_of(text), text, sha))
    pages, outline = ([asdict(x) for x in xs] for xs in (loaded.pages, loaded.outline))
    with kb.database.write() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO texts VALUES (?, ?, ?, ?)",
            (doc_id, loaded.text, json.dumps(pages), json.dumps(outline, ensure_ascii=False)),
        )
        connection.executemany(
            "INSERT INTO chunks (doc_id, ordinal, start, end, page, heading, lang, text, text_sha)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        connection.execute(
            "UPDATE documents SET mime = ?, lang = ?, num_chars = ?, num_pages = ?, num_chunks = ? WHERE id = ?",
            (
                loaded.mime, language_of(loaded.text[:50_000]), len(loaded.text), len(loaded.pages) or None,
                len(rows), doc_id,
            ),
        )  # fmt: skip


def _embed_missing(kb: KnowledgeBase, doc_id: str, embedder: TextEmbedder, report: Report) -> None:
    """Embed the chunks whose text has no vector yet, alike lengths together (a batch costs its longest text).

    Chunks in a language the embedder does not know get no vector: it would rank them badly (recall@5 0.26 on Chinese
    with an English one), and BM25 finds them.
    """
    rows = kb.database.rows(
        "SELECT DISTINCT text_sha, heading, text FROM chunks WHERE doc_id = ?"
        " AND lang IN (SELECT value FROM json_each(?))"
        " AND text_sha NOT IN (SELECT text_sha FROM embeddings) ORDER BY LENGTH(text)",
        (doc_id, json.dumps(embedder.languages)),
    )
    for at in range(0, len(rows), BATCH):
        report(0.15 + 0.8 * at / len(rows), T(en="Embedding", zh="向量化"))
        batch = rows[at : at + BATCH]
        vectors = embedder.embed([_to_embed(r["heading"], r["text"]) for r in batch], kind="passage")
        with kb.database.write() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO embeddings VALUES (?, ?)",
                [(r["text_sha"], v.astype(np.float16).tobytes()) for r, v in zip(batch, vectors, strict=True)],
            )


def _publish(kb: KnowledgeBase, doc_id: str) -> int:
    """Make the document findable: lexical index, vectors and status in one transaction."""
    name = PurePath(kb.document(doc_id).name).stem
    with kb.database.write() as connection:
        chunks = connection.execute(
            "SELECT c.id, c.heading, c.lang, c.text, e.vector FROM chunks c"
            " LEFT JOIN embeddings e ON e.text_sha = c.text_sha WHERE c.doc_id = ? ORDER BY c.ordinal",
            (doc_id,),
        ).fetchall()
        connection.executemany("DELETE FROM lexical WHERE rowid = ?", [(c["id"],) for c in chunks])
        connection.executemany(
            "INSERT INTO lexical (rowid, title, body) VALUES (?, ?, ?)",
            [(c["id"], segment(f"{name} {c['heading']}"), segment(c["text"])) for c in chunks],
        )
        kb.store.delete(Filter(doc_ids=[doc_id]))
        kb.store.upsert(
            [
                VectorRow(c["id"], np.frombuffer(c["vector"], np.float16).astype(np.float32), doc_id, c["lang"])
                for c in chunks
                if c["vector"] is not None
            ]
        )
        connection.execute(
            "UPDATE documents SET status = 'ready', error = NULL, updated_at = ? WHERE id = ?", (utc_now(), doc_id)
        )
    return len(chunks)


def _to_embed(heading: str, text: str) -> str:
    """A chunk is embedded under its headings: "Requirements" alone does not say of what."""
    return f"{heading}\n{text}" if heading else text


def _status(kb: KnowledgeBase, doc_id: str) -> str | None:
    found: str | None = kb.database.value("SELECT status FROM documents WHERE id = ?", (doc_id,))
    return found


def _is_waiting(kb: KnowledgeBase, doc_id: str) -> bool:
    """False once it is ready or failed, and when it was deleted while its job waited."""
    return _status(kb, doc_id) in ("queued", "ingesting")


@contextmanager
def _one_at_a_time(job: JobContext, kb: KnowledgeBase) -> Iterator[None]:
    """Two jobs may hold the same document (a second one was submitted after a crash); the lock dies with its process."""
    while True:
        with file_lock(kb.folder / "ingest.lock", blocking=False) as held:
            if held:
                yield
                return
        job.check()
        time.sleep(0.2)


def _cancelled() -> InputError:
    return InputError(T(en="Reading was cancelled.", zh="读取已取消。"), code="cancelled")
