"""``/v1/vector_stores/{id}/files`` and ``/file_batches``: documents in OpenAI's words."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import Context, context_of
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.rag.index.ingest import requeue_stranded, start_ingestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.openai.attached import AttachedFile, Attachments, FileStatus, counts, seconds
from zhilu.rag.openai.files import FileShelf
from zhilu.rag.openai.filters import Attributes
from zhilu.rag.openai.pages import Paging, page_of
from zhilu.rag.openai.store_routes import opened, refuse_static

__all__ = ["router"]

router = APIRouter(prefix="/v1/vector_stores/{store_id}", tags=["openai"])
_POLL_MS = "200"  # OpenAI's library asks again after this long; its own default is a second
Filter = Annotated[FileStatus | None, Query()]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FileToAttach(_Body):
    file_id: str
    attributes: Attributes | None = None
    chunking_strategy: dict[str, Any] | None = None


class NewFileBatch(_Body):
    file_ids: list[str] | None = Field(None, min_length=1, max_length=2000)
    files: list[FileToAttach] | None = Field(None, min_length=1, max_length=2000)
    attributes: Attributes | None = None
    chunking_strategy: dict[str, Any] | None = None


class FileAttributesChange(_Body):
    attributes: Attributes | None


@router.post("/files")
def attach_file(store_id: str, body: FileToAttach, request: Request) -> dict[str, Any]:
    """Put an upload in. What cannot be read has the status ``failed`` with the reason in ``last_error``."""
    context = context_of(request)
    kb = opened(context, store_id)
    return _object(kb, _attach(context, kb, [body], None)[0])


@router.get("/files")
def list_attached(store_id: str, request: Request, paging: Paging, filter: Filter = None) -> dict[str, Any]:
    """Every document of the knowledge base, however it came."""
    kb = opened(context_of(request), store_id)
    return page_of([_object(kb, f) for f in Attachments(kb).every() if filter in (None, f.status)], paging)


@router.get("/files/{file_id}")
def get_attached(store_id: str, file_id: str, request: Request, response: Response) -> dict[str, Any]:
    context = context_of(request)
    kb = opened(context, store_id)
    requeue_stranded(context, kb)
    response.headers["openai-poll-after-ms"] = _POLL_MS
    return _object(kb, Attachments(kb).get(file_id))


@router.post("/files/{file_id}")
def change_attached(store_id: str, file_id: str, body: FileAttributesChange, request: Request) -> dict[str, Any]:
    kb = opened(context_of(request), store_id)
    return _object(kb, Attachments(kb).set_attributes(file_id, dict(body.attributes or {})))


@router.delete("/files/{file_id}")
def detach_file(store_id: str, file_id: str, request: Request) -> dict[str, Any]:
    """Take a document out. An upload to ``/v1/files`` stays; a document that came another way is gone."""
    Attachments(opened(context_of(request), store_id)).remove(file_id)
    return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}


@router.get("/files/{file_id}/content")
def get_attached_content(store_id: str, file_id: str, request: Request) -> dict[str, Any]:
    """The text that was read from the file."""
    kb = opened(context_of(request), store_id)
    file = Attachments(kb).get(file_id)
    text = kb.read(file.doc.id).text if file.doc is not None else ""
    return {
        "object": "vector_store.file_content.page", "data": [{"type": "text", "text": text}], "has_more": False,
        "next_page": None,
    }  # fmt: skip


@router.post("/file_batches")
def create_batch(store_id: str, body: NewFileBatch, request: Request) -> dict[str, Any]:
    """Put several uploads in at once."""
    if (body.file_ids is None) == (body.files is None):
        raise InputError(T("Give either file_ids or files.", "请给出 file_ids 或 files 之一。"), param="file_ids")
    files = body.files
    if files is None:
        refuse_static(body.chunking_strategy)
        files = [FileToAttach(file_id=i, attributes=body.attributes) for i in dict.fromkeys(body.file_ids or ())]
    context = context_of(request)
    kb = opened(context, store_id)
    batch = Attachments(kb).new_batch()
    _attach(context, kb, files, batch)
    return _batch(kb, batch)


@router.get("/file_batches/{batch_id}")
def get_batch(store_id: str, batch_id: str, request: Request, response: Response) -> dict[str, Any]:
    context = context_of(request)
    kb = opened(context, store_id)
    requeue_stranded(context, kb)
    response.headers["openai-poll-after-ms"] = _POLL_MS
    return _batch(kb, batch_id)


@router.post("/file_batches/{batch_id}/cancel")
def cancel_batch(store_id: str, batch_id: str, request: Request) -> dict[str, Any]:
    """Take out what was not read yet; what was stays."""
    kb = opened(context_of(request), store_id)
    _batch(kb, batch_id)
    Attachments(kb).cancel(batch_id)
    return _batch(kb, batch_id)


@router.get("/file_batches/{batch_id}/files")
def list_batch(store_id: str, batch_id: str, request: Request, paging: Paging, filter: Filter = None) -> dict[str, Any]:
    kb = opened(context_of(request), store_id)
    _batch(kb, batch_id)
    there = Attachments(kb).of_batch(batch_id)
    return page_of([_object(kb, f) for f in there if filter in (None, f.status)], paging)


def _attach(context: Context, kb: KnowledgeBase, files: list[FileToAttach], batch: str | None) -> list[AttachedFile]:
    shelf, attachments = FileShelf(context.home), Attachments(kb)
    found = [(shelf.get(f.file_id), f) for f in files]  # an id that is unknown stops all before anything is done
    for _, file in found:
        refuse_static(file.chunking_strategy)
    made = []
    for stored, file in found:
        with shelf.original(stored.id).open("rb") as stream:
            attributes = dict(file.attributes or {})
            most = context.settings.max_upload_mb
            made.append(attachments.add(stored, stream, attributes, max_mb=most, batch=batch))
    start_ingestion(context, kb, [m.doc for m in made if m.doc is not None])
    return made


def _object(kb: KnowledgeBase, file: AttachedFile) -> dict[str, Any]:
    error = file.error if file.status == "failed" else None
    code = "server_error" if error and error.get("type") == "server_error" else "unsupported_file"
    return {
        "id": file.id, "object": "vector_store.file", "vector_store_id": f"vs_{kb.id}", "created_at": seconds(file.created_at),
        "status": file.status, "usage_bytes": file.doc.size_bytes if file.doc else 0, "attributes": file.attributes,
        "last_error": {"code": code, "message": T.of(error["messages"]).say()} if error else None,
        "chunking_strategy": {"type": "other"},
    }  # fmt: skip


def _batch(kb: KnowledgeBase, batch: str) -> dict[str, Any]:
    attachments = Attachments(kb)
    created = attachments.batch_created(batch)
    if created is None:
        raise NotFoundError(T(f"There is no file batch {batch!r}.", f"没有文件批次 {batch!r}。"), param="batch_id")
    files = counts(attachments.of_batch(batch))
    status = "in_progress" if files["in_progress"] else "cancelled" if files["cancelled"] else "completed"
    if files["total"] and files["failed"] == files["total"]:
        status = "failed"
    return {
        "id": batch, "object": "vector_store.files_batch", "vector_store_id": f"vs_{kb.id}", "created_at": seconds(created),
        "status": status, "file_counts": files,
    }  # fmt: skip
