"""``/v1/files``: what is uploaded to be put into vector stores; documents of knowledge bases are files as well."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import FileResponse

from zhilu.context import Context, context_of
from zhilu.errors import NotFoundError, StorageError, UnsupportedError
from zhilu.host.middleware import BoundedRoute, only_fields
from zhilu.messages import T
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.openai.attached import Attachments, seconds
from zhilu.rag.openai.files import PURPOSES, FileShelf, StoredFile, no_such_file
from zhilu.rag.openai.pages import Paging, page_of
from zhilu.rag.records import Document

__all__ = ["router"]

router = APIRouter(prefix="/v1/files", tags=["openai"], route_class=BoundedRoute)
_EXPIRES = ("expires_after[anchor]", "expires_after[seconds]")


@router.post("", dependencies=[Depends(only_fields("file", "purpose", *_EXPIRES))])
def upload_file(
    request: Request,
    file: Annotated[UploadFile, File()],
    purpose: Annotated[str, Form()],
    expires: Annotated[str | None, Form(alias=_EXPIRES[0])] = None,
    expires_in: Annotated[str | None, Form(alias=_EXPIRES[1])] = None,
) -> dict[str, Any]:
    """Keep a file for vector stores (``purpose`` assistants or user_data)."""
    if purpose not in PURPOSES:
        said = ", ".join(PURPOSES)
        raise UnsupportedError(
            T(f"purpose {purpose!r} is not supported; {said} are.", f"不支持 purpose {purpose!r}；可用：{said}。"),
            param="purpose",
        )
    if expires is not None or expires_in is not None:
        raise nothing_expires()
    context = context_of(request)
    made = FileShelf(context.home).add(
        file.file, file.filename or "", purpose, max_mb=context.settings.max_upload_mb  # type: ignore[arg-type]
    )  # fmt: skip
    return _file(made)


@router.get("")
def list_files(request: Request, paging: Paging, purpose: str | None = None) -> dict[str, Any]:
    """What was uploaded here, the newest first; not the documents that live in a knowledge base alone."""
    there = FileShelf(context_of(request).home).every()
    return page_of([_file(f) for f in there if purpose in (None, f.purpose)], paging)


@router.get("/{file_id}")
def get_file(file_id: str, request: Request) -> dict[str, Any]:
    context = context_of(request)
    if (found := FileShelf(context.home).find(file_id)) is not None:
        return _file(found)
    return _document_as_file(_document(context, file_id)[1])


@router.get("/{file_id}/content", response_class=FileResponse)
def get_file_content(file_id: str, request: Request) -> FileResponse:
    """The bytes as they came, always as a download."""
    context = context_of(request)
    shelf = FileShelf(context.home)
    if (found := shelf.find(file_id)) is not None:
        path, name = shelf.original(file_id), found.filename
    else:
        kb, document = _document(context, file_id)
        path, name = kb.original(document.id), document.name
    return FileResponse(
        path, filename=name.rpartition("/")[2], media_type="application/octet-stream",
        headers={"X-Content-Type-Options": "nosniff"},
    )  # fmt: skip


@router.delete("/{file_id}")
def delete_file(file_id: str, request: Request) -> dict[str, Any]:
    """Delete a file: the upload, and what every vector store has of it. A document that lives in a knowledge base alone goes from
    there."""
    context = context_of(request)
    shelf, copies = FileShelf(context.home), _copies(context, file_id)
    for copy in copies:
        copy.remove(file_id)
    if shelf.find(file_id) is not None:  # last: a deletion that was killed in between is found, and made again
        shelf.remove(file_id)
    elif not copies:
        kb, document = _document(context, file_id)
        kb.remove(document.id)
    return {"id": file_id, "object": "file", "deleted": True}


def _copies(context: Context, file_id: str) -> list[Attachments]:
    """Of the vector stores that the file was put into."""
    library, found = Library(context), []
    for info in library.list():
        if info.error is not None:
            continue
        try:
            attachments = Attachments(library.open(info.id))
        except (NotFoundError, StorageError):
            continue
        if attachments.has(file_id):
            found.append(attachments)
    return found


def nothing_expires() -> UnsupportedError:
    return UnsupportedError(
        T("expires_after is not supported: nothing is deleted by itself here.", "不支持 expires_after：这里不会自动删除任何内容。"),
        param="expires_after",
    )  # fmt: skip


def _document(context: Context, file_id: str) -> tuple[KnowledgeBase, Document]:
    """The document that the file ``file-<document id>`` is."""
    library = Library(context)
    for info in library.list():
        if info.error is not None:
            continue
        try:
            kb = library.open(info.id)
            return kb, kb.document(file_id.removeprefix("file-"))
        except (NotFoundError, StorageError):
            continue
    raise no_such_file(file_id)


def _file(found: StoredFile) -> dict[str, Any]:
    return {**found.model_dump(), "object": "file", "status": "processed", "expires_at": None, "status_details": None}


def _document_as_file(document: Document) -> dict[str, Any]:
    return {
        "id": f"file-{document.id}", "object": "file", "bytes": document.size_bytes, "created_at": seconds(document.added_at),
        "filename": document.name, "purpose": "assistants", "status": "error" if document.status == "failed" else "processed",
        "expires_at": None, "status_details": None,
    }  # fmt: skip
