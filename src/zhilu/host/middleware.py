"""What every request passes on its way: HEAD where GET is answered, and the size of what the workbench is sent.

FastAPI's routes answer only the methods that they name, but probes and some clients send HEAD first (RFC 9110,
9.3.2: the same status and headers, no body).

While a body is parsed and checked every other client waits. The rest of ``/v1`` and its kin read their own bodies with the same limits
(``serving/gateway/relay.py``); files come as forms, which are written to disk piece by piece and have limits of their own.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match

from zhilu import wire
from zhilu.errors import InputError, TooLargeError, ZhiluError, error_body
from zhilu.messages import T

__all__ = ["Bodies", "Heads"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PATHS = ("/zhilu/v1/", "/v1/vector_stores")
_MOST_BYTES = 32 * 1024 * 1024
_SMALL = 64 * 1024  # whatever it holds is checked in no time


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
            if body is not None and len(body) > _SMALL:
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


def _check(body: bytes) -> None:
    wire.refuse_many_values(body)
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(T(f"the body is not JSON: {error}", f"请求体不是 JSON：{error}")) from None
    if isinstance(data, dict):
        wire.refuse_crowds(data)
