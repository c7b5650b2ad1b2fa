"""A knowledge base brought in step with a source: the job kind ``kb-sync``, resumable at every document.

What is there is walked through once. A thing with the stamp it had is not read; one with another becomes a new version, unless
its bytes are the same. What is not there any more is deleted, but only after a walk that saw everything, and never when a source
that held something shows nothing at all: an unmounted disk looks like that. What was taken is noted document by document, so a
kill costs one of them, which is then found to be there already.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zhilu.errors import ConflictError, InputError, ZhiluError, error_body
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.logs import as_error
from zhilu.messages import T
from zhilu.rag.index.ingest import start_ingestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.records import Document
from zhilu.rag.sources.base import Found, SourcePlace
from zhilu.rag.sources.book import KbSource, SourceBook
from zhilu.rag.sources.kinds import KINDS
from zhilu.rag.sources.secrets import SourceSecrets

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["SYNC", "keep_in_step", "start_due", "start_sync", "sync"]

_LOOK_EVERY = 30.0  # seconds
_TOGETHER = 50  # documents that are handed to the reading at once
_MOST_REASONS = 20


def start_sync(context: Context, kb: KnowledgeBase, source: KbSource) -> Job:
    """The job that walks through the source now; the one that does so already, if there is one."""
    store = JobStore(context)
    for job in store.list(kind="kb-sync"):
        if not job.ended and job.params.get("source") == source.id:
            return job
    title = T(f"Read {source.address} into {kb.name}", f"读取 {source.address}，知识库：{kb.name}")
    job = store.submit("kb-sync", {"kb": kb.id, "source": source.id}, title)
    SourceBook(kb).note(source.id, job_id=job.id)
    return job


def run_sync(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    kb = Library(job.context).open(params["kb"])
    source = SourceBook(kb).get(params["source"])
    return sync(job, kb, source)


def sync(job: JobContext, kb: KnowledgeBase, source: KbSource) -> dict[str, Any]:
    """One walk: what it did, with ``ingest`` the id of the job that reads what is new (None if nothing is).

    Raises:
        ZhiluError: the source cannot be reached as a whole; what was taken until then stays, nothing is deleted.
    """
    walk = _Walk(job, kb, source)
    error: ZhiluError | None = None
    try:
        walk.run()
    except ZhiluError as problem:
        error = problem
        raise
    finally:
        walk.hand_over()
        walk.book.finished(source.id, walk.report(), error)
    return {**walk.report(), "ingest": walk.ingest}


class _Walk:
    def __init__(self, job: JobContext, kb: KnowledgeBase, source: KbSource) -> None:
        self.job, self.kb, self.source = job, kb, source
        self.walk = f"{job.id}:{job.attempt}"  # a second try is a walk of its own
        self.book = SourceBook(kb)
        self.known = {item.key: item for item in self.book.items(source.id)}
        self.counts = dict.fromkeys(("added", "changed", "same", "removed", "refused"), 0)
        self.reasons: list[dict[str, Any]] = []
        self.waiting: list[Document] = []
        self.ingest: str | None = None

    def run(self) -> None:
        context = self.job.context
        place = SourcePlace(
            self.source.address, self.source.options, context.home.cache / "sources" / f"{self.kb.id}-{self.source.id}",
            SourceSecrets(context.home).get(self.source.address), context.settings.web_private,
            context.settings.max_upload_mb, {key: item.stamp for key, item in self.known.items()},
        )  # fmt: skip
        place.cache.mkdir(parents=True, exist_ok=True)
        walk = KINDS[self.source.kind].walk(place)
        num_seen = 0
        for found in walk:
            num_seen += 1
            share = num_seen / (max(len(self.known), num_seen) + 1)
            self.job.progress(0.95 * share, T("Reading the source", "读取来源"), str(num_seen))
            self._take(found)
            if len(self.waiting) >= _TOGETHER:
                self.hand_over()
        if walk.whole and self.known and not num_seen:
            raise ConflictError(
                T(
                    f"{self.source.address} shows nothing any more, and held {len(self.known)} documents: nothing was deleted.",
                    f"{self.source.address} 现在是空的，之前有 {len(self.known)} 个文档：没有删除任何内容。",
                ),
                code="source_empty",
                fix=f"zhilu kb sources {self.kb.id} --remove {self.source.id} --documents",
            )
        if walk.whole:
            self.counts["removed"] = self.book.drop_unseen(self.source.id, self.walk, self.job.check)

    def _take(self, found: Found) -> None:
        before = self.known.get(found.key)
        if found.read is None:
            self._refuse(
                found, found.error or InputError(T("It cannot be read.", "无法读取。")), keep=before is not None
            )
            return
        if before is not None and before.stamp == found.stamp:
            self.counts["same"] += 1
            self.book.seen(self.source.id, found.key, self.walk)
            return
        try:
            with found.read() as stream:
                document, is_new = self.kb.add(
                    stream, f"{self.source.prefix}/{found.name}", max_mb=self.job.context.settings.max_upload_mb
                )
        except ZhiluError as error:
            self._refuse(found, error, keep=False)
            return
        if is_new:
            self.counts["changed" if before is not None and before.doc_id else "added"] += 1
        else:
            self.counts["same"] += 1
        if document.status == "queued":
            self.waiting.append(document)
        self.book.take(self.source.id, found.key, found.stamp, self.walk, document.id, None)

    def _refuse(self, found: Found, error: ZhiluError, *, keep: bool) -> None:
        """``keep``: what was taken before stays as it is, for it could not be looked at now."""
        self.counts["refused"] += 1
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append({"name": found.name, "error": error_body(error)["error"]})
        if keep:
            self.book.seen(self.source.id, found.key, self.walk)
            return
        before = self.known.get(found.key)
        self.book.take(
            self.source.id, found.key, found.stamp, self.walk, before.doc_id if before is not None else None, error
        )

    def hand_over(self) -> None:
        """Give what was taken to the job that reads documents."""
        if self.waiting:
            started = start_ingestion(self.job.context, self.kb, self.waiting)
            self.ingest = started.id if started is not None else self.ingest
            self.waiting = []

    def report(self) -> dict[str, Any]:
        return {**self.counts, "reasons": self.reasons}


SYNC = JobKind(name="kb-sync", run=run_sync, resumable=True, light=True)


async def keep_in_step(context: Context) -> None:
    """Look twice a minute until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        try:
            await asyncio.to_thread(start_due, context)
        except Exception as error:  # the clock goes on, whatever one look at it meets
            as_error(error, clock="sources")


def start_due(context: Context) -> int:
    """Start what is due; how many."""
    started = 0
    library = Library(context)
    for info in library.list():
        if info.error is not None:
            continue
        kb = library.open(info.id)
        if kb.database.value("SELECT 1 FROM sqlite_master WHERE name = 'source_items'") is None:
            continue  # it has none, and a look does not write
        started += sum(_started(context, kb, source) for source in SourceBook(kb).due())
    return started


def _started(context: Context, kb: KnowledgeBase, source: KbSource) -> bool:
    """One that cannot be started stops no other."""
    try:
        start_sync(context, kb, source)
    except ZhiluError as error:
        as_error(error, source=source.id)
        return False
    return True
