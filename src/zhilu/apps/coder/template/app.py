"""A code assistant over a Zhilu gateway: questions with the lines they rest on, and changes as diffs.

The browser speaks to this program alone, so the key of the gateway stays here. It asks one repository, ``ZHILU_REPO``, and has no way to
write to it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

HERE = Path(__file__).parent
URL = os.environ.get("ZHILU_URL", "http://127.0.0.1:8642").rstrip("/")
MODEL = os.environ.get("ZHILU_MODEL") or None
KEY = os.environ.get("ZHILU_API_KEY") or None
REPO = f"/coder/repos/{quote(os.environ.get('ZHILU_REPO', 'tinyshop'), safe='')}"


def open_gateway() -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    return httpx.AsyncClient(base_url=f"{URL}/zhilu/v1", headers=headers, timeout=300, trust_env=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with getattr(app.state, "open_gateway", open_gateway)() as gateway:
        app.state.gateway = gateway
        yield


app = FastAPI(title="Code", lifespan=lifespan)


class Question(BaseModel):
    question: str = Field(min_length=1, max_length=2000)


class Change(BaseModel):
    instruction: str = Field(min_length=1, max_length=4000)


async def ask_gateway(request: Request, method: str, path: str, **rest: Any) -> Any:
    """The gateway's JSON, or its error as it is."""
    try:
        reply = await request.app.state.gateway.request(method, path, **rest)
    except httpx.HTTPError as error:
        raise HTTPException(503, f"No gateway answers at {URL}. Start it: zhilu up") from error
    if reply.is_error:
        raise HTTPException(reply.status_code, said_by(reply))
    return reply.json()


def said_by(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return reply.text[:500] or f"HTTP {reply.status_code}"


def wish(body: BaseModel) -> dict[str, Any]:
    return {**body.model_dump(), **({"model": MODEL} if MODEL else {})}


@app.get("/health")
async def health(request: Request) -> dict[str, Any]:
    repo = await ask_gateway(request, "GET", REPO)
    return {"gateway": URL, "repo": repo["name"]}


@app.get("/api/files")
async def files(request: Request) -> Any:
    return await ask_gateway(request, "GET", f"{REPO}/files")


@app.get("/api/file")
async def file(path: str, request: Request) -> Any:
    return await ask_gateway(request, "GET", f"{REPO}/file", params={"path": path})


@app.get("/api/search")
async def search(q: str, request: Request) -> Any:
    return await ask_gateway(request, "GET", f"{REPO}/search", params={"q": q})


@app.post("/api/changes", status_code=201)
async def propose(body: Change, request: Request) -> Any:
    """A diff, or why there is none; the gateway keeps it for ``zhilu code apply``."""
    return await ask_gateway(request, "POST", f"{REPO}/edits", json=wish(body))


@app.post("/api/ask")
async def ask(body: Question, request: Request) -> StreamingResponse:
    """The gateway's server-sent events: ``passages``, ``text``, ``done``, ``error``."""
    gateway: httpx.AsyncClient = request.app.state.gateway
    opened = gateway.build_request("POST", f"{REPO}/ask", json=wish(body))
    try:
        reply = await gateway.send(opened, stream=True)
    except httpx.HTTPError as error:
        raise HTTPException(503, f"No gateway answers at {URL}. Start it: zhilu up") from error
    if reply.is_error:
        await reply.aread()
        await reply.aclose()
        raise HTTPException(reply.status_code, said_by(reply))

    async def events() -> AsyncIterator[bytes]:
        try:
            async for piece in reply.aiter_bytes():
                yield piece
        finally:  # the browser left: the gateway stops its model
            await reply.aclose()

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@app.get("/")
def page() -> FileResponse:
    return FileResponse(HERE / "static/index.html")


app.mount("/static", StaticFiles(directory=HERE / "static"))
