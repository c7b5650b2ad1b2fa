"""Customer service over a Zhilu gateway: this program serves the customer's page and hands its requests on to one desk.

The browser speaks to this program alone, so the key of the gateway stays here. A conversation belongs to whoever has its secret,
which the gateway gives to the customer's page when it is opened.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

HERE = Path(__file__).parent
URL = os.environ.get("ZHILU_URL", "http://127.0.0.1:8642").rstrip("/")
DESK = os.environ.get("ZHILU_DESK") or None
MODEL = os.environ.get("ZHILU_MODEL") or None
KEY = os.environ.get("ZHILU_API_KEY") or None


def open_gateway() -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    return httpx.AsyncClient(base_url=f"{URL}/zhilu/v1/support", headers=headers, timeout=300, trust_env=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with getattr(app.state, "open_gateway", open_gateway)() as gateway:
        app.state.gateway = gateway
        app.state.desk = None
        yield


app = FastAPI(title="Customer service", lifespan=lifespan)


class Message(BaseModel):
    text: str = Field(min_length=1, max_length=2000)


class Rating(BaseModel):
    rating: int = Field(ge=1, le=5)


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


async def customers(request: Request) -> str:
    """The path of the desk's customers; the desk is looked up once."""
    state = request.app.state
    if state.desk is None:
        if DESK is not None:
            desk = await ask_gateway(request, "GET", f"/desks/{quote(DESK, safe='')}")
        else:
            desks = await ask_gateway(request, "GET", "/desks")
            if not desks:
                raise HTTPException(503, "There is no desk yet. Make one: zhilu support new --sample")
            desk = desks[0]
        if MODEL is not None and desk["settings"].get("model") != MODEL:
            settings = {**desk["settings"], "model": MODEL}
            await ask_gateway(request, "PATCH", f"/desks/{quote(desk['id'], safe='')}", json={"settings": settings})
        state.desk = desk["id"]
    return f"/widget/{quote(state.desk, safe='')}"


def of(contact: str, what: str = "") -> str:
    return f"/contacts/{quote(contact, safe='')}{what}"


@app.get("/health")
async def health(request: Request) -> dict[str, Any]:
    await customers(request)
    return {"gateway": URL, "desk": request.app.state.desk}


@app.get("/api/desk")
async def desk(request: Request) -> Any:
    return await ask_gateway(request, "GET", f"{await customers(request)}/desk", headers=language(request))


@app.post("/api/contacts", status_code=201)
async def open_contact(request: Request) -> Any:
    return await ask_gateway(request, "POST", f"{await customers(request)}/contacts", headers=language(request))


@app.post("/api/contacts/{contact}/messages")
async def say(contact: str, body: Message, request: Request, x_secret: str = Header()) -> Any:
    path = await customers(request) + of(contact, "/messages")
    return await ask_gateway(request, "POST", path, json=body.model_dump(), headers=secret(request, x_secret))


@app.post("/api/contacts/{contact}/close")
async def close(contact: str, request: Request, x_secret: str = Header()) -> Any:
    path = await customers(request) + of(contact, "/close")
    return await ask_gateway(request, "POST", path, headers=secret(request, x_secret))


@app.post("/api/contacts/{contact}/rating")
async def rate(contact: str, body: Rating, request: Request, x_secret: str = Header()) -> Any:
    path = await customers(request) + of(contact, "/rating")
    return await ask_gateway(request, "POST", path, json=body.model_dump(), headers=secret(request, x_secret))


@app.get("/api/contacts/{contact}/events")
async def follow(contact: str, request: Request, after: int = 0, x_secret: str = Header()) -> StreamingResponse:
    """The gateway's server-sent events ``line``: also what a person answers."""
    gateway: httpx.AsyncClient = request.app.state.gateway
    path = await customers(request) + of(contact, f"/events?after={after}")
    try:
        opened = gateway.build_request("GET", path, headers=secret(request, x_secret))
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
        finally:
            await reply.aclose()

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def language(request: Request) -> dict[str, str]:
    return {"Accept-Language": request.headers.get("accept-language", "en")[:100]}


def secret(request: Request, given: str) -> dict[str, str]:
    return {**language(request), "X-Zhilu-Contact": given}


@app.get("/")
def page() -> FileResponse:
    return FileResponse(HERE / "static/index.html")


app.mount("/static", StaticFiles(directory=HERE / "static"))
