"""``/zhilu/v1/kbs/{id}/export`` and ``/zhilu/v1/kbs/import``: a knowledge base as one file."""

from __future__ import annotations

import secrets
import shutil
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from zhilu.context import context_of
from zhilu.host.middleware import BoundedRoute, only_fields
from zhilu.jobs import Job
from zhilu.rag.library import Library
from zhilu.rag.load import check_size
from zhilu.rag.share.pack import pack
from zhilu.rag.share.unpack import start_import

__all__ = ["router"]


class _SharedRoute(BoundedRoute):
    times = 10  # a shared file may be this many times as large as one document


router = APIRouter(prefix="/zhilu/v1/kbs", tags=["knowledge"], route_class=_SharedRoute)


class SharedKb(BaseModel):
    """What is taken in; ``job`` does it."""

    name: str
    description: str
    embedder: str
    num_documents: int
    job: Job


@router.get("/{kb_id}/export", response_class=StreamingResponse)
def export_kb(kb_id: str, request: Request) -> StreamingResponse:
    """The knowledge base as a file: originals, text, passages and vectors; no questions, answers, sources or keys."""
    kb = Library(context_of(request)).open(kb_id)
    name = quote(f"{kb.name}.zhilu-kb.zip", safe="")
    return StreamingResponse(
        pack(kb), media_type="application/zip",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "X-Content-Type-Options": "nosniff"},
    )  # fmt: skip


@router.post("/import", status_code=202, dependencies=[Depends(only_fields("file", "name", "embedder"))])
def import_kb(
    request: Request,
    file: Annotated[UploadFile, File()],
    name: Annotated[str | None, Form(min_length=1, max_length=100)] = None,
    embedder: Annotated[str | None, Form(max_length=100)] = None,
) -> SharedKb:
    """Take in a file that ``export`` made, as a new knowledge base. ``embedder``: one that is here, where its own is not."""
    context = context_of(request)
    check_size(file.size or 0, context.settings.max_upload_mb * _SharedRoute.times)
    folder = context.home.cache / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{secrets.token_hex(8)}.zip"
    try:
        with path.open("xb") as out:
            shutil.copyfileobj(file.file, out, 1 << 20)
        about, job = start_import(context, path, name, embedder, is_ours=True)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return SharedKb(**about.model_dump(include={"name", "description", "embedder", "num_documents"}), job=job)
