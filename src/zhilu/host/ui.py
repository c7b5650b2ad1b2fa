"""Serves the built workbench from the package. If it is not built, says how to build it.

``Early`` shows the page while the application is still being put together: reading every capability's code takes longer than
a person likes to look at nothing, and the page's files need none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Match

from zhilu.errors import NotFoundError, error_body
from zhilu.host.security import PAGE, Guard
from zhilu.logs import as_error
from zhilu.messages import T

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["STATIC", "Early", "mount"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STATIC = Path(__file__).parent / "static"
# What a model wrote is shown in this file, in a frame: of no origin, and with no way out, also where one opens it by itself.
_SANDBOX = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
_API = ("v1/", "zhilu/", "api/", "metrics", "health")

_MISSING = T(
    en="The workbench is not built here. Run <code>make ui</code> in the project, or install the wheel. The API works.",
    zh="这里还没有构建工作台。请在项目中运行 <code>make ui</code>，或安装发行包。API 可以正常使用。",
)


def _file(path: str) -> Path | None:
    """The file of the build at ``path``; None for what is none, or no name that a file could have."""
    try:
        wanted = (STATIC / path).resolve()
        return wanted if path and wanted.is_relative_to(STATIC.resolve()) and wanted.is_file() else None
    except (OSError, ValueError):
        return None


def _early_file(path: str) -> Response | None:
    """The page, or a file of the build; None for every other path, and where the workbench is not built."""
    wanted = STATIC / "index.html" if path == "/" else _file(path.removeprefix("/"))
    return _send(wanted, path.removeprefix("/")) if wanted is not None and wanted.is_file() else None


def _send(file: Path, path: str) -> Response:
    # Files under assets/ carry a hash of their content in their names.
    age = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
    own = _SANDBOX if path == "sandbox.html" else {}
    return FileResponse(file, headers={"Cache-Control": age, **own})


def mount(app: FastAPI) -> None:
    """Answer every path that is no API: a file of the build, or the page itself (its router reads the path)."""
    known = list(app.router.routes)

    def page(request: Request) -> Response:
        path = request.path_params["path"]
        if path.startswith(_API):
            if any(route.matches(request.scope)[0] is Match.PARTIAL for route in known):
                raise HTTPException(405)  # it is there, for another method
            raise NotFoundError(T(f"There is no {request.url.path!r} here.", f"这里没有 {request.url.path!r}。"))
        wanted = _file(path)
        if wanted is not None:
            return _send(wanted, path)
        if path.startswith("assets/"):
            raise NotFoundError(T(f"There is no {request.url.path!r} here.", f"这里没有 {request.url.path!r}。"))
        index = STATIC / "index.html"
        if not index.is_file():
            return HTMLResponse(f"<!doctype html><meta charset=utf-8><title>Zhilu</title><p>{_MISSING.say()}", 503)
        return _send(index, path)

    app.get("/{path:path}", include_in_schema=False, name=PAGE)(page)


class Early:
    """ASGI application: answers with the files of the built page at once, and holds every other request until the
    application, which it makes in a thread, has started.

    Args:
        make_app: makes the application; called once, when the server starts.
        host: the address the server listens on; the page is guarded by the same checks as the application.
        on_ready: called when the application has started.
        on_failure: called when it could not be made or did not start. ``failure`` then says why, requests that waited are
            answered with it, and the caller stops the server.
    """

    def __init__(
        self, make_app: Callable[[], Any], *, host: str, on_ready: Callable[[], None], on_failure: Callable[[], None]
    ) -> None:
        self.failure: Exception | None = None
        self._make_app, self._on_ready, self._on_failure = make_app, on_ready, on_failure
        self._page = Guard(_answer_file, host=host, api_key=None)  # its files are public: the page asks for the key
        self._app: Any = None
        self._started, self._leave = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if not self._started.is_set():
            if scope["method"] in ("GET", "HEAD") and _early_file(scope["path"]) is not None:
                await self._page(scope, receive, send)
                return
            await self._started.wait()
        await self._app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        inside = asyncio.create_task(self._run_app())
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        self._leave.set()
        await inside
        await send({"type": "lifespan.shutdown.complete"})

    async def _run_app(self) -> None:
        """Make the application and keep its own lifespan open until this one's ends."""
        try:
            app = await asyncio.to_thread(self._make_app)
            if not self._leave.is_set():
                self._app = app
                await app({"type": "lifespan", "asgi": {"version": "3.0"}}, self._events().__anext__, self._hear)
        except Exception as error:
            self.failure = error
            self._app = _Refusal(error)
            self._started.set()
            self._on_failure()

    async def _events(self) -> AsyncIterator[Message]:
        yield {"type": "lifespan.startup"}
        await self._leave.wait()
        yield {"type": "lifespan.shutdown"}

    async def _hear(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":  # a failure is also raised
            self._started.set()
            self._on_ready()


class _Refusal:
    """Answers who waited for an application that did not start."""

    def __init__(self, error: Exception) -> None:
        problem = as_error(error, path="")
        self._respond = JSONResponse(error_body(problem), 503)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._respond(scope, receive, send)


async def _answer_file(scope: Scope, receive: Receive, send: Send) -> None:
    response = _early_file(scope["path"])
    assert response is not None  # ``Early`` asked before
    await response(scope, receive, send)
