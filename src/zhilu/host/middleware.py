"""What every request passes on its way: HEAD where GET is answered, and the size of what the workbench is sent.

FastAPI's routes answer only the methods that they name, but probes and some clients send HEAD first (RFC 9110,
9.3.2: the same status and headers, no body).

While a body is parsed and checked every other client waits. The rest of ``/v1`` and its kin read their own bodies with the same limits
(``serving/gateway/relay.py``); files come as forms, which are written to disk piece by piece and have limits of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match

from zhilu import wire
from zhilu.context import context_of
from zhilu.errors import InputError, TooLargeError, UnsupportedError, ZhiluError, error_body
from zhilu.messages import T

__all__ = ["Bodies", "BoundedRoute", "Heads", "only_fields"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATHS = ("/zhilu/v1/", "/v1/vector_stores")
_MOST_BYTES = 32 * 1024 * 1024
_SMALL = 64 * 1024  # bytes; that many are checked in no time
_ROOM = 64 * 1024  # what a form has besides its file


class Heads:
    """ASGI middleware. Routes that answer HEAD themselves keep doing so."""

    def __init__(self, app: Any, routes: list[BaseRoute]) -> None:
        self.app = app
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._is_own(scope):
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def send_head(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                await send(message)
                has_begun = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def receive_until_begun() -> Message:
            """A stream without end has said all that is asked for once its headers are out."""
            return {"type": "http.disconnect"} if has_begun else await receive()

        await self.app({**scope, "method": "GET"}, receive_until_begun, send_head)

    def _is_own(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self.routes)


class Bodies:
    """ASGI middleware."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PATHS) or _has_form_or_none(scope):
            await self.app(scope, receive, send)
            return
        try:
            body = await _read(receive)
            if body is not None and not _is_plain(body):
                _check(body)
        except ZhiluError as error:
            await JSONResponse(error_body(error), error.http_status)(scope, receive, send)
            return
        if body is None:  # the client is gone
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        await self.app(scope, again, send)


class BoundedRoute(APIRoute):
    """A route whose form holds one file, and is refused as soon as it is larger than ``times`` files may be (``max_upload_mb``)."""

    times = 1

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, times = super().get_route_handler(), self.times

        async def handler(request: Request) -> Response:
            bounded = _Bounded(request.scope, request.receive)
            bounded.most_mb = context_of(request).settings.max_upload_mb * times
            try:
                return await handle(bounded)
            except HTTPException as error:  # FastAPI's word for whatever went wrong while it read the form
                raise (error.__cause__ if isinstance(error.__cause__, ZhiluError) else error) from None

        return handler


class _Bounded(Request):
    most_mb: int

    async def stream(self) -> AsyncGenerator[bytes, None]:
        size = 0
        async for piece in super().stream():
            size += len(piece)
            if size > self.most_mb * 2**20 + _ROOM:
                raise TooLargeError(
                    T(f"The upload is larger than {self.most_mb} MB.", f"上传内容超过 {self.most_mb} MB。"), param="file",
                    fix=f"zhilu settings set max_upload_mb {context_of(self).settings.max_upload_mb * 2}",
                )  # fmt: skip
            yield piece
            await asyncio.sleep(0)

    def form(self, **limits: Any) -> Any:
        return super().form(**{**limits, "max_files": 1, "max_fields": 20})


def only_fields(*names: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency of a route with a form: UnsupportedError for a field that it does not know, which FastAPI passes over."""

    async def check(request: Request) -> None:
        unknown = next((name for name in await request.form() if name not in names), None)
        if unknown is not None:
            raise UnsupportedError(T(f"Unknown parameter: {unknown!r}.", f"未知参数：{unknown!r}。"), param=unknown)

    return check


def _has_form_or_none(scope: Scope) -> bool:
    kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    return scope["method"] in ("GET", "HEAD", "OPTIONS", "DELETE") or kind == "multipart/form-data"


async def _read(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > _MOST_BYTES:
            most = _MOST_BYTES // 2**20
            raise TooLargeError(T(f"The body is larger than {most} MB.", f"请求体超过 {most} MB。"))
        if not message.get("more_body", False):
            return bytes(body)


def _is_plain(body: bytes) -> bool:
    """Whether it cannot hold what ``_check`` refuses."""
    return len(body) <= _SMALL and b"\\ud" not in body.lower() and body.count(b"[") + body.count(b"{") <= 100


def _check(body: bytes) -> None:
    wire.refuse_many_values(body)
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(T(f"the body is not JSON: {error}", f"请求体不是 JSON：{error}")) from None
    wire.refuse_unkeepable(body, data)
    if isinstance(data, dict):
        wire.refuse_crowds(data)
