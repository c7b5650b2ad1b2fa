"""Who may call: Host and Origin checks, and the key for every route that is not on a short list of public ones.

Any page that a person opens can reach a server on 127.0.0.1: with a form or fetch from a foreign origin (CSRF), from a page that
another program serves on another port of this machine, or through a name that its owner points at 127.0.0.1 after the page has
loaded (DNS rebinding). The first two show in ``Origin``, the third in ``Host``. All three are refused before anything else runs.
See OWASP, "CSRF prevention", and "DNS rebinding" in the Fetch-metadata notes.

One door leads through: ``Guests``. A route group may let pages of other sites, which the person listed, use the paths under one
prefix (CORS; https://fetch.spec.whatwg.org/#http-cors-protocol). Nothing else of the application is opened by it.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match

from zhilu.errors import AuthError, ForbiddenError, NotFoundError, ZhiluError
from zhilu.messages import T, pick_lang
from zhilu.wire.anthropic import body_as_asked

__all__ = ["CONTENT_SECURITY_POLICY", "PUBLIC", "Guard", "Guests", "is_loopback"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
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
# The routes that answer without a key. They show nothing of a person's: whether the server lives, and its version. Besides
# them only the page's own files do (it asks for the key); every other route, also one added later, wants the key.
PUBLIC = frozenset({"/health", "/ping", "/version"})
PAGE = "page"  # the name of the route that serves the workbench's files
_READS = ("GET", "HEAD", "OPTIONS")
_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int]  # scheme, host, port
_GUESTS_DO = ("GET", "POST", "OPTIONS")


@dataclass(frozen=True)
class Guests:
    """What a route group opens to pages of other sites.

    Attributes:
        prefix: of the paths that are open; it ends with a slash, and no other group's path begins with it.
        admits: whether a page of this origin may use this path; asked at each request, in a thread.
        headers: request headers that it may send beside the usual ones.
        scripts: files that any page may load by a script tag. They are the same for everybody, and read without a key.
    """

    prefix: str
    admits: Callable[[str, str], bool]  # (path, origin)
    headers: tuple[str, ...] = ()
    scripts: frozenset[str] = frozenset()

    async def admit(self, scope: Scope, origin: str) -> bool:
        path = scope["path"]
        is_open = path.startswith(self.prefix) and scope["method"] in _GUESTS_DO and _origin(origin) is not None
        return is_open and await asyncio.to_thread(self.admits, path, origin)


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


def _origin(url: str) -> Origin | None:
    """What a page may be told apart by (RFC 6454); None where it is hidden or no address."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname.lower(), port) if parts.hostname and port else None


def _allowed(guests: Guests, headers: Headers) -> list[tuple[str, str]]:
    """The CORS headers for the origin that asks: never for any, and without cookies."""
    return [
        ("Access-Control-Allow-Origin", headers["origin"]),
        ("Access-Control-Allow-Methods", "GET, POST"),
        ("Access-Control-Allow-Headers", ", ".join(("content-type", *guests.headers))),
        ("Access-Control-Max-Age", "600"),
        ("Vary", "Origin"),
    ]


class Guard:
    """ASGI middleware; also sets the security headers of every response.

    Args:
        app: the application behind it.
        host: the address the server listens on. On loopback, only loopback names are accepted as ``Host``; beyond it a
            key is required, which a rebinding page does not have, so that any name may be used.
        api_key: when set, every request must carry it, but for ``PUBLIC`` and the page.
        routes: those of the application, to tell the page from all others.
        guests: what pages of other sites may use.
    """

    def __init__(
        self,
        app: Any,
        *,
        host: str,
        api_key: str | None,
        routes: Sequence[BaseRoute] = (),
        guests: Sequence[Guests] = (),
    ) -> None:
        self.app = app
        self.guests = guests
        self.local_only = is_loopback(host)
        self.api_key = api_key
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        guest = await self._guest(scope, headers)
        problem = self._problem(scope, headers, is_guest=guest is not None)
        if problem is not None:
            lang = pick_lang(headers.get("accept-language"))
            extra = {"WWW-Authenticate": "Bearer"} if isinstance(problem, AuthError) else {}
            body = body_as_asked(scope, problem, problem.http_status, lang)
            response = JSONResponse(body, problem.http_status, headers={**_HEADERS, **extra})
            await response(scope, receive, send)
            return
        allowed = _allowed(guest, headers) if guest is not None else []
        if guest is not None and scope["method"] == "OPTIONS":  # the browser asks before the page may
            await Response(status_code=204, headers={**_HEADERS, **dict(allowed)})(scope, receive, send)
            return
        raw = [*_RAW, *((name.lower().encode(), value.encode()) for name, value in allowed)]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message = {**message, "headers": [*message["headers"], *(h for h in raw if h[0] not in given)]}
            await send(message)

        await self.app(scope, receive, send_with_headers)

    async def _guest(self, scope: Scope, headers: Headers) -> Guests | None:
        origin = headers.get("origin")
        if origin is None or len(headers.getlist("origin")) != 1:
            return None
        for guests in self.guests:
            if await guests.admit(scope, origin):
                return guests
        return None

    def _problem(self, scope: Scope, headers: Headers, *, is_guest: bool) -> ZhiluError | None:
        if self.local_only and not is_loopback(_hostname(headers.get("host", ""))):
            return ForbiddenError(
                T(
                    f"The Host header {headers.get('host')!r} is not a name of this machine's loopback.",
                    f"请求头 Host {headers.get('host')!r} 不是本机回环地址的名字。",
                ),
                code="host_not_allowed",
                fix="http://127.0.0.1:8642",
            )
        has_key = self.api_key is not None and self._has_key(headers)
        if not is_guest and self._is_foreign(scope, headers, has_key):
            origin = headers.get("origin") or headers.get("sec-fetch-site")
            return ForbiddenError(
                T(
                    f"Requests from the origin {origin!r} are refused: only the workbench's own page may change things.",
                    f"拒绝来自 {origin!r} 的跨站请求：只有工作台自己的页面可以修改内容。",
                ),
                code="origin_not_allowed",
                fix="zhilu settings set api_key KEY  # and send it; a proxy removes the Origin header",
            )
        if self.api_key and not has_key and not is_guest and not self._is_public(scope):
            return AuthError(
                T(
                    "This server needs a key: send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.",
                    "需要密钥：请用 'Authorization: Bearer KEY' 或 'x-api-key: KEY' 发送。",
                ),
                code="invalid_api_key",
            )
        if "\0" in scope["path"]:  # no name of anything, and no path that the system takes
            return NotFoundError(T(f"There is no {scope['path']!r} here.", f"这里没有 {scope['path']!r}。"))
        return None

    def _is_foreign(self, scope: Scope, headers: Headers, has_key: bool) -> bool:
        """True for a browser's request from a page that may not make it; programs that are no browser send no ``Origin``.

        Reading is left to pages of this host's other ports (they cannot see the answer); to write, the page must be of
        our very origin, or carry the key, which no page knows by itself.
        """
        reads = scope["method"] in _READS
        sent = headers.get("origin")
        if sent is None:
            site = headers.get("sec-fetch-site")
            return not reads and (site == "cross-site" or (site == "same-site" and not has_key))
        host = headers.get("host", "")
        theirs, ours = _origin(sent), _origin(f"{scope.get('scheme', 'http')}://{host}")
        if theirs is None:
            return True
        if theirs == ours:
            return False
        is_ours_by_name = theirs[1] == _hostname(host) or (self.local_only and is_loopback(theirs[1]))
        return not (is_ours_by_name and (reads or has_key))

    def _is_public(self, scope: Scope) -> bool:
        if scope["path"] in PUBLIC:
            return True
        if any(scope["path"] in guests.scripts for guests in self.guests):
            return scope["method"] in ("GET", "HEAD")
        for route in self.routes:
            match, _ = route.matches(scope)
            if match is not Match.NONE:
                return match is Match.FULL and getattr(route, "name", None) == PAGE
        return False  # nothing answers there: not told to strangers

    def _has_key(self, headers: Headers) -> bool:
        """As OpenAI's clients send it, or as Anthropic's do."""
        assert self.api_key is not None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = [*headers.getlist("x-api-key")[:1], *([key] if scheme.lower() == "bearer" else [])]
        return any(hmac.compare_digest(one.strip().encode(), self.api_key.encode()) for one in given)
