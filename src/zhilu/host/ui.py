"""Serves the built workbench from the package. If it is not built, says how to build it."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Match

from zhilu.errors import NotFoundError
from zhilu.host.security import PAGE
from zhilu.messages import T

__all__ = ["STATIC", "mount"]

STATIC = Path(__file__).parent / "static"
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


def mount(app: FastAPI) -> None:
    """Answer every path that is no API: a file of the build, or the page itself (its router reads the path)."""
    known = list(app.router.routes)

    @app.get("/{path:path}", include_in_schema=False, name=PAGE)
    def page(path: str, request: Request) -> Response:
        if path.startswith(_API):
            if any(route.matches(request.scope)[0] is Match.PARTIAL for route in known):
                raise HTTPException(405)  # it is there, for another method
            raise NotFoundError(T(f"There is no {request.url.path!r} here.", f"这里没有 {request.url.path!r}。"))
        wanted = _file(path)
        if wanted is not None:
            # Files under assets/ carry a hash of their content in their names.
            age = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
            return FileResponse(wanted, headers={"Cache-Control": age})
        if path.startswith("assets/"):
            raise NotFoundError(T(f"There is no {request.url.path!r} here.", f"这里没有 {request.url.path!r}。"))
        index = STATIC / "index.html"
        if not index.is_file():
            return HTMLResponse(f"<!doctype html><meta charset=utf-8><title>Zhilu</title><p>{_MISSING.say()}", 503)
        return FileResponse(index, headers={"Cache-Control": "no-cache"})
