"""``/zhilu/v1/kbs``: knowledge bases, their documents, search, answers, traces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, File, Query, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.client import connect
from zhilu.context import Context, context_of
from zhilu.errors import ConflictError, ZhiluError, error_body
from zhilu.events import HEADERS, MEDIA_TYPE, frame
from zhilu.jobs import Job
from zhilu.logs import as_error
from zhilu.messages import T
from zhilu.rag.answer import answer
from zhilu.rag.answer.pipeline import PASSAGES
from zhilu.rag.index.embedding import embedder_of, refuse_unregistered
from zhilu.rag.index.ingest import requeue_stranded, start_ingestion
from zhilu.rag.index.move import start_move
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import safe_path
from zhilu.rag.openai.files import FileShelf
from zhilu.rag.records import Document, DocumentText, Hit, KbInfo
from zhilu.rag.repair import Repaired, repair
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.sources import Member, members_or_why
from zhilu.rag.stores.offers import StoreOffer, store_offers
from zhilu.rag.upload import UploadRoute
from zhilu.trace import AnswerTrace

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/kbs", tags=["knowledge"])
uploads = APIRouter(route_class=UploadRoute)

K = Annotated[int, Field(ge=1, le=50)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewKb(_Body):
    name: str = Field(max_length=400)
    description: str = Field("", max_length=2000)
    embedder: str | None = None
    store: str | None = None


class KbChanges(_Body):
    name: str | None = Field(None, max_length=400)
    description: str | None = Field(None, max_length=2000)


class MoveBody(_Body):
    store: str = Field(min_length=1, max_length=100)


class SearchBody(_Body):
    query: str = Field(min_length=1, max_length=4000)
    k: K = 10


class Turn(_Body):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=100_000)


class AskBody(_Body):
    question: str = Field(min_length=1, max_length=4000)
    history: list[Turn] = Field(default_factory=list, max_length=100)
    model: str | None = None
    k: K = PASSAGES


class Rejected(BaseModel):
    """A file that was not taken; ``error`` is the inside of ``errors.error_body``."""

    name: str
    error: dict[str, Any]


class Uploaded(BaseModel):
    """What became of an upload; ``job`` reads the new documents, None if there are none."""

    documents: list[Document]
    rejected: list[Rejected]
    job: Job | None


class Hits(BaseModel):
    hits: list[Hit]


class TraceSummary(BaseModel):
    id: str
    question: str
    answer: str
    refused: bool
    created_at: str
    seconds: float


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Clear away and take up again what a kill left, beside the start, which it must not hold up."""
    if app.state.ephemeral:
        yield
        return
    task = asyncio.create_task(asyncio.to_thread(_take_up, app.state.context))
    try:
        yield
    finally:
        await task


def _take_up(context: Context) -> None:
    library = Library(context)
    library.sweep()
    FileShelf(context.home).sweep()
    for info in library.list():
        if info.error is not None:
            continue
        requeue_stranded(context, library.open(info.id))


def _open(request: Request, kb_id: str) -> KnowledgeBase:
    return Library(context_of(request)).open(kb_id)


@router.get("")
def list_kbs(request: Request) -> list[KbInfo]:
    return Library(context_of(request)).list()


@router.post("", status_code=201)
def create_kb(body: NewKb, request: Request) -> KbInfo:
    """``embedder`` by name, ``none`` for retrieval by words alone, the setting's by default; ``store`` by name,
    ``sqlite`` by default."""
    if body.embedder:
        refuse_unregistered(body.embedder)
    return Library(context_of(request)).create(body.name, body.description, body.embedder, body.store).info()


@router.get("/stores")
def list_stores(request: Request) -> list[StoreOffer]:
    """Where vectors can be kept, the default first; where one cannot be had here, why and the command that mends it."""
    return store_offers(context_of(request).settings)


@router.get("/{kb_id}")
def get_kb(kb_id: str, request: Request) -> KbInfo:
    return _open(request, kb_id).info()


@router.patch("/{kb_id}")
def change_kb(kb_id: str, body: KbChanges, request: Request) -> KbInfo:
    kb = _open(request, kb_id)
    if body.name is not None:
        Library(context_of(request)).rename(kb, body.name)
    if body.description is not None:
        kb.database.set_meta(description=body.description.strip())
        kb.touch()
        kb.write_card()
    return kb.info()


@router.delete("/{kb_id}", status_code=204)
def delete_kb(kb_id: str, request: Request) -> None:
    Library(context_of(request)).remove(kb_id)


@router.post("/{kb_id}/move", status_code=202)
def move_kb(kb_id: str, body: MoveBody, request: Request) -> Job:
    """Move the vectors to another store in a job; nothing is embedded again, and the old store answers until the new one was
    checked."""
    return start_move(context_of(request), _open(request, kb_id), body.store)


@router.post("/{kb_id}/repair")
def repair_kb(kb_id: str, request: Request) -> Repaired:
    """Make a damaged knowledge base whole: what can still be read as it is, else from the originals, read again by ``job``."""
    return repair(context_of(request), kb_id)


@uploads.post("/{kb_id}/documents")
def add_documents(kb_id: str, files: Annotated[list[UploadFile], File()], request: Request) -> Uploaded:
    """Store the files and read them in a job. A refused file stops no other; one that is here already as it is (name and bytes)
    is not added twice.

    A ZIP archive stands for the files in it. A file name keeps its folders (``guide/install.md``). A name that is here already
    gets a new version, which takes the old one's place in every index at once when it is read.

    Where the only file is refused, that is the response's status (400, 413).
    """
    context, kb = context_of(request), _open(request, kb_id)
    documents: list[Document] = []
    rejected = []
    added: set[str] = set()
    for member in _members(files):
        name = member.name
        try:
            if member.stream is None:
                raise member.error or _twice(name)
            if safe_path(name) in added:
                raise _twice(name)
            document, is_new = kb.add(member.stream, name, max_mb=context.settings.max_upload_mb)
            if not is_new and document.status != "queued":
                raise _duplicate(document)
            documents.append(document)
            added.add(safe_path(name))
        except ZhiluError as error:
            alone = len(files) == 1 and name == files[0].filename
            if alone and not isinstance(error, ConflictError):
                raise
            rejected.append(Rejected(name=name, error=error_body(error)["error"]))
    job = start_ingestion(context, kb, documents)
    return Uploaded(documents=[kb.document(d.id) for d in documents], rejected=rejected, job=job)


@router.get("/{kb_id}/documents")
def list_documents(kb_id: str, request: Request) -> list[Document]:
    kb = _open(request, kb_id)
    requeue_stranded(context_of(request), kb)
    return kb.documents()


@router.get("/{kb_id}/documents/{doc_id}")
def get_document(kb_id: str, doc_id: str, request: Request) -> DocumentText:
    """The document with its whole text; offsets in it count Unicode code points."""
    return _open(request, kb_id).read(doc_id)


@router.get("/{kb_id}/documents/{doc_id}/versions")
def list_versions(kb_id: str, doc_id: str, request: Request) -> list[Document]:
    """All versions of a document, the newest first. Each has an id of its own, by which its text and original are had."""
    return _open(request, kb_id).versions(doc_id)


@router.get("/{kb_id}/documents/{doc_id}/original", response_class=FileResponse)
def get_original(kb_id: str, doc_id: str, request: Request) -> FileResponse:
    """The file as uploaded, always as a download: an HTML file must not run in this origin."""
    kb = _open(request, kb_id)
    return FileResponse(
        kb.original(doc_id), filename=kb.document(doc_id).name.rpartition("/")[2], media_type="application/octet-stream",
        headers={"X-Content-Type-Options": "nosniff"},
    )  # fmt: skip


@router.delete("/{kb_id}/documents/{doc_id}", status_code=204)
def delete_document(kb_id: str, doc_id: str, request: Request) -> None:
    """Delete the document with all of its versions."""
    _open(request, kb_id).remove(doc_id)


@router.post("/{kb_id}/documents/{doc_id}/retry")
def retry_document(kb_id: str, doc_id: str, request: Request) -> Uploaded:
    """Read a document again that failed, or of which pages were not read."""
    context, kb = context_of(request), _open(request, kb_id)
    document = kb.document(doc_id)
    if document.error is None:
        raise ConflictError(
            T(en=f"{document.name!r} did not fail.", zh=f"{document.name!r} 没有失败，不需要重试。"), code="not_failed"
        )
    job = start_ingestion(context, kb, [kb.requeue(doc_id)])
    return Uploaded(documents=[kb.document(doc_id)], rejected=[], job=job)


@router.post("/{kb_id}/search")
def search(kb_id: str, body: SearchBody, request: Request) -> Hits:
    kb = _open(request, kb_id)
    return Hits(hits=retrieve(kb, body.query, embedder_of(context_of(request), kb.embedder), k=body.k).hits)


@router.post("/{kb_id}/ask", response_class=StreamingResponse)
async def ask(kb_id: str, body: AskBody, request: Request) -> StreamingResponse:
    """Server-sent events ``retrieved | delta | done | error``; disconnecting stops the model."""
    context = context_of(request)
    kb = await asyncio.to_thread(_open, request, kb_id)  # a 404 must come before the stream begins
    history = [turn.model_dump() for turn in body.history]

    async def events() -> AsyncIterator[bytes]:
        try:
            async with connect(context) as client:
                source = answer(context, client, kb.id, body.question, history=history, model=body.model, k=body.k)
                async with aclosing(source):
                    async for event in source:
                        yield event.frame()
        except Exception as error:  # whatever it is: a stream that has begun ends with an event
            yield frame(error_body(as_error(error)), "error")

    return StreamingResponse(events(), media_type=MEDIA_TYPE, headers=HEADERS)


@router.get("/{kb_id}/traces")
def list_traces(kb_id: str, request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[TraceSummary]:
    return [TraceSummary(**row) for row in _open(request, kb_id).traces(limit)]


@router.get("/{kb_id}/traces/{trace_id}")
def get_trace(kb_id: str, trace_id: str, request: Request) -> AnswerTrace:
    """All that led to an answer: rewritten query, candidates with each stage's scores, prompt, raw output, verdict."""
    return AnswerTrace.model_validate(_open(request, kb_id).trace(trace_id))


router.include_router(uploads)


def _members(files: list[UploadFile]) -> Iterator[Member]:
    """All files of an upload, those of archives one by one."""
    for file in files:
        yield from members_or_why(file.file, file.filename or "")


def _twice(name: str) -> ConflictError:
    return ConflictError(
        T(
            en=f"{name!r} is in this upload twice; the first was taken. Send the folder, so that paths tell them apart.",
            zh=f"这次上传里有两个名为 {name!r} 的文件，只收下了第一个。请上传整个文件夹，用路径区分它们。",
        ),
        code="same_name_twice",
    )


def _duplicate(document: Document) -> ConflictError:
    return ConflictError(
        T(
            en=f"{document.name!r} is here already with the same content: nothing was added twice.",
            zh=f"{document.name!r} 已在知识库中，内容相同，没有重复添加。",
        ),
        code="duplicate",
    )
