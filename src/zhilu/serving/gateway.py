"""The OpenAI API in front of the engines: check the request, find the engine by the model's name, pass the bytes on.

A request is parsed once to be checked; what the engine gets is the client's own bytes, and what the client gets is the
engine's, unless something must change (the name a remote server knows the model by, token counts for the usage log).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from zhilu import wire
from zhilu.context import Context
from zhilu.errors import BusyError, NotFoundError, TooLargeError, UnreachableError, ZhiluError, error_body
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.serving.catalog import no_such_model
from zhilu.serving.embeddings import Embeddings
from zhilu.serving.ledger import CLIENT_LEFT, Exchange, Ledger
from zhilu.serving.loopback import LoopbackTransport
from zhilu.serving.metrics import merge, with_label
from zhilu.serving.served import Served
from zhilu.serving.stream import EventStream
from zhilu.serving.supervisor import Supervisor

__all__ = ["MAX_BODY_BYTES", "Gateway", "read_body"]

log = get_logger(__name__)
MAX_BODY_BYTES = 32 * 1024 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Told by the engine, and for the client to know; hop-by-hop and length headers are this connection's own.
_PASSED_BACK = ("content-type", "retry-after", "cache-control")


class Gateway:
    """Routes requests by model name. One per application, closed with it."""

    def __init__(self, context: Context, supervisor: Supervisor, embeddings: Embeddings, ledger: Ledger) -> None:
        self.context = context
        self.supervisor = supervisor
        self.embeddings = embeddings
        self.ledger = ledger
        self.loopback = LoopbackTransport()
        # No read timeout here either: a client that leaves is what ends a request.
        self.remote = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=3.0)
        )

    async def aclose(self) -> None:
        await self.loopback.aclose()
        await self.remote.aclose()
        self.ledger.close()

    async def pass_on(self, request: Request, endpoint: str, kind: type[wire.Request]) -> Response:
        """Answer a generation or tokenizer request with the engine of its model."""
        return _Relay(self, request, endpoint, kind)

    async def embed(self, request: Request) -> Response:
        """``/v1/embeddings``, answered in this process."""
        exchange = self.exchange(request, "/v1/embeddings")
        try:
            body = wire.parse_request(wire.EmbeddingRequest, wire.parse_json(await read_body(request)))
            name = self.embeddings.find(body.model)
            if name is None:
                raise no_such_model(body.model or "", self.embeddings.names())
            exchange.model = name
            reply = await self.embeddings.answer(name, body)
            exchange.usage = reply["usage"]
            exchange.first_byte = time.monotonic()
            return JSONResponse(reply, headers={"x-request-id": exchange.id})
        except ZhiluError as error:
            exchange.status, exchange.code = error.http_status, error.code
            raise
        finally:
            self.ledger.book(exchange)

    async def models(self) -> list[dict[str, Any]]:
        """Every name that a request may give, with the state of its engine; embedders last."""
        entries = {entry["id"]: entry for entry in await asyncio.to_thread(self.supervisor.catalog.list)}
        for name, served in self.supervisor.states().items():
            if served.model.path is None and served.state != "stopped":
                entries.setdefault(name, {"id": name, "owned_by": served.engine})
        for name, entry in entries.items():
            running = self.supervisor.states().get(name)
            entry["state"] = running.state if running else "stopped"
            if running and running.max_len:
                entry["max_model_len"] = running.max_len
        return [*entries.values(), *({"id": name, "state": "ready"} for name in self.embeddings.names())]

    async def model(self, name: str) -> dict[str, Any]:
        """Raises NotFoundError."""
        entries = await self.models()
        for entry in wire.model_list(entries)["data"]:
            if entry["id"] == name:
                return dict(entry)
        raise no_such_model(name, [entry["id"] for entry in entries])

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Served]:
        """The running engine of ``name``, started first if it is only in the store; an unknown name is told the others."""
        async with AsyncExitStack() as stack:
            try:
                served = await stack.enter_async_context(self.supervisor.lease(name))
            except NotFoundError as error:
                if error.param != "model":
                    raise
                raise no_such_model(name, [entry["id"] for entry in await self.models()]) from None
            yield served

    async def metrics(self) -> str:
        """Our figures and those of every engine that has any; one that does not answer in a second is left out."""
        served = list(self.supervisor.states().values())
        ready = [s for s in served if s.state == "ready" and "metrics" in s.facts.can]
        texts = await asyncio.gather(*(self._engine_metrics(s) for s in ready))
        theirs = [with_label(text, "model", s.model.name) for s, text in zip(ready, texts, strict=True)]
        return merge([self.ledger.lines(served), *theirs])

    async def _engine_metrics(self, served: Served) -> str:
        assert served.launch is not None
        request = httpx.Request("GET", f"{served.launch.url}/metrics")

        async def read() -> str:
            response = await self.loopback.handle_async_request(request)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
            return content.decode(errors="replace") if response.status_code == 200 else ""

        with suppress(httpx.HTTPError, asyncio.TimeoutError):
            return await asyncio.wait_for(read(), 1.0)
        return ""

    @staticmethod
    def exchange(request: Request, endpoint: str) -> Exchange:
        """The client's ``x-request-id`` if it can be one, else a new one."""
        theirs = request.headers.get("x-request-id", "")
        return Exchange(theirs if _REQUEST_ID.fullmatch(theirs) else f"req-{uuid.uuid4().hex}", endpoint)


class _Relay(Response):
    """An ASGI response that does the work while it watches the client: who leaves ends the request at the engine."""

    def __init__(self, gateway: Gateway, request: Request, endpoint: str, kind: type[wire.Request]) -> None:
        self.gateway = gateway
        self.request = request
        self.kind = kind
        self.exchange = gateway.exchange(request, endpoint)
        self.started = False
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send_raw = send
        try:
            raw = await read_body(self.request)
            await _while_connected(receive, self._answer(raw))
        except ZhiluError as error:
            await self._fail(error)
        except (_ClientLeft, ClientDisconnect):
            self.exchange.status, self.exchange.code = CLIENT_LEFT, "client_left"
        finally:
            self.gateway.ledger.book(self.exchange)

    async def _answer(self, raw: bytes) -> None:
        data = wire.parse_json(raw)
        body = wire.parse_request(self.kind, data)
        name = body.model or self.gateway.context.settings.model
        self.exchange.stream = bool(getattr(body, "stream", False))
        async with self.gateway.lease(name) as served:
            self.exchange.model = name
            try:
                await self._exchange_bytes(served, data, body, raw)
            except httpx.HTTPError as error:
                raise _broken_off(served, error) from error

    @staticmethod
    def _changes(data: Mapping[str, Any], served: Served, body: wire.Request) -> dict[str, Any]:
        """What must differ from what the client sent."""
        assert served.launch is not None
        changes: dict[str, Any] = {}
        if data.get("model") != served.launch.model:
            changes["model"] = served.launch.model
        wants_stream = getattr(body, "stream", False)
        if wants_stream and not getattr(body, "include_usage", True) and "stream_usage" in served.facts.can:
            changes["stream_options"] = {**(data.get("stream_options") or {}), "include_usage": True}
        return changes

    async def _exchange_bytes(self, served: Served, data: Mapping[str, Any], body: wire.Request, raw: bytes) -> None:
        changes = self._changes(data, served, body)
        if changes:
            raw = json.dumps({**data, **changes}, ensure_ascii=False).encode()
        response = await self._send_to_engine(served, raw)
        try:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                await self._stream(response, hide_usage="stream_options" in changes)
            else:
                await self._whole(response, await response.aread())
        finally:
            await response.aclose()

    async def _send_to_engine(self, served: Served, raw: bytes) -> httpx.Response:
        """Send, and return when the headers have come.

        Sent a second time where not a byte of an answer came: the engine was dead already, died meanwhile (then once it
        is back), or was just closing the idle connection. Only once, so that a request an engine dies of ends there.
        """
        process = served.process
        try:
            return await self._send_once(served, raw)
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            if process is None and not isinstance(error, httpx.RemoteProtocolError):
                raise  # a server of someone else's: nobody restarts it here
            await asyncio.sleep(0.05)  # a killed engine's exit takes a moment to be known
            await self.gateway.supervisor.until_ready(served)
        return await self._send_once(served, raw)

    async def _send_once(self, served: Served, raw: bytes) -> httpx.Response:
        assert served.launch is not None
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "x-request-id": self.exchange.id,
            "accept-language": self.request.headers.get("accept-language", "*"),
            **served.launch.headers,
        }
        url = f"{served.launch.url}{self.exchange.endpoint}"
        request = httpx.Request("POST", url, content=raw, headers=headers, extensions={"timeout": {"connect": 10.0}})
        transport = self.gateway.loopback if served.facts.is_process else self.gateway.remote
        return await transport.handle_async_request(request)

    async def _whole(self, response: httpx.Response, content: bytes) -> None:
        with suppress(ValueError, AttributeError):
            reply = json.loads(content)
            self.exchange.usage = reply.get("usage")
            if response.is_error:
                self.exchange.code = (reply.get("error") or {}).get("code")
        headers = {name: response.headers[name] for name in _PASSED_BACK if name in response.headers}
        await self._start(response.status_code, {**headers, "content-length": str(len(content))})
        await self._body(content, more=False)

    async def _stream(self, response: httpx.Response, hide_usage: bool) -> None:
        events = EventStream(hide_usage=hide_usage)
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        # For proxies that collect a response before they pass it on (nginx).
        await self._start(response.status_code, {**headers, "x-accel-buffering": "no"})
        try:
            async for data in response.aiter_raw():
                whole = events.feed(data)
                if whole:
                    await self._body(whole)
        finally:
            self.exchange.usage = events.usage
        if not events.finished:
            raise httpx.RemoteProtocolError("the stream ended without [DONE]")
        await self._body(b"", more=False)

    async def _fail(self, error: ZhiluError) -> None:
        """An HTTP error, or once the stream has begun an event that says the same and the end of the stream."""
        self.exchange.code = error.code
        if self.started:
            await self._body(wire.sse_error(error) + wire.SSE_DONE, more=False)
            return
        content = json.dumps(error_body(error), ensure_ascii=False).encode()
        headers = {"content-type": "application/json", "content-length": str(len(content))}
        if isinstance(error, BusyError):
            headers["retry-after"] = str(error.retry_after)
        await self._start(error.http_status, headers)
        await self._body(content, more=False)

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.exchange.status = status
        pairs = {**headers, "x-request-id": self.exchange.id}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()]
        await self._send_raw({"type": "http.response.start", "status": status, "headers": raw})
        self.started = True

    async def _body(self, content: bytes, more: bool = True) -> None:
        if self.exchange.first_byte is None:
            self.exchange.first_byte = time.monotonic()
        await self._send_raw({"type": "http.response.body", "body": content, "more_body": more})


class _ClientLeft(Exception):
    """Nobody waits for the answer any more."""


async def _while_connected(receive: Receive, work: Any) -> None:
    """Run ``work``, and cancel it when the client disconnects."""

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(disconnected())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _ClientLeft
        task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def read_body(request: Request) -> bytes:
    """The whole body; TooLargeError above ``MAX_BODY_BYTES``."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            limit = MAX_BODY_BYTES // 2**20
            raise TooLargeError(T(f"The body is larger than {limit} MB.", f"请求体超过 {limit} MB。"))
    return bytes(body)


def _broken_off(served: Served, error: httpx.HTTPError) -> UnreachableError:
    reason = str(error) or type(error).__name__
    log.warning("engine_connection_lost", model=served.model.name, pid=served.pid, error=reason)
    return UnreachableError(
        T(
            f"The engine of {served.model.name!r} went away while it answered ({reason}). Ask again.",
            f"模型 {served.model.name!r} 的引擎在回答时中断（{reason}）。请重试。",
        ),
        code="engine_lost",
        fix=f"zhilu engine log {served.model.name}",
    )
