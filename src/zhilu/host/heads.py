"""HEAD wherever GET is answered: the same status and headers, no body (RFC 9110, 9.3.2).

FastAPI's routes answer only the methods that they name, but probes and some clients send HEAD first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.routing import BaseRoute, Match

__all__ = ["Heads"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


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
