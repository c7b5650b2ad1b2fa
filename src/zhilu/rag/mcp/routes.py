"""``/mcp``: the same tools over HTTP, behind the gateway's own guard (hosts, origins, keys)."""

from __future__ import annotations

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

__all__ = ["lifespan", "router"]

router = APIRouter()


class _Endpoint:
    """The SDK's transport as an ASGI application; where the SDK is missing, an error that says so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found: Any = scope["app"].state.mcp
        if isinstance(found, MissingComponentError):
            body = json.dumps(error_body(found), ensure_ascii=False).encode()
            await Response(body, status_code=501, media_type="application/json")(scope, receive, send)
            return
        await found.handle_request(scope, receive, send)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The SDK keeps its tasks in a group of its own while the application runs."""
    from zhilu.rag.mcp.server import mcp_server

    try:
        server = mcp_server(app.state.context)
    except MissingComponentError as error:
        app.state.mcp = error
        yield
        return
    from mcp.server.transport_security import TransportSecuritySettings

    # hosts and origins were checked before a request comes here, by a rule that knows which ones are ours
    server.streamable_http_app(
        json_response=True, transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False)
    )
    app.state.mcp = server.session_manager
    async with server.session_manager.run():
        yield


router.routes.append(Route("/mcp", _Endpoint(), methods=["GET", "POST", "DELETE"], include_in_schema=False))
