"""``/v1/files``: what is uploaded to be put into vector stores; documents of knowledge bases are files as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from zhilu.context import Context, context_of
from zhilu.errors import NotFoundError, StorageError, TooLargeError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.openai.attached import seconds
from zhilu.rag.openai.files import PURPOSES, FileShelf, StoredFile, no_such_file
from zhilu.rag.openai.pages import Paging, page_of
from zhilu.rag.records import Document

__all__ = ["router"]

_ROOM = 64 * 1024  # what a form has besides its file


class _BoundedRoute(APIRoute):
    """A form that is refused as soon as it is larger than a file may be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(_Bounded(request.scope, request.receive))
            except HTTPException as error:  # FastAPI's word for whatever went wrong while it read the form
                raise (error.__cause__ if isinstance(error.__cause__, ZhiluError) else error) from None

        return handler


class _Bounded(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        most, size = context_of(self).settings.max_upload_mb, 0
        async for piece in super().stream():
            size += len(piece)
            if size > most * 2**20 + _ROOM:
                raise TooLargeError(
                    T(f"The upload is larger than {most} MB.", f"上传内容超过 {most} MB。"), param="file",
                    fix=f"zhilu settings set max_upload_mb {most * 2}",
                )  # fmt: skip
            yield piece
            await asyncio.sleep(0)

    def form(self, **limits: Any) -> Any:
        return super().form(**{**limits, "max_files": 1, "max_fields": 20})


router = APIRouter(prefix="/v1/files", tags=["openai"], route_class=_BoundedRoute)


@router.post("")
def upload_file(
    request: Request,
    file: Annotated[UploadFile, File()],
    purpose: Annotated[str, Form()],
    expires: Annotated[str | None, Form(alias="expires_after[anchor]")] = None,
) -> dict[str, Any]:
    """Keep a file for vector stores (``purpose`` assistants or user_data)."""
    if purpose not in PURPOSES:
        said = ", ".join(PURPOSES)
        raise UnsupportedError(
            T(f"purpose {purpose!r} is not supported; {said} are.", f"不支持 purpose {purpose!r}；可用：{said}。"),
            param="purpose",
        )
    if expires is not None:
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
    """Delete an upload; its copies in vector stores stay. A document that lives in a knowledge base alone goes from there."""
    context = context_of(request)
    shelf = FileShelf(context.home)
    if shelf.find(file_id) is not None:
        shelf.remove(file_id)
    else:
        kb, document = _document(context, file_id)
        kb.remove(document.id)
    return {"id": file_id, "object": "file", "deleted": True}


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
