"""How the body of a request that is answered here is read: JSON, or a form with one file."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from zhilu import wire
from zhilu.context import context_of
from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.serving.gateway.relay import read_body

__all__ = ["form_body", "json_body"]

R = TypeVar("R", bound=wire.Request)
_MOST_FIELDS = 60


@asynccontextmanager
async def json_body(request: Request, kind: type[R]) -> AsyncIterator[R]:
    """Raises InputError and below."""
    yield wire.parse_request(kind, wire.parse_json(await read_body(request)))


@asynccontextmanager
async def form_body(request: Request, kind: type[R]) -> AsyncIterator[R]:
    """The form, with its file in a folder of the data home until the answer is there. A field ``name[]`` is a list.

    Raises:
        NotJsonError: it is no form. TooLargeError: more than ``max_upload_mb``. InputError: no file, or two; a field
            that is unknown or wrong.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise wire.NotJsonError(
            T(
                f"the Content-Type must be multipart/form-data, given {media_type!r}",
                f"Content-Type 必须是 multipart/form-data，给出的是 {media_type!r}",
            ),
            fix="curl -F file=@speech.wav",
        )
    try:
        form = await _Bounded(request.scope, request.receive).form(max_files=1, max_fields=_MOST_FIELDS)
    except HTTPException as error:
        raise InputError(T(f"the form cannot be read: {error.detail}", f"无法读取表单：{error.detail}")) from None
    try:
        with tempfile.TemporaryDirectory(dir=context_of(request).home.run, prefix="upload-") as folder:
            data: dict[str, Any] = {}
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    data |= await _kept(value, name, Path(folder))
                elif name.endswith("[]"):
                    data.setdefault(name[:-2], []).append(value)
                elif name in ("file", "filename"):  # a path in words would name a file of this machine
                    raise InputError(T(f"{name!r} must be an upload.", f"{name!r} 必须是上传的文件。"), param=name)
                else:
                    data[name] = value
            yield wire.parse_request(kind, data)
    finally:
        await form.close()


async def _kept(upload: UploadFile, name: str, folder: Path) -> dict[str, Any]:
    # Its owner's name for it says nothing that a path may hold, nor what it is: that is told by its content.
    path = folder / "upload"
    with path.open("wb") as out:
        await asyncio.to_thread(shutil.copyfileobj, upload.file, out, 1 << 20)
    return {name: path, "filename": Path(upload.filename or "upload").name[:200]}


class _Bounded(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        most, size = context_of(self).settings.max_upload_mb, 0
        async for piece in super().stream():
            size += len(piece)
            if size > most * 2**20:
                raise TooLargeError(
                    T(f"The upload is larger than {most} MB.", f"上传内容超过 {most} MB。"),
                    param="file",
                    fix=f"zhilu settings set max_upload_mb {most * 2}",
                )
            yield piece
