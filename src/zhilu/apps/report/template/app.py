"""Reports over a Zhilu gateway: tables are uploaded there, questions are asked there, and this program hands on what it may.

The browser speaks to this program alone, so the key of the gateway stays here.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

HERE = Path(__file__).parent
URL = os.environ.get("ZHILU_URL", "http://127.0.0.1:8642").rstrip("/")
MODEL = os.environ.get("ZHILU_MODEL") or None
KEY = os.environ.get("ZHILU_API_KEY") or None


def open_gateway() -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    return httpx.AsyncClient(base_url=f"{URL}/zhilu/v1/report", headers=headers, timeout=300, trust_env=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with getattr(app.state, "open_gateway", open_gateway)() as gateway:
        app.state.gateway = gateway
        yield


app = FastAPI(title="Reports", lifespan=lifespan)


class Question(BaseModel):
    question: str = Field(min_length=1, max_length=2000)


async def ask_gateway(request: Request, method: str, path: str, **rest: Any) -> Any:
    """The gateway's JSON, or its error as it is."""
    try:
        reply = await request.app.state.gateway.request(method, path, **rest)
    except httpx.HTTPError as error:
        raise HTTPException(503, f"No gateway answers at {URL}. Start it: zhilu up") from error
    if reply.is_error:
        raise HTTPException(reply.status_code, said_by(reply))
    return reply.json() if reply.content else None


def said_by(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return reply.text[:500] or f"HTTP {reply.status_code}"


@app.get("/health")
async def health(request: Request) -> dict[str, Any]:
    await ask_gateway(request, "GET", "/sources")
    return {"gateway": URL}


@app.get("/api/sources")
async def sources(request: Request) -> Any:
    return await ask_gateway(request, "GET", "/sources")


@app.post("/api/sources", status_code=201)
async def add_source(file: UploadFile, request: Request) -> Any:
    files = {"file": (file.filename or "data.csv", file.file)}
    return await ask_gateway(request, "POST", "/sources", files=files)


@app.post("/api/samples/{sample}", status_code=201)
async def add_sample(sample: str, request: Request) -> Any:
    return await ask_gateway(request, "POST", f"/samples/{quote(sample, safe='')}")


@app.post("/api/sources/{source}/ask")
async def ask(source: str, body: Question, request: Request) -> StreamingResponse:
    """The gateway's server-sent events: ``query``, ``result``, ``done``, ``error``."""
    gateway: httpx.AsyncClient = request.app.state.gateway
    wish = {"question": body.question, **({"model": MODEL} if MODEL else {})}
    opened = gateway.build_request("POST", f"/sources/{quote(source, safe='')}/ask", json=wish)
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
