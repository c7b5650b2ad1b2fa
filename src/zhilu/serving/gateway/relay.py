"""One request on its way to an engine and back: its bytes passed on, or translated for another API.

A request is parsed once, to be checked. The engine gets the client's own bytes and the client gets the engine's, unless something
must change: the name under which the engine knows the model, token counts for the usage log, or another API (``Dialect``).
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from zhilu import wire
from zhilu.errors import BusyError, InputError, TooLargeError, UnreachableError, ZhiluError, error_body
from zhilu.host.services import file_search
from zhilu.logs import as_error, get_logger
from zhilu.messages import T
from zhilu.models.chosen import named_model
from zhilu.prompts import Passage, searched_content
from zhilu.serving.api.filling import filled
from zhilu.serving.api.pictures import IMAGE_OCR, is_wanted, read_out
from zhilu.serving.gateway.endless import refuse_endless
from zhilu.serving.gateway.ledger import CLIENT_LEFT, exchange_of
from zhilu.serving.gateway.outside import hidden, raise_fault, raise_lost, refuse_unasked
from zhilu.serving.gateway.stream import EventStream
from zhilu.serving.gateway.toolwork import Reading, enforced, reading_for
from zhilu.serving.gateway.upstream import Route, Upstream
from zhilu.serving.gateway.upstream_errors import openai_error
from zhilu.serving.served import Served
from zhilu.wire.dialect import Dialect

__all__ = ["MAX_BODY_BYTES", "Answering", "Relay", "TranslatingRelay", "broken_off", "in_own_words", "read_body"]

log = get_logger(__name__)
MAX_BODY_BYTES = 32 * 1024 * 1024
# Told by the engine, and for the client to know; hop-by-hop and length headers are this connection's own.
_PASSED_BACK = ("content-type", "retry-after", "cache-control")


class Answering(Response, ABC):
    """An ASGI response that does the work while it watches the client: who leaves ends the request at the engine."""

    def __init__(self, upstream: Upstream, request: Request, path: str) -> None:
        self.upstream = upstream
        self.request = request
        self.exchange = exchange_of(request, path)
        self.started = False
        self.pictures = 0  # that were read by OCR, for a model that cannot see
        self.served: Served | None = None  # whoever was asked
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
        except Exception as error:  # whatever an engine sent or we did wrong: a stream that has begun ends as a stream
            await self._fail(as_error(error, path=self.exchange.endpoint))
        finally:
            self.upstream.ledger.book(self.exchange)

    @abstractmethod
    async def _answer(self, raw: bytes) -> None:
        """Ask the engine and send what it says."""

    async def _readable(self, route: Route, data: Mapping[str, Any], body: wire.Request) -> dict[str, Any] | None:
        """The request with the text of its pictures, for an engine that cannot see; None where nothing changes."""
        facts = route.served.facts
        if "vision" in facts.can or not facts.is_process or not isinstance(body, wire.ChatRequest):
            return None
        if not is_wanted(self.request.headers.get(IMAGE_OCR), self.upstream.context.settings.image_ocr):
            return None
        changed, self.pictures = await read_out(data)
        return changed if self.pictures else None

    async def _send_to_engine(self, served: Served, endpoint: str, raw: bytes) -> httpx.Response:
        """Send, and return when the headers have come.

        Sent a second time where not a byte of an answer came: the engine was dead already, died meanwhile (then once it
        is back), or was just closing the idle connection. Only once, so that a request an engine dies of ends there.
        """
        process = served.process
        self.served = served
        try:
            return await self._send_once(served, endpoint, raw)
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            if process is None and not isinstance(error, httpx.RemoteProtocolError):
                raise  # a server of someone else's: nobody restarts it here
            if process is not None and isinstance(error, httpx.ConnectError):
                await self.upstream.supervisor.until_replaced(served, process)  # nobody listens: nothing was sent
            else:
                await asyncio.sleep(0.05)  # a killed engine's exit takes a moment to be known
            await self.upstream.supervisor.until_ready(served)
        return await self._send_once(served, endpoint, raw)

    async def _send_once(self, served: Served, endpoint: str, raw: bytes) -> httpx.Response:
        headers = {
            "x-request-id": self.exchange.id,
            "accept-language": self.request.headers.get("accept-language", "*"),
        }
        response = await self.upstream.post(served, endpoint, raw, headers)
        await raise_fault(served, response)
        return response

    async def _whole(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        content = hidden(self.served, content)
        await self._start(status, {**headers, "content-length": str(len(content))})
        await self._body(content, more=False)

    def _note(self, reply: Any, is_error: bool) -> None:
        """What the usage log wants to know of a whole reply."""
        if isinstance(reply, dict):
            self.exchange.usage = reply.get("usage")
            if is_error and isinstance(reply.get("error"), dict):
                self.exchange.code = reply["error"].get("code")

    async def _fail(self, error: ZhiluError) -> None:
        """An HTTP error, or once the stream has begun what closes it with the same words."""
        self.exchange.code = error.code
        if self.started:
            await self._body(self._broken(error), more=False)
            return
        headers = {"content-type": "application/json"}
        if isinstance(error, BusyError):
            headers["retry-after"] = str(error.retry_after)
        content = json.dumps(self._refusal(error_body(error), error.http_status), ensure_ascii=False).encode()
        await self._whole(error.http_status, content, headers)

    def _refusal(self, body: dict[str, Any], status: int) -> dict[str, Any]:
        return body

    def _broken(self, error: ZhiluError) -> bytes:
        return wire.sse_error(error) + wire.SSE_DONE

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.exchange.status = status
        pairs = {**headers, "x-request-id": self.exchange.id}
        if self.pictures:
            pairs[IMAGE_OCR] = str(self.pictures)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()]
        await self._send_raw({"type": "http.response.start", "status": status, "headers": raw})
        self.started = True

    async def _start_stream(self, status: int, media_type: str) -> None:
        # The last is for proxies that collect a response before they pass it on (nginx).
        headers = {"content-type": media_type, "cache-control": "no-cache", "x-accel-buffering": "no"}
        await self._start(status, headers)

    async def _body(self, content: bytes, more: bool = True) -> None:
        if self.exchange.first_byte is None:
            self.exchange.first_byte = time.monotonic()
        await self._send_raw({"type": "http.response.body", "body": hidden(self.served, content), "more_body": more})


class Relay(Answering):
    """Passes an OpenAI request on as it is."""

    def __init__(self, upstream: Upstream, request: Request, endpoint: str, kind: type[wire.Request]) -> None:
        super().__init__(upstream, request, endpoint)
        self.endpoint = endpoint
        self.kind = kind

    async def _answer(self, raw: bytes) -> None:
        data = wire.parse_json(raw)
        body = wire.parse_request(self.kind, data)
        name = named_model(self.upstream.context, body.model)
        self.exchange.stream = bool(getattr(body, "stream", False))
        async with self.upstream.route(name) as route:
            self.exchange.model = name
            if (changed := filled(route.served, data, body)) is not None:
                data, body = changed, wire.parse_request(self.kind, changed)
                raw = json.dumps(data, ensure_ascii=False).encode()
            if (changed := await self._readable(route, data, body)) is not None:
                data, body = changed, wire.parse_request(self.kind, changed)
                raw = json.dumps(data, ensure_ascii=False).encode()
            route.served.facts.refuse_beyond(self.endpoint, body)
            refuse_unasked(route.served, self.endpoint)
            if self.endpoint != "/tokenize":  # which is there to say how long a text is
                refuse_endless(route.served.max_len, body, raw)
            try:
                await self._exchange_bytes(route, data, body, raw)
            except httpx.HTTPError as error:
                raise broken_off(route.served, error) from error

    @staticmethod
    def _changes(data: Mapping[str, Any], route: Route, body: wire.Request) -> dict[str, Any]:
        """What must differ from what the client sent."""
        changes: dict[str, Any] = {}
        if data.get("model") != route.model:
            changes["model"] = route.model
        wants_stream = getattr(body, "stream", False)
        if wants_stream and not getattr(body, "include_usage", True) and "stream_usage" in route.served.facts.can:
            # For the log alone: counts in every event are for those who asked for counts.
            theirs = {k: v for k, v in (data.get("stream_options") or {}).items() if k != "continuous_usage_stats"}
            changes["stream_options"] = {**theirs, "include_usage": True}
        return {**changes, **enforced(route.served.facts, body)}

    async def _exchange_bytes(self, route: Route, data: Mapping[str, Any], body: wire.Request, raw: bytes) -> None:
        changes = self._changes(data, route, body)
        if changes:
            raw = json.dumps({**data, **changes}, ensure_ascii=False).encode()
        reading = reading_for(route.served, body)
        response = await self._send_to_engine(route.served, self.endpoint, raw)
        try:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                await self._stream(response, hide_usage="stream_options" in changes, reading=reading)
            else:
                content = await response.aread()
                if response.is_error:
                    content = openai_error(content, response.status_code)
                with suppress(ValueError):
                    reply = json.loads(content)
                    self._note(reply, response.is_error)
                    if reading and not response.is_error:
                        content = json.dumps(reading.whole(reply), ensure_ascii=False).encode()
                headers = {name: response.headers[name] for name in _PASSED_BACK if name in response.headers}
                await self._whole(response.status_code, content, headers)
        finally:
            await response.aclose()

    async def _stream(self, response: httpx.Response, hide_usage: bool, reading: Reading | None) -> None:
        events = EventStream(hide_usage=hide_usage)
        await self._start_stream(response.status_code, "text/event-stream; charset=utf-8")
        try:
            async for data in response.aiter_raw():
                whole = events.feed(data) if reading is None else _told(events, data, reading)
                if whole:
                    await self._body(whole)
        finally:
            self.exchange.usage = events.usage
        if not events.finished:
            raise httpx.RemoteProtocolError("the stream ended without [DONE]")
        await self._body(b"" if reading is None else wire.SSE_DONE, more=False)


class TranslatingRelay(Answering):
    """Answers in another API's words."""

    def __init__(self, upstream: Upstream, request: Request, kind: type[Dialect]) -> None:
        super().__init__(upstream, request, kind.path)
        self.kind = kind
        self.dialect: Dialect | None = None

    async def _answer(self, raw: bytes) -> None:
        data = wire.parse_json(raw)
        wire.refuse_unkeepable(raw, data)  # it is written again
        self.dialect = dialect = self.kind(data)  # type: ignore[call-arg]  # a protocol has no __init__
        name = named_model(self.upstream.context, dialect.model)
        self.exchange.stream = dialect.stream
        if (wish := getattr(dialect, "file_search", None)) is not None and dialect.question:  # type: ignore[attr-defined]
            await self._search(dialect, wish)
        if getattr(dialect, "is_load_only", False) and getattr(dialect, "unloads", False):
            return await self._end(name, dialect)
        async with self.upstream.route(name) as route:
            self.exchange.model = name
            _refuse_context(route.served, dialect.num_ctx)
            if await self._only_loads(dialect, route):
                return
            self._meet(route.served, dialect)
            body = {"model": route.model, **dialect.body()}
            kind = wire.CompletionRequest if dialect.endpoint == "/v1/completions" else wire.ChatRequest
            request = wire.parse_request(kind, body)
            if (changed := await self._readable(route, body, request)) is not None:
                body, request = changed, wire.parse_request(kind, changed)
            route.served.facts.refuse_beyond(dialect.endpoint, request)
            refuse_endless(route.served.max_len, request, raw)
            sent = json.dumps({**body, **enforced(route.served.facts, request)}, ensure_ascii=False).encode()
            try:
                await self._exchange_words(route, dialect, sent, reading_for(route.served, request))
            except httpx.HTTPError as error:
                raise broken_off(route.served, error) from error
            if getattr(dialect, "unloads", False):
                await self._unload(route.served)

    def _meet(self, served: Served, dialect: Any) -> None:
        """Tell the dialect who is asked, where that changes the request."""

    async def _search(self, dialect: Any, wish: Any) -> None:
        """The Responses API's ``file_search``, before the model is asked."""
        found = await asyncio.to_thread(file_search().find, self.upstream.context, wish.model_dump(), dialect.question)
        passages: list[Passage] = [{"title": f["filename"], "text": f["text"]} for f in found]
        dialect.take_found(found, searched_content(dialect.question, passages))

    async def _only_loads(self, dialect: Dialect, route: Route) -> bool:
        """Ollama's way to have a model loaded: a request that says nothing."""
        if not getattr(dialect, "is_load_only", False):
            return False
        content = json.dumps(dialect.loaded(), ensure_ascii=False).encode() + b"\n"  # type: ignore[attr-defined]
        await self._whole(200, content, {"content-type": "application/json"})
        return True

    async def _end(self, name: str, dialect: Dialect) -> None:
        """Ollama's way to have a model unloaded; one that does not run is not started for it."""
        served = self.upstream.supervisor.states().get(name)
        if served is None:
            await self.upstream.plan(name)  # an unknown name is told the others
        elif served.in_flight == 0:
            await self.upstream.supervisor.stop(name)
        self.exchange.model = name
        content = json.dumps(dialect.loaded(), ensure_ascii=False).encode() + b"\n"  # type: ignore[attr-defined]
        await self._whole(200, content, {"content-type": "application/json"})

    async def _unload(self, served: Served) -> None:
        """Stop the engine as its client asked, unless others are using it (this request itself counts while it lasts)."""
        if served.in_flight <= 1:
            await self.upstream.supervisor.stop(served.model.name)

    async def _exchange_words(self, route: Route, dialect: Dialect, raw: bytes, reading: Reading | None) -> None:
        response = await self._send_to_engine(route.served, dialect.endpoint, raw)
        try:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                await (self._stream if dialect.stream else self._collect)(response, dialect, reading)
                return
            content = await response.aread()
            reply = _object(openai_error(content, response.status_code) if response.is_error else content)
            self._note(reply, response.is_error)
            if reading and not response.is_error:
                reply = reading.whole(reply)
            said = self._refusal(reply, response.status_code) if response.is_error else dialect.whole(reply)
            headers = {name: response.headers[name] for name in ("retry-after",) if name in response.headers}
            text = json.dumps(said, ensure_ascii=False).encode()
            await self._whole(response.status_code, text, {**headers, "content-type": "application/json"})
        finally:
            await response.aclose()

    async def _stream(self, response: httpx.Response, dialect: Dialect, reading: Reading | None) -> None:
        events = EventStream()
        await self._start_stream(response.status_code, dialect.media_type)
        if opening := dialect.begin():
            await self._body(opening)
        try:
            async for data in response.aiter_raw():
                said = b""
                try:
                    for chunk in events.chunks(data):
                        if "error" in chunk:
                            raise _error_in_stream(chunk)
                        for told in reading.chunk(chunk) if reading else (chunk,):
                            said += dialect.piece(told)
                finally:  # what came in one read with an error was said before it
                    if said:
                        await self._body(said)
        finally:
            self.exchange.usage = events.usage
        if not events.finished:
            raise httpx.RemoteProtocolError("the stream ended without [DONE]")
        await self._body(dialect.end(), more=False)

    async def _collect(self, response: httpx.Response, dialect: Dialect, reading: Reading | None) -> None:
        """A whole answer, of an engine that was asked for a stream."""
        events = EventStream()
        try:
            async for data in response.aiter_raw():
                for chunk in events.chunks(data):
                    if "error" in chunk:
                        raise _error_in_stream(chunk)
                    for told in reading.chunk(chunk) if reading else (chunk,):
                        dialect.piece(told)
        finally:
            self.exchange.usage = events.usage
        if not events.finished:
            raise httpx.RemoteProtocolError("the stream ended without [DONE]")
        content = json.dumps(dialect.collected(), ensure_ascii=False).encode()  # type: ignore[attr-defined]
        await self._whole(200, content, {"content-type": "application/json"})

    def _refusal(self, body: dict[str, Any], status: int) -> dict[str, Any]:
        return self.kind.refusal(in_own_words(body, self.dialect) if self.dialect else body)

    def _broken(self, error: ZhiluError) -> bytes:
        assert self.dialect is not None, "a stream begins after the request was understood"
        return self.dialect.broken(error)


def in_own_words(body: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """An error about the translated request, naming the field that the client sent."""
    error = body.get("error")
    param = error.get("param") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(param, str):
        return body
    own = dialect.own_name(param)

    def said(text: Any) -> Any:
        return text.replace(param, own, 1) if isinstance(text, str) and own != param else text

    words = {key: {lang: said(text) for lang, text in error[key].items()} for key in ("messages",) if error.get(key)}
    return {**body, "error": {**error, **words, "message": said(error.get("message")), "param": own}}


def _told(events: EventStream, data: bytes, reading: Reading) -> bytes:
    """The events that ``data`` completes, with what is in them told apart; without ``[DONE]``."""
    told = b""
    for chunk in events.chunks(data):
        for one in (chunk,) if "error" in chunk else reading.chunk(chunk):
            told += b"data: " + json.dumps(one, ensure_ascii=False).encode() + b"\n\n"
    return told


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        raise httpx.RemoteProtocolError("the engine's answer is not JSON") from None
    return value if isinstance(value, dict) else {"error": value}


def _error_in_stream(chunk: Mapping[str, Any]) -> ZhiluError:
    """The engine's own words about a stream that failed."""
    error = chunk["error"] if isinstance(chunk["error"], dict) else {"message": chunk["error"]}
    words = error.get("messages") or {}
    message = str(error.get("message"))
    return ZhiluError(
        T(words.get("en") or message, words.get("zh") or message), code=str(error.get("code") or "engine_error")
    )


def _refuse_context(served: Served, num_ctx: int | None) -> None:
    if num_ctx is not None and served.max_len is not None and num_ctx > served.max_len:
        raise InputError(
            T(
                f"num_ctx {num_ctx}: {served.model.name!r} reads at most {served.max_len} tokens.",
                f"num_ctx {num_ctx}：{served.model.name!r} 最多读取 {served.max_len} 个 token。",
            ),
            param="options.num_ctx",
        )


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
    """The whole body; TooLargeError above ``MAX_BODY_BYTES``, NotJsonError for one that is compressed."""
    wire.check_encoding(request.headers.get("content-encoding"))
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            limit = MAX_BODY_BYTES // 2**20
            raise TooLargeError(T(f"The body is larger than {limit} MB.", f"请求体超过 {limit} MB。"))
    return bytes(body)


def broken_off(served: Served, error: httpx.HTTPError) -> UnreachableError:
    """The error for a connection to an engine that was lost in the middle; of an API's, it is raised here."""
    raise_lost(served, error)
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
