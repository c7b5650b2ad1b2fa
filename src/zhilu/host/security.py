"""Who may call: Host and Origin checks, and the key beyond loopback.

A server on 127.0.0.1 is still reached by any page the person opens: by a form or fetch from a foreign origin (CSRF), or
by a name that its owner points at 127.0.0.1 after the page has loaded (DNS rebinding). The first shows in ``Origin``, the
second in ``Host``; both are refused before anything else runs. See OWASP, "CSRF prevention", and
"DNS rebinding" in the Fetch-metadata notes.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from zhilu.errors import AuthError, ForbiddenError, ZhiluError, error_body
from zhilu.messages import T, pick_lang

__all__ = ["CONTENT_SECURITY_POLICY", "Guard", "is_loopback"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_RAW = [
    (name.lower().encode(), value.encode())
    for name, value in {**_HEADERS, "Content-Security-Policy": CONTENT_SECURITY_POLICY}.items()
]
# Answer without a key: the page itself (it asks for the key) and the liveness check; neither shows anything of a person's.
_GUARDED = (
    *("/v1/", "/v2/", "/zhilu/", "/api/", "/metrics", "/tokenize", "/detokenize"),
    *("/abort_requests", "/invocations", "/load", "/rerank", "/score"),
)


def is_loopback(host: str) -> bool:
    """True for a name or address that only this machine can mean."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _hostname(netloc: str) -> str:
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""


class Guard:
    """ASGI middleware; also sets the security headers of every response.

    Args:
        app: the application behind it.
        host: the address the server listens on. On loopback, only loopback names are accepted as ``Host``; beyond it a
            key is required, which a rebinding page does not have, so that any name may be used.
        api_key: when set, every API request must carry it.
    """

    def __init__(self, app: Any, *, host: str, api_key: str | None) -> None:
        self.app = app
        self.local_only = is_loopback(host)
        self.api_key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._problem(scope, headers)
        if problem is not None:
            lang = pick_lang(headers.get("accept-language"))
            extra = {"WWW-Authenticate": "Bearer"} if isinstance(problem, AuthError) else {}
            response = JSONResponse(error_body(problem, lang), problem.http_status, headers={**_HEADERS, **extra})
            await response(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message = {**message, "headers": [*message["headers"], *(h for h in _RAW if h[0] not in given)]}
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _problem(self, scope: Scope, headers: Headers) -> ZhiluError | None:
        host = _hostname(headers.get("host", ""))
        if self.local_only and not is_loopback(host):
            return ForbiddenError(
                T(
                    f"The Host header {headers.get('host')!r} is not a name of this machine's loopback.",
                    f"请求头 Host {headers.get('host')!r} 不是本机回环地址的名字。",
                ),
                code="host_not_allowed",
                fix="http://127.0.0.1:8642",
            )
        origin = headers.get("origin")
        if origin is not None:
            theirs = _hostname(urlsplit(origin).netloc) if "://" in origin else ""
            if theirs != host and not (self.local_only and is_loopback(theirs)):
                return ForbiddenError(
                    T(f"Requests from the origin {origin!r} are refused.", f"拒绝来自 {origin!r} 的跨站请求。"),
                    code="origin_not_allowed",
                )
        elif headers.get("sec-fetch-site") == "cross-site" and scope["method"] not in ("GET", "HEAD"):
            return ForbiddenError(T("Cross-site requests are refused.", "拒绝跨站请求。"), code="origin_not_allowed")
        if self.api_key and scope["path"].startswith(_GUARDED) and not self._has_key(headers):
            return AuthError(
                T(
                    "This server needs a key: send it as 'Authorization: Bearer KEY'.",
                    "需要密钥：请用 'Authorization: Bearer KEY' 发送。",
                ),
                code="invalid_api_key",
            )
        return None

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        assert self.api_key is not None
        return scheme.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), self.api_key.encode())
