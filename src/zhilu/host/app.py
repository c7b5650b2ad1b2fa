"""``create_app`` composes the routes of all folders, the guard, the shape of errors and the built UI. It owns no capability."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from zhilu import __version__
from zhilu.context import Context
from zhilu.errors import BusyError, InputError, NotFoundError, UnsupportedError, ZhiluError, error_body
from zhilu.host import routes, ui
from zhilu.host.middleware import Bodies, Heads
from zhilu.host.security import Guard
from zhilu.logs import as_error
from zhilu.messages import T, current_lang, pick_lang, use_lang
from zhilu.registry import Registry
from zhilu.wire.anthropic import body_as_asked

__all__ = ["create_app"]


def create_app(
    context: Context,
    *,
    only: tuple[str, ...] | None = None,
    ephemeral: bool = False,
    state: Mapping[str, Any] | None = None,
) -> Any:
    """The ASGI application.

    Args:
        context: settings and home.
        only: names of route groups to mount, by default all that are registered.
        ephemeral: True for a server that lives only as long as the command that started it; route groups see it as
            ``app.state.ephemeral`` and must then leave no trace of themselves in ``home.run``.
        state: more attributes of ``app.state``, for the route groups named in ``only``.
    """
    registry: Registry[ModuleType] = Registry.from_entry_points("zhilu.routes", T("route group", "路由组"))
    groups = {name: registry.get(name) for name in registry.names() if only is None or name in only}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for group in groups.values():
                if hasattr(group, "lifespan"):
                    await stack.enter_async_context(group.lifespan(app))
            yield

    app = FastAPI(
        title="Zhilu",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/zhilu/v1/openapi.json",
        docs_url=None,  # Swagger's page loads scripts from a CDN
        redoc_url=None,
    )
    app.state.context = context
    app.state.ephemeral = ephemeral
    for name, value in (state or {}).items():
        setattr(app.state, name, value)
    for group in groups.values():
        if hasattr(group, "first_router"):
            app.include_router(group.first_router)
    app.include_router(routes.router)
    for group in groups.values():
        app.include_router(group.router)
    routes_of_api = list(app.router.routes)
    if only is None:
        ui.mount(app)
    else:
        app.head("/", include_in_schema=False)(_is_running)
    _answer_errors(app, routes_of_api)
    app.add_middleware(Heads, routes=app.router.routes)
    settings = context.settings
    guests = [group.guests(context) for group in groups.values() if hasattr(group, "guests")]
    return Guard(_Language(Bodies(app)), host=settings.host, api_key=settings.api_key, routes=app.routes, guests=guests)


class _Language:
    """Sets the language of a request's messages from ``Accept-Language``, unless the setting fixes one."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        header = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
        with use_lang(pick_lang(header, current_lang())):
            await self.app(scope, receive, send)


def _is_running() -> Response:
    """Clients ask for the root's head to see whether anything is up; there is no page where there is no workbench."""
    return Response()


def _answer_errors(app: FastAPI, known: list[BaseRoute]) -> None:
    """Every error leaves in the OpenAI shape (Anthropic's where the client speaks its API), in the caller's language.

    Args:
        known: the routes without the one that answers every other path with the workbench's page. It takes GET alone, so
            a POST to a path that does not exist looks like a wrong method to the router.
    """

    @app.exception_handler(ZhiluError)
    async def ours(request: Request, error: ZhiluError) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, BusyError) else None
        return JSONResponse(body_as_asked(request.scope, error, error.http_status), error.http_status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        problem = _from_validation(error)
        return JSONResponse(error_body(problem), problem.http_status)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        problem: ZhiluError
        status = error.status_code
        if status == 405 and all(route.matches(request.scope)[0] is Match.NONE for route in known):
            status = 404
        if status == 404:
            problem = NotFoundError(T(f"There is no {request.url.path!r} here.", f"这里没有 {request.url.path!r}。"))
        elif status == 405:
            problem = InputError(
                T(
                    f"{request.method} is not possible on {request.url.path!r}.",
                    f"{request.url.path!r} 不支持 {request.method}。",
                ),
                code="method_not_allowed",
            )
        else:
            problem = InputError(T.of(str(error.detail)))
        body = body_as_asked(request.scope, problem, status)
        return JSONResponse(body, status, error.headers if status == error.status_code else None)

    @app.exception_handler(OSError)
    @app.exception_handler(sqlite3.Error)
    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        problem = as_error(error, path=request.url.path)
        return JSONResponse(body_as_asked(request.scope, problem, problem.http_status), problem.http_status)


_MOST_MISTAKES = 20


def _from_validation(error: RequestValidationError) -> InputError:
    """The mistakes of a request body at once, as many as anyone reads; an unknown field is named as unsupported."""
    items = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")[:_MOST_MISTAKES]
    names = [".".join(str(part) for part in item["loc"][1:]) or "body" for item in items]
    unknown = [name for name, item in zip(names, items, strict=True) if item["type"] == "extra_forbidden"]
    if unknown:
        listed = ", ".join(repr(name) for name in unknown)
        return UnsupportedError(T(f"Unknown parameter: {listed}.", f"未知参数：{listed}。"), param=unknown[0])
    text = "; ".join(f"{name}: {item['msg']}" for name, item in zip(names, items, strict=True))
    return InputError(
        T(f"The request cannot be used: {text}.", f"请求无法使用：{text}。"), param=names[0] if names else None
    )
