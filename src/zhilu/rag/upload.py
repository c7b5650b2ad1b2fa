"""The upload form: as many files as one request may hold, bounded by its size.

The form's parser keeps a file under 1 MiB in memory and opens a temporary file for a larger one. So a request that is no larger
than one file may be (``max_upload_mb``) can hold very many files: neither memory nor open files can run out. A larger request, or
one that does not state its size, may hold a thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from zhilu.context import context_of
from zhilu.errors import TooLargeError
from zhilu.messages import T

__all__ = ["MAX_FILES", "MAX_LARGE", "UploadRoute"]

MAX_FILES = 20_000
MAX_LARGE = 1_000  # where the whole request is larger than one file may be


class UploadRoute(APIRoute):
    """A route whose form may hold many files."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(_ManyFiles(request.scope, request.receive))

        return handler


class _ManyFiles(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body, with everybody else's turn after each piece: a piece of 64 KB holds hundreds of tiny files."""
        async for piece in super().stream():
            yield piece
            await asyncio.sleep(0)

    async def _get_form(self, **limits: Any) -> FormData:
        max_mb = context_of(self).settings.max_upload_mb
        size = self.headers.get("content-length", "")
        is_small = size.isdecimal() and int(size) <= max_mb * 1024 * 1024
        limits["max_files"] = MAX_FILES if is_small else MAX_LARGE
        try:
            return await super()._get_form(**limits)
        except HTTPException as error:
            if not str(error.detail).startswith("Too many files"):
                raise
            raise _too_many(limits["max_files"], max_mb) from error


def _too_many(limit: int, max_mb: int) -> TooLargeError:
    return TooLargeError(
        T(
            en=f"One request may hold {limit:,} files ({MAX_FILES:,} where it has at most {max_mb} MB in all); this one has more."
            " Nothing of it was added. Send the files in several requests.",
            zh=f"一次请求最多包含 {limit:,} 个文件（总大小不超过 {max_mb} MB 时为 {MAX_FILES:,} 个），这次超过了，没有添加任何文件。"
            "请分几次上传。",
        ),
        code="too_many_files",
        fix="zhilu kb add KB FOLDER",
    )
