"""Browsers are refused: the engine's port is for programs on this machine; people come through the gateway.

A page from anywhere can send requests to 127.0.0.1 (CSRF; such requests carry ``Origin``), and the owner of a page can point its
name at 127.0.0.1 after it has loaded (DNS rebinding; ``Host`` then contains that name). Both are refused.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from zhilu.errors import ForbiddenError, error_body
from zhilu.messages import T, pick_lang

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["NoBrowsers"]


class NoBrowsers:
    """ASGI middleware. ``host`` is the address listened on; beyond loopback any ``Host`` may be meant."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.local_only = _is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            for name in ("origin", "host"):
                value = headers.get(name)
                if value and (name == "origin" or (self.local_only and not _is_loopback(_without_port(value)))):
                    problem = ForbiddenError(
                        T(
                            f"refused: {name} is {value!r}; the engine serves programs on this machine only",
                            f"拒绝访问：{name} 为 {value!r}；引擎只为本机程序服务",
                        ),
                        fix="zhilu up",
                    )
                    lang = pick_lang(headers.get("accept-language"))
                    await JSONResponse(error_body(problem, lang), problem.http_status)(scope, receive, send)
                    return
        await self.app(scope, receive, send)


def _without_port(netloc: str) -> str:
    host, colon, port = netloc.rpartition(":")
    return host if colon and port.isdecimal() else netloc


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").rstrip(".").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
