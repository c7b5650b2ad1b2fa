"""Documents in: the job kind ``ingest`` (load, split, embed, publish), resumable at every step.

What a kill -9 can cut off, and what happens then:

- the upload: file and row are made before it is acknowledged; a file without a row is swept away later
- reading and splitting: nothing was written, it starts again
- embedding: each batch is committed under the hash of its text, so that only the missing ones are computed
- publishing: one commit makes the document findable in every index; before it nothing is, after it everything
  (``publish`` says how with a store that is not part of that commit)

So no document is lost and none is doubled, wherever the kill falls; ``tests/e2e/test_ingest_kill.py`` proves it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zhilu.errors import CancelledByUser, InputError, ZhiluError
from zhilu.home import file_lock
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.rag.index.embedding import TextEmbedder, embedder_of
from zhilu.rag.index.publish import clear_leftovers, publish, withdraw
from zhilu.rag.index.split import split
from zhilu.rag.index.staging import has_chunks, keep_vectors, stage_chunks, without_vector
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import Loaded, load_limited
from zhilu.rag.records import Document

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
    kb.assign([d.id for d in waiting], job.id)
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
                outcome["ready"] += kb.status_of(doc_id) == "ready"
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
                if kb.status_of(doc_id) is None:
                    continue  # it was deleted while it was read
                if not isinstance(error, ZhiluError):
                    raise
                withdraw(kb, doc_id)
                kb.mark([doc_id], "failed", error)
                outcome["failed"] += 1
                job.log(f"{name}: {error.message.en}")
    with _one_at_a_time(job, kb):
        clear_leftovers(kb, is_locked=True)
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
    if not has_chunks(kb, doc_id):
        report(0.0, T(en="Reading", zh="读取"))
        loaded = loaded or load_limited(kb.original(doc_id), kb.document(doc_id).name)
        report(0.1, T(en="Splitting", zh="切分"))
        stage_chunks(kb, doc_id, loaded, split(loaded.text, loaded.outline, loaded.pages))
    if embedder is not None:
        _embed_missing(kb, doc_id, embedder, report)
    report(0.95, T(en="Indexing", zh="建立索引"))
    return publish(kb, doc_id)


def _embed_missing(kb: KnowledgeBase, doc_id: str, embedder: TextEmbedder, report: Report) -> None:
    """Embed the chunks whose text has no vector yet, alike lengths together (a batch costs its longest text).

    Chunks in a language the embedder does not know get no vector: it would rank them badly (recall@5 0.26 on Chinese
    with an English one), and BM25 finds them.
    """
    texts = without_vector(kb, [doc_id], embedder.languages)
    for at in range(0, len(texts), BATCH):
        report(0.15 + 0.8 * at / len(texts), T(en="Embedding", zh="向量化"))
        batch = texts[at : at + BATCH]
        keep_vectors(kb, batch, embedder.embed([t.text for t in batch], kind="passage"))


def _is_waiting(kb: KnowledgeBase, doc_id: str) -> bool:
    """False once it is ready or failed, and when it was deleted while its job waited."""
    return kb.status_of(doc_id) in ("queued", "ingesting")


@contextmanager
def _one_at_a_time(job: JobContext, kb: KnowledgeBase) -> Iterator[None]:
    """Two jobs may hold the same document (a second one was submitted after a crash); the lock dies with its process."""
    while True:
        with file_lock(kb.ingest_lock, blocking=False) as held:
            if held:
                yield
                return
        job.check()
        time.sleep(0.2)


def _cancelled() -> InputError:
    return InputError(T(en="Reading was cancelled.", zh="读取已取消。"), code="cancelled")
