"""The work of one ingestion job: documents in groups, so that small ones share a batch of the embedder.

A group is read and split document by document, embedded as one, and published document by document. A long document forms a
group alone. If something fails, it fails for one document.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from zhilu.errors import CancelledByUser, InputError, ZhiluError
from zhilu.home import file_lock
from zhilu.jobs import JobContext
from zhilu.messages import T
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.index.publish import clear_leftovers, publish, withdraw
from zhilu.rag.index.split import split
from zhilu.rag.index.staging import has_chunks, keep_vectors, stage_chunks, without_vector
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.load import Reader, ScanReader

__all__ = ["Ingestion", "cancelled", "embed_missing"]

BATCH = 64  # passages embedded and committed at a time
_GROUP_DOCUMENTS = 32
_GROUP_CHUNKS = 256  # a group takes no further document once it has as many

# Shares of a group's time, for the progress that a person sees.
_READ, _EMBEDDED = 0.15, 0.9


def embed_missing(
    kb: KnowledgeBase, doc_ids: Collection[str], embedder: TextEmbedder, report: Callable[[float], None]
) -> None:
    """Embed the chunks of these documents whose text has no vector yet, alike lengths together (a batch costs its longest
    text); ``report`` is told the share that is done.

    Chunks in a language the embedder does not know get no vector: it would rank them badly (recall@5 0.26 on Chinese
    with an English one), and BM25 finds them.
    """
    texts = without_vector(kb, doc_ids, embedder.languages)
    for at in range(0, len(texts), BATCH):
        report(at / len(texts))
        batch = texts[at : at + BATCH]
        keep_vectors(kb, batch, embedder.embed([t.text for t in batch], kind="passage"))


class Ingestion:
    """One run of the job: ``doc_ids`` first, then what was uploaded and given to this job while it ran."""

    def __init__(
        self, job: JobContext, kb: KnowledgeBase, embedder: TextEmbedder | None, reader: Reader, doc_ids: Sequence[str],
        scans: ScanReader,
    ) -> None:  # fmt: skip
        self.job = job
        self.kb = kb
        self.embedder = embedder
        self.reader = reader
        self.scans = scans
        self.num_ready = self.num_failed = 0
        self._todo = list(doc_ids)
        self._seen: list[str] = []
        self._num_done = 0
        self._progress = 0.0
        self._started = time.monotonic()

    def run(self) -> None:
        """
        Raises:
            CancelledByUser: as ``JobContext.check`` does.
        """
        while self._todo or self._more():
            self.job.check()
            with _one_at_a_time(self.job, self.kb):
                group = self._read_group()
                if self.embedder is not None:
                    self._embed(group)
                self._publish(group)
        with _one_at_a_time(self.job, self.kb):
            clear_leftovers(self.kb, is_locked=True)

    def waiting(self) -> list[str]:
        """The documents of this job that are not ready and have not failed."""
        ours = [d.id for d in self.kb.waiting() if d.job_id == self.job.id]
        return [d for d in dict.fromkeys([*self._seen, *self._todo, *ours]) if self._is_waiting(d)]

    def _more(self) -> bool:
        """Take over documents that were given to this job meanwhile; where there are none, it takes no more."""
        with self.kb.database.write():
            seen = set(self._seen)
            self._todo = [d.id for d in self.kb.waiting()
                          if d.job_id == self.job.id and d.status == "queued" and d.id not in seen]  # fmt: skip
            if not self._todo and self.kb.database.meta("ingest_job") == self.job.id:
                self.kb.database.set_meta(ingest_job="")
        return bool(self._todo)

    def _read_group(self) -> list[str]:
        """Read and split the next documents; those that have chunks now."""
        group: list[str] = []
        num_chunks = num_taken = 0
        while self._todo and num_taken < _GROUP_DOCUMENTS and num_chunks < _GROUP_CHUNKS:
            doc_id = self._todo[0]
            self.job.check()
            if self._is_waiting(doc_id):
                with self._alone(doc_id):
                    self._read(doc_id, num_taken)
                    group.append(doc_id)
                    num_chunks += self.kb.document(doc_id).num_chunks
                num_taken += 1
            else:
                self.num_ready += self.kb.status_of(doc_id) == "ready"
                self._num_done += 1
            self._seen.append(self._todo.pop(0))
        return group

    def _read(self, doc_id: str, place: int) -> None:
        kb, name = self.kb, self.kb.document(doc_id).name
        if has_chunks(kb, doc_id):  # as a run left it that was killed
            return
        kb.mark([doc_id], "ingesting")
        self._report(place + 0.1 * _READ, T(en="Reading", zh="读取"))
        original = kb.original(doc_id)

        def report(done: int, total: int) -> None:
            self.job.check()
            stage = T(f"OCR, page {done + 1} of {total}", f"OCR：第 {done + 1} / {total} 页")
            self._report(place + (0.1 + 0.5 * done / total) * _READ, stage)

        loaded, unread = self.scans.complete(
            self.reader.load(original, name), original, report, original.with_name("ocr.jsonl")
        )
        self._report(place + 0.6 * _READ, T(en="Splitting", zh="切分"))
        stage_chunks(kb, doc_id, loaded, split(loaded.text, loaded.outline, loaded.pages), unread)

    def _embed(self, group: Sequence[str]) -> None:
        assert self.embedder is not None

        def report(share: float) -> None:
            self._report(len(group) * (_READ + (_EMBEDDED - _READ) * share), T(en="Embedding", zh="向量化"))

        embed_missing(self.kb, group, self.embedder, report)

    def _publish(self, group: Sequence[str]) -> None:
        for doc_id in group:
            with self._alone(doc_id):
                self._report(_EMBEDDED, T(en="Indexing", zh="建立索引"))
                num_chunks = publish(self.kb, doc_id)
                self.num_ready += 1
                self.job.log(f"{doc_id}: {num_chunks} chunks, {time.monotonic() - self._started:.1f} s so far")
                self._num_done += 1

    @contextmanager
    def _alone(self, doc_id: str) -> Iterator[None]:
        """What goes wrong with one document is that document's failure."""
        try:
            yield
        except (ZhiluError, sqlite3.IntegrityError) as error:
            if isinstance(error, CancelledByUser):
                raise
            if self.kb.status_of(doc_id) is None:
                self._num_done += 1
                return  # it was deleted while it was read
            if not isinstance(error, ZhiluError):
                raise
            withdraw(self.kb, doc_id)
            self.kb.mark([doc_id], "failed", error)
            self.num_failed += 1
            self._num_done += 1
            self.job.log(f"{doc_id}: {error.code}")

    def _report(self, documents: float, stage: T) -> None:
        """``documents``: how much of the group is done, in documents. What is shown never goes back, though more may come. It
        counts them and names none: a job's story is kept when a document is deleted."""
        total = len(self._seen) + len(self._todo)
        self._progress = max(self._progress, min((self._num_done + documents) / max(total, 1), 1.0))
        self.job.progress(self._progress, stage, f"{min(self._num_done + 1, total)} / {total}" if total > 1 else "")

    def _is_waiting(self, doc_id: str) -> bool:
        """False once it is ready or failed, and when it was deleted while its job waited."""
        return self.kb.status_of(doc_id) in ("queued", "ingesting")


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


def cancelled() -> InputError:
    """Why a document was not read."""
    return InputError(T(en="Reading was cancelled.", zh="读取已取消。"), code="cancelled")
