"""Asking, searching and reading within what one person may read. Everything an application of several people shows of documents
comes from here, so that there is one place where leave is looked at."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from zhilu.errors import InputError, NotFoundError, ZhiluError, error_body
from zhilu.messages import T
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.index.ingest import ingest_document, start_ingestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import Reader
from zhilu.rag.records import Document
from zhilu.rag.retrieve.leave import Leave
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.retrieve.several import Part, Several
from zhilu.rag.sources import Member, members_or_why
from zhilu.rag.sources.book import SourceBook
from zhilu.rag.sources.sync import start_sync

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.events import Event
    from zhilu.trace import AnswerTrace

__all__ = [
    "add_on",
    "answer_on",
    "documents_on",
    "read_on",
    "remove_on",
    "search_on",
    "several_of",
    "sync_on",
    "temporary_on",
]


def several_of(context: Context, leaves: Iterable[Leave]) -> Several:
    """What may be read now. A knowledge base that is not there any more is passed over; several leaves for one are added up."""
    library = Library(context)
    there = {info.id for info in library.list() if info.error is None}
    wanted: dict[str, list[Leave]] = {}
    for leave in leaves:
        if leave.kb_id in there:
            wanted.setdefault(leave.kb_id, []).append(leave)
    parts = []
    for kb_id, given in sorted(wanted.items()):
        kb = library.open(kb_id)
        parts.append(Part(kb, embedder_of(context, kb.embedder), _allowed(kb, given)))
    return Several(tuple(p for p in parts if p.doc_ids is None or p.doc_ids))


async def answer_on(
    context: Context, client: ModelClient, leaves: Sequence[Leave], question: str, *, history: Sequence[Mapping[str, Any]],
    model: str | None, k: int | None, record: Callable[[AnswerTrace], object],
) -> AsyncGenerator[Event, None]:  # fmt: skip
    from zhilu.models.chosen import default_model
    from zhilu.rag.answer import pipeline
    from zhilu.rag.answer.manner import manner_of

    several = await asyncio.to_thread(several_of, context, leaves)
    model = model or default_model(context).name
    manner, _ = await asyncio.to_thread(manner_of, context, model)
    events = pipeline.answer(
        several, question, client=client, model=model, embedder=several.embedder, history=history, k=k or pipeline.PASSAGES,
        manner=manner, caution=context.settings.answers, record=record,
    )  # fmt: skip
    async with aclosing(events):
        async for event in events:
            yield event


def search_on(context: Context, leaves: Sequence[Leave], query: str, k: int) -> list[dict[str, Any]]:
    several = several_of(context, leaves)
    return [h.model_dump(exclude={"lexical", "dense"}) for h in retrieve(several, query, several.embedder, k=k).hits]


def read_on(context: Context, leaves: Sequence[Leave], kb_id: str, doc_id: str) -> dict[str, Any]:
    """
    Raises:
        NotFoundError: there is no such document, or it may not be read: the two are not to be told apart.
    """
    for part in several_of(context, [leave for leave in leaves if leave.kb_id == kb_id]).parts:
        if part.kb.status_of(doc_id) == "ready" and (part.doc_ids is None or doc_id in part.doc_ids):
            return part.kb.read(doc_id).model_dump()
    raise NotFoundError(T(f"There is no document {doc_id!r}.", f"没有文档 {doc_id!r}。"))


def documents_on(context: Context, leaves: Sequence[Leave]) -> list[dict[str, Any]]:
    """The documents that may be read: kb_id, kb_name, doc_id, name, size_bytes, version, added_at, and where they came from a
    source its address, when it was last read, and why that failed."""
    found = []
    for part in several_of(context, leaves).parts:
        origin = _origins(part.kb)
        for document in part.kb.documents():
            if document.status != "ready" or (part.doc_ids is not None and document.id not in part.doc_ids):
                continue
            found.append({
                "kb_id": part.kb.id, "kb_name": part.kb.name, "doc_id": document.id, "name": document.name,
                "size_bytes": document.size_bytes, "version": document.version, "added_at": document.added_at,
                **origin.get(document.id, {"source": None, "synced_at": None, "source_error": None}),
            })  # fmt: skip
    return found


def add_on(
    context: Context, leaves: Sequence[Leave], kb_id: str, files: Sequence[tuple[str, BinaryIO]]
) -> dict[str, Any]:
    kb = _whole(context, leaves, kb_id)
    documents: list[Document] = []
    rejected: list[dict[str, Any]] = []
    for stream, called in ((stream, name) for name, stream in files):
        for member in members_or_why(stream, called):
            documents += _added(kb, member, rejected, context.settings.max_upload_mb)
    job = start_ingestion(context, kb, documents)
    return {"added": [d.name for d in documents], "rejected": rejected, "job": job.id if job is not None else None}


def remove_on(context: Context, leaves: Sequence[Leave], kb_id: str, doc_id: str) -> str:
    kb = _whole(context, leaves, kb_id)
    name = kb.document(doc_id).name
    kb.remove(doc_id)
    return name


def sync_on(context: Context, leaves: Sequence[Leave], kb_id: str) -> list[str]:
    kb = _whole(context, leaves, kb_id)
    return [start_sync(context, kb, source).id for source in SourceBook(kb).every()]


@asynccontextmanager
async def temporary_on(context: Context, name: str, files: Mapping[str, str]) -> AsyncIterator[str]:
    kb = await asyncio.to_thread(_made, context, name, files)
    try:
        yield kb.id
    finally:
        await asyncio.to_thread(Library(context).remove, kb.id)


def _made(context: Context, name: str, files: Mapping[str, str]) -> KnowledgeBase:
    kb = Library(context).create(f"{name} {secrets.token_hex(4)}")
    try:
        with Reader() as reader:
            for called, text in files.items():
                document, _ = kb.add(io.BytesIO(text.encode()), called, max_mb=10)
                loaded = reader.load(kb.original(document.id), called)
                ingest_document(kb, document.id, embedder_of(context, kb.embedder), lambda share, stage: None, loaded)
    except BaseException:
        Library(context).remove(kb.id)
        raise
    return kb


def _whole(context: Context, leaves: Sequence[Leave], kb_id: str) -> KnowledgeBase:
    """What is changed must be readable as a whole: one name replaces another, and a refusal would tell what is there."""
    parts = several_of(context, [leave for leave in leaves if leave.kb_id == kb_id]).parts
    if not parts or parts[0].doc_ids is not None:
        raise NotFoundError(T(f"There is no knowledge base {kb_id!r}.", f"没有知识库 {kb_id!r}。"), code="kb_not_found")
    return parts[0].kb


def _added(kb: KnowledgeBase, member: Member, rejected: list[dict[str, Any]], max_mb: int) -> list[Document]:
    try:
        if member.stream is None:
            raise member.error or InputError(T("Not a file.", "不是文件。"))
        return [kb.add(member.stream, member.name, max_mb=max_mb)[0]]
    except ZhiluError as error:
        rejected.append({"name": member.name, "error": error_body(error)["error"]})
        return []


def _allowed(kb: KnowledgeBase, leaves: Sequence[Leave]) -> frozenset[str] | None:
    if any(leave.folders is None for leave in leaves):
        return None
    folders = {folder.strip("/") for leave in leaves for folder in leave.folders or ()}
    rows = kb.database.rows("SELECT id, name FROM documents WHERE status = 'ready'")
    return frozenset(
        r["id"] for r in rows if any(r["name"] == f or r["name"].startswith(f"{f}/") for f in folders if f)
    )


def _origins(kb: KnowledgeBase) -> dict[str, dict[str, Any]]:
    book = SourceBook(kb)
    out = {}
    for source in book.every():
        for item in book.items(source.id):
            if item.doc_id is not None:
                out[item.doc_id] = {
                    "source": source.address, "synced_at": source.synced_at, "source_error": source.error,
                }  # fmt: skip
    return out
