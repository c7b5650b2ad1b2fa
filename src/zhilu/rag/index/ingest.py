"""Documents in: the job kind ``ingest`` (load, split, embed, publish), resumable at every step.

What a kill -9 can interrupt, and what happens then:

- the upload: file and row are made before it is acknowledged; a file without a row is removed later
- reading and splitting: nothing was written, it starts again
- embedding: each batch is committed under the hash of its text, so only the missing vectors are computed
- publishing: one commit makes the document findable in every index; before it, nothing is findable, after it, everything
  (``publish`` says how with a store that is not part of that commit)

So no document is lost and none is doubled, wherever the kill hits; ``tests/e2e/test_ingest_kill.py`` proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from zhilu.errors import CancelledByUser, ZhiluError
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.rag.index.embedding import TextEmbedder, embedder_of
from zhilu.rag.index.groups import Ingestion, cancelled, embed_missing
from zhilu.rag.index.publish import publish
from zhilu.rag.index.split import split
from zhilu.rag.index.staging import has_chunks, stage_chunks
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import Loaded, Reader, ScanReader, load_limited, refuse_scans
from zhilu.rag.records import Document

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["INGEST", "ingest_document", "requeue_stranded", "run_ingest", "start_ingestion"]

Report = Callable[[float, T], None]  # share of this document done, stage


def start_ingestion(context: Context, kb: KnowledgeBase, documents: Iterable[Document]) -> Job | None:
    """The job that reads the documents which wait: the one that reads this knowledge base already, else a new one; None if
    no document waits."""
    waiting = [d for d in documents if d.status == "queued"]
    if not waiting:
        return None
    several = "documents" if len(waiting) > 1 else "document"
    # Their names are the documents' own: they go when a document is deleted, and a job's title stays.
    title = T(f"Read {len(waiting)} {several} into {kb.name}", f"读入 {len(waiting)} 个文档，知识库：{kb.name}")
    store, ids = JobStore(context), [d.id for d in waiting]
    with kb.database.write():  # a job that ends asks for more under the same lock, so that none is left behind
        running = kb.database.meta("ingest_job")
        if running and any(job.id == running and not job.ended for job in store.list(kind="ingest")):
            kb.assign(ids, running)
            return store.get(running)
    job = store.submit("ingest", {"kb": kb.id, "documents": ids}, title)
    kb.assign(ids, job.id)
    kb.database.set_meta(ingest_job=job.id)
    return job


def requeue_stranded(context: Context, kb: KnowledgeBase) -> Job | None:
    """Look after documents that wait for a job which will never come.

    Without a job (a kill fell between upload and submission) they get one now; where their job was cancelled or failed
    before it reached them they are failed with that reason, and can be tried again.
    """
    waiting = kb.waiting()
    if not waiting:
        return None
    jobs = {job.id: job for job in JobStore(context).list(kind="ingest")}
    stranded = []
    for document in waiting:
        job = jobs.get(document.job_id or "")
        if job is None or job.status == "done":
            stranded.append(document)
        elif job.status == "cancelled":
            kb.mark([document.id], "failed", cancelled())
        elif job.status == "failed":
            message = (job.error or {}).get("messages") or {"en": "The job failed.", "zh": "任务失败。"}
            kb.mark([document.id], "failed", ZhiluError(T.of(message), code="ingest_failed"))
    kb.mark([d.id for d in stranded], "queued")
    return start_ingestion(context, kb, [kb.document(d.id) for d in stranded])


def run_ingest(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """Ingest the documents ``params["documents"]`` of knowledge base ``params["kb"]``, and those that were uploaded to it
    meanwhile; one that fails stops no other."""
    kb = Library(job.context).open(params["kb"])
    with Reader() as reader, ScanReader() as scans:
        ingestion = Ingestion(job, kb, embedder_of(job.context, kb.embedder), reader, params["documents"], scans)
        try:
            ingestion.run()
        except CancelledByUser as error:
            if error.code == "cancelled":  # not when the machine shuts down: then the next worker goes on
                kb.mark(ingestion.waiting(), "failed", cancelled())
            raise
    return {"ready": ingestion.num_ready, "failed": ingestion.num_failed, "documents": params["documents"]}


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
        loaded = loaded or refuse_scans(load_limited(kb.original(doc_id), kb.document(doc_id).name))
        report(0.1, T(en="Splitting", zh="切分"))
        stage_chunks(kb, doc_id, loaded, split(loaded.text, loaded.outline, loaded.pages))
    if embedder is not None:
        embed_missing(kb, [doc_id], embedder, lambda share: report(0.15 + 0.8 * share, T(en="Embedding", zh="向量化")))
    report(0.95, T(en="Indexing", zh="建立索引"))
    return publish(kb, doc_id)
