"""``/mcp``: the same tools over HTTP, behind the gateway's own guard (hosts, origins, keys)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.responses import Response
from starlette.routing import Route

from zhilu.errors import MissingComponentError, error_body

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from zhilu.context import Context

__all__ = ["lifespan", "router"]

router = APIRouter()


class _Sessions:
    """The SDK's sessions, begun with the first request: importing the SDK takes longer than all else at the start."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn, self._leave = asyncio.Lock(), asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._manager: Any = None

    async def manager(self) -> Any:
        """MissingComponentError where the SDK is not installed."""
        async with self._turn:
            if self._manager is None:
                manager = await asyncio.to_thread(_make_manager, self._context)
                begun = asyncio.Event()
                self._running = asyncio.create_task(self._keep(manager, begun))
                await begun.wait()
                self._manager = manager
        return self._manager

    async def _keep(self, manager: Any, begun: asyncio.Event) -> None:
        """The SDK's group of tasks must end in the task that it began in."""
        try:
            async with manager.run():
                begun.set()
                await self._leave.wait()
        finally:
            begun.set()  # nobody waits for what cannot begin

    async def aclose(self) -> None:
        self._leave.set()
        if self._running is not None:
            await self._running


def _make_manager(context: Context) -> Any:
    from zhilu.rag.mcp.server import mcp_server

    server = mcp_server(context)
    from mcp.server.transport_security import TransportSecuritySettings

    # hosts and origins were checked before a request comes here, by a rule that knows which ones are ours
    server.streamable_http_app(
        json_response=True, transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False)
    )
    return server.session_manager


class _Endpoint:
    """The SDK's transport as an ASGI application; where the SDK is missing, an error that says so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sessions: _Sessions = scope["app"].state.mcp
        try:
            manager = await sessions.manager()
        except MissingComponentError as error:
            body = json.dumps(error_body(error), ensure_ascii=False).encode()
            await Response(body, status_code=501, media_type="application/json")(scope, receive, send)
            return
        await manager.handle_request(scope, receive, send)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    sessions = app.state.mcp = _Sessions(app.state.context)
    try:
        yield
    finally:
        await sessions.aclose()


router.routes.append(Route("/mcp", _Endpoint(), methods=["GET", "POST", "DELETE"], include_in_schema=False))
