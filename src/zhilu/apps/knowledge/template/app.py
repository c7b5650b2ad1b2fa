"""The door of an organisation's knowledge: people sign in here, ask here, and reach nothing else of the Zhilu gateway.

Accounts, groups, leave, answers and the audit log are the gateway's (/zhilu/v1/knowledge). This program hands on a short list of
its routes with the person's session, and keeps the gateway's key to itself. What admins do is not on the list.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

HERE = Path(__file__).parent
URL = os.environ.get("ZHILU_URL", "http://127.0.0.1:8642").rstrip("/")
MODEL = os.environ.get("ZHILU_MODEL") or None
KEY = os.environ.get("ZHILU_API_KEY") or None
AT = "/zhilu/v1/knowledge"
COOKIES = ("zhilu_knowledge", "zhilu_knowledge_oidc")
MOST_BYTES = 200_000
_ID = "[0-9a-f]{1,32}"
ALLOWED = {
    "GET": re.compile(rf"me|documents|suggestions|questions|kbs/{_ID}/documents/{_ID}"),
    "POST": re.compile(rf"sign-in|sign-out|search|oidc/begin|oidc/finish|questions/{_ID}/feedback"),
}


def open_gateway() -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    return httpx.AsyncClient(base_url=URL, headers=headers, timeout=300, trust_env=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with getattr(app.state, "open_gateway", open_gateway)() as gateway:
        app.state.gateway = gateway
        yield


app = FastAPI(title="Knowledge", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


@app.middleware("http")
async def safe(request: Request, call_next: Any) -> Response:
    """Only this page may act for a person (a foreign one has another Origin), and what is shown runs no script of a document's."""
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if request.method != "GET" and (foreign or request.headers.get("sec-fetch-site") in ("cross-site", "same-site")):
        return Response("Only this program's own page may do this.", 403)
    response: Response = await call_next(request)
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@app.get("/health")
async def health(request: Request) -> dict[str, Any]:
    reply = await sent(request, "GET", "me", b"")
    return {"gateway": URL, "ok": not reply.is_error}


@app.post("/api/ask")
async def ask(request: Request) -> StreamingResponse:
    """The gateway's server-sent events: ``retrieved``, ``delta``, ``done``, ``error``."""
    body = await request.json() if len(await request.body()) <= MOST_BYTES else {}
    wish = {
        "question": body.get("question", ""),
        "history": body.get("history", []),
        **({"model": MODEL} if MODEL else {}),
    }
    gateway: httpx.AsyncClient = request.app.state.gateway
    opened = gateway.build_request("POST", f"{AT}/ask", json=wish, headers=of_person(request))
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


@app.api_route("/api/{path:path}", methods=["GET", "POST"])
async def hand_on(path: str, request: Request) -> Response:
    """One of the routes of the list, as it is, with the person's session and no other header of the browser's."""
    if not ALLOWED[request.method].fullmatch(path):
        raise HTTPException(404, "There is no such route here.")
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise HTTPException(413, "This is too long.")
    reply = await sent(request, request.method, path, body)
    if reply.is_error:
        raise HTTPException(reply.status_code, said_by(reply))
    response = Response(reply.content, reply.status_code, media_type=reply.headers.get("content-type"))
    for cookie in reply.headers.get_list("set-cookie"):
        secure = "; Secure" if request.url.scheme == "https" and "secure" not in cookie.lower() else ""
        response.headers.append("set-cookie", cookie.replace(f"Path={AT}", "Path=/api") + secure)
    response.headers["Cache-Control"] = "no-store"
    return response


async def sent(request: Request, method: str, path: str, body: bytes) -> httpx.Response:
    gateway: httpx.AsyncClient = request.app.state.gateway
    headers = of_person(request) | ({"Content-Type": "application/json"} if body else {})
    try:
        return await gateway.request(method, f"{AT}/{path}", params=request.query_params, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise HTTPException(503, f"No gateway answers at {URL}. Start it: zhilu up") from error


def of_person(request: Request) -> dict[str, str]:
    """The session, the language, and where the person is: sign-ins are counted by address."""
    session = "; ".join(f"{name}={request.cookies[name]}" for name in COOKIES if name in request.cookies)
    where = request.client.host if request.client else ""
    language = request.headers.get("accept-language", "en")
    return {"Accept-Language": language, "X-Forwarded-For": where, **({"Cookie": session} if session else {})}


def said_by(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return reply.text[:500] or f"HTTP {reply.status_code}"


@app.get("/")
@app.get("/signed-in")
def page() -> FileResponse:
    return FileResponse(HERE / "static/index.html")


app.mount("/static", StaticFiles(directory=HERE / "static"))
