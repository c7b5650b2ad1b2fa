"""Document question answering over a Zhilu gateway: files are kept and read there, questions are asked there.

The browser speaks to this program alone, so the key of the gateway stays here. All files are in one knowledge base, ``ZHILU_KB``.
"""

from __future__ import annotations

import asyncio
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
KB = os.environ.get("ZHILU_KB", "docqa")


def open_gateway() -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    return httpx.AsyncClient(base_url=f"{URL}/zhilu/v1", headers=headers, timeout=300, trust_env=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with getattr(app.state, "open_gateway", open_gateway)() as gateway:
        app.state.gateway = gateway
        app.state.making = asyncio.Lock()
        yield


app = FastAPI(title="Documents", lifespan=lifespan)


class Question(BaseModel):
    question: str = Field(min_length=1, max_length=4000)


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


async def kb_id(request: Request) -> str:
    """The id of the knowledge base of this program, made when it is first asked for."""
    async with request.app.state.making:
        for kb in await ask_gateway(request, "GET", "/kbs"):
            if kb["name"] == KB:
                return str(kb["id"])
        return str((await ask_gateway(request, "POST", "/kbs", json={"name": KB}))["id"])


def part(name: str) -> str:
    return quote(name, safe="")


@app.get("/health")
async def health(request: Request) -> dict[str, Any]:
    await ask_gateway(request, "GET", "/kbs")
    return {"gateway": URL}


@app.get("/api/documents")
async def documents(request: Request) -> Any:
    return await ask_gateway(request, "GET", f"/kbs/{await kb_id(request)}/documents")


@app.post("/api/documents")
async def add_documents(files: list[UploadFile], request: Request) -> Any:
    """One file or many; the gateway reads them in a job."""
    sent = [("files", (file.filename or "document.txt", file.file)) for file in files]
    return await ask_gateway(request, "POST", f"/kbs/{await kb_id(request)}/documents", files=sent)


@app.get("/api/documents/{doc}")
async def document(doc: str, request: Request) -> Any:
    return await ask_gateway(request, "GET", f"/kbs/{await kb_id(request)}/documents/{part(doc)}")


@app.delete("/api/documents/{doc}", status_code=204)
async def remove_document(doc: str, request: Request) -> None:
    await ask_gateway(request, "DELETE", f"/kbs/{await kb_id(request)}/documents/{part(doc)}")


@app.get("/api/documents/{doc}/summary")
async def summary(doc: str, request: Request) -> Any:
    return await ask_gateway(request, "GET", f"/docqa/{await kb_id(request)}/documents/{part(doc)}/summary")


@app.post("/api/documents/{doc}/summary", status_code=202)
async def begin_summary(doc: str, request: Request) -> Any:
    params = {"model": MODEL} if MODEL else {}
    path = f"/docqa/{await kb_id(request)}/documents/{part(doc)}/summary"
    return await ask_gateway(request, "POST", path, params=params)


@app.post("/api/ask")
async def ask(body: Question, request: Request) -> StreamingResponse:
    """The gateway's server-sent events: ``retrieved``, ``delta``, ``done``, ``error``."""
    gateway: httpx.AsyncClient = request.app.state.gateway
    wish = {"question": body.question, **({"model": MODEL} if MODEL else {})}
    opened = gateway.build_request("POST", f"/docqa/{await kb_id(request)}/ask", json=wish)
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
