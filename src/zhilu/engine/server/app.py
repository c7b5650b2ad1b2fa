"""The engine's HTTP application: OpenAI's endpoints, health, metrics, tokens and a view of its state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from zhilu import __version__, wire
from zhilu.engine.choose.beam import BeamAnswer, refuse_beyond_beams
from zhilu.engine.choose.guided_grammars import Grammar, grammar_of, wants_grammar
from zhilu.engine.options import EngineOptions
from zhilu.engine.server import api
from zhilu.engine.server.browsers import NoBrowsers
from zhilu.engine.server.fingerprint import fingerprint
from zhilu.engine.server.reply import Reply
from zhilu.engine.server.state import state_of
from zhilu.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    TooLargeError,
    UnreachableError,
    UpstreamError,
    ZhiluError,
    error_body,
    nearest,
)
from zhilu.logs import get_logger
from zhilu.messages import T, pick_lang
from zhilu.wire.batch import BatchChatRequest
from zhilu.wire.cancel import CancelRequest, cancelled

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from zhilu.engine.engine import Engine
    from zhilu.engine.model.adapters import Adapter
    from zhilu.engine.server.service import Answer, EngineService

__all__ = ["create_app"]

log = get_logger(__name__)

_MAX_BODY_BYTES = 32 * 1024 * 1024


class _Server:
    """The route functions of one loaded (or still loading) model."""

    def __init__(self, options: EngineOptions, name: str) -> None:
        self.options = options
        self.name = name
        self.started = time.monotonic()
        self.created = int(time.time())
        self.fingerprint: str | None = None
        self.adapters: dict[str, Path] = {}
        self.open: dict[str, Answer | BeamAnswer] = {}  # by the id of the reply
        self.service: EngineService | None = None
        self.failure: ZhiluError | None = None

    async def load(self) -> None:
        """Read the model in a thread, so that ``/health`` can answer meanwhile."""
        try:
            await self._load()
        except ZhiluError as error:
            self.failure = error
        except Exception as error:
            log.exception("engine_load_failed")
            name = type(error).__name__
            self.failure = UpstreamError(T(f"loading failed: {name}: {error}", f"加载失败：{name}: {error}"))

    async def _load(self) -> None:
        from zhilu.engine.server.service import EngineService

        engine = await asyncio.to_thread(_load, self.options)
        self.defaults = api.read_defaults(self.options.model)
        self.fingerprint = await asyncio.to_thread(fingerprint, engine.runner.describe(), self.options.model)
        self.adapters = {adapter.name: adapter.path for adapter in engine.adapters}
        self.service = EngineService(engine)
        log.info("engine_ready", model=self.name, seconds=round(time.monotonic() - self.started, 2))

    def loaded(self) -> EngineService:
        if self.service is None:
            raise self.failure or UnreachableError(
                T(f"model {self.name!r} is still loading", f"模型 {self.name!r} 仍在加载")
            )
        return self.service

    async def health(self, request: Request) -> Response:
        if self.failure:
            return JSONResponse({"status": "failed", **error_body(self.failure)}, 503)
        return JSONResponse({"status": "ok"}) if self.service else JSONResponse({"status": "loading"}, 503)

    async def models(self, request: Request) -> Response:
        return JSONResponse(wire.model_list(self._entries()))

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        entry = next((entry for entry in self._entries() if entry["id"] == name), None)
        if entry is None:
            raise self._no_such_model(name)
        return JSONResponse(wire.model_list([entry])["data"][0])

    def _entries(self) -> list[dict[str, Any]]:
        """The model, and each adapter as a model with it as ``parent`` (vLLM's way)."""
        shared = {"created": self.created, "max_model_len": self.loaded().engine.max_len}
        own = {"id": self.name, "root": str(self.options.model), "parent": None, **shared}
        others = [
            {"id": name, "root": str(path), "parent": self.name, **shared} for name, path in self.adapters.items()
        ]
        return [own, *others]

    async def chat(self, request: Request) -> Response:
        return await self._chat(request, await _json(request))

    async def completions(self, request: Request) -> Response:
        return await self._complete(request, await _json(request))

    async def invocations(self, request: Request) -> Response:
        """SageMaker's one door: a chat where there are messages, else a completion."""
        data = await _json(request)
        return await (self._chat if "messages" in data else self._complete)(request, data)

    async def _chat(self, request: Request, data: dict[str, Any]) -> Response:
        body = wire.parse_request(wire.ChatRequest, data)
        self._accept(body)
        engine = self.loaded().engine
        prompt = await asyncio.to_thread(api.chat_prompt, engine.tokenizer, body, engine.max_len)
        return await self._generate(request, body, [prompt])

    async def chat_batch(self, request: Request) -> Response:
        """Several conversations at once: the parameters are those of each."""
        body = wire.parse_request(BatchChatRequest, await _json(request))
        self._accept(body.chats[0])
        engine = self.loaded().engine
        prompts = [
            await asyncio.to_thread(api.chat_prompt, engine.tokenizer, chat, engine.max_len) for chat in body.chats
        ]
        return await self._generate(request, body.chats[0], prompts)

    async def _complete(self, request: Request, data: dict[str, Any]) -> Response:
        body = wire.parse_request(wire.CompletionRequest, data)
        self._accept(body)
        engine = self.loaded().engine
        prompts = await asyncio.to_thread(api.completion_prompts, engine.tokenizer, body, engine.max_len)
        return await self._generate(request, body, prompts)

    def _accept(self, body: wire.Request) -> None:
        wire.refuse_beyond("zhilu", wire.OWN_ENGINE, body)
        if isinstance(body, api.Generation):
            refuse_beyond_beams(body)
        if body.model not in (None, self.name, *self.adapters):
            raise self._no_such_model(body.model or "")

    def _no_such_model(self, name: str) -> NotFoundError:
        names = [self.name, *self.adapters]
        return NotFoundError(
            T(
                f"model {name!r} is not served here; {', '.join(map(repr, names))} is",
                f"此处没有模型 {name!r}；可用的是 {'、'.join(map(repr, names))}",
            ),
            param="model",
            code="model_not_found",
        )

    async def _generate(self, request: Request, body: api.Generation, prompts: list[list[int]]) -> Response:
        try:
            return await self._answer(request, body, prompts)
        except InputError as error:
            if error.param == "prompt" and isinstance(body, wire.ChatRequest):
                error.param = "messages"  # what the prompt was made of
            raise

    async def _answer(self, request: Request, body: api.Generation, prompts: list[list[int]]) -> Response:
        service = self.loaded()
        grammar = None
        if wants_grammar(body):
            grammar = await asyncio.get_running_loop().run_in_executor(service.compiling, _grammar, service, body)
        max_len = service.engine.max_len
        words = api.bad_words(service.engine.tokenizer, body)
        rooms = [max_len - len(prompt) for prompt in prompts]
        made = {room: api.sampling_params(body, self.defaults, room, grammar, words) for room in {*rooms}}
        params = [made[room] for room in rooms]
        adapter = body.model if body.model in self.adapters else None
        answer: Answer | BeamAnswer
        if body.use_beam_search:
            answer = BeamAnswer(service, prompts, params, body.n, body.length_penalty, adapter)
        else:
            answer = await service.submit(wire.new_id("req"), prompts, params, body.n, adapter)
        model = adapter or self.name
        reply = Reply(body, answer, service.engine.tokenizer, model, prompts, _lang(request), self.fingerprint)
        if reply.id in self.open:
            answer.abort()
            taken = T(f"a request {body.request_id!r} is being answered", f"请求 {body.request_id!r} 正在回答中")
            raise InputError(taken, param="request_id")
        self.open[reply.id] = answer
        if body.stream:
            return _EventStream(reply.events(), answer, lambda: self._closed(reply.id))
        try:
            return await _unless_disconnected(request, reply, answer)
        finally:
            self._closed(reply.id)

    def _closed(self, id: str) -> None:
        self.open.pop(id, None)

    async def cancel(self, request: Request) -> Response:
        """End the answers of these ids; those that are none are left out of the reply."""
        body = wire.parse_request(CancelRequest, await _json(request))
        found = [id for id in body.request_ids if id in self.open]
        for id in found:
            self.open[id].cancel()
        return JSONResponse(cancelled(found))

    async def tokenize(self, request: Request) -> Response:
        body = wire.parse_request(wire.TokenizeRequest, await _json(request))
        self._accept(body)
        engine = self.loaded().engine
        api.refuse_uncountable(body, engine.max_len)
        if body.prompt is not None:
            special = body.add_special_tokens is not False
            ids = await asyncio.to_thread(engine.tokenizer.encode, body.prompt, special)
        else:
            ids = await asyncio.to_thread(api.chat_prompt, engine.tokenizer, body)
        reply: dict[str, Any] = {"count": len(ids), "max_model_len": engine.max_len, "tokens": ids, "token_strs": None}
        if body.return_token_strs:
            reply["token_strs"] = [engine.tokenizer.name_of(id) for id in ids]
        return JSONResponse(reply)

    async def detokenize(self, request: Request) -> Response:
        body = wire.parse_request(wire.DetokenizeRequest, await _json(request))
        self._accept(body)
        engine = self.loaded().engine
        strange = next((id for id in body.tokens if not 0 <= id < engine.runner.vocab_size), None)
        if strange is not None:
            raise InputError(
                T(f"tokens: token id {strange} is out of vocabulary", f"tokens：不存在 id 为 {strange} 的 token"),
                param="tokens",
            )
        text = await asyncio.to_thread(engine.tokenizer.decode, body.tokens, skip_special_tokens=False)
        return JSONResponse({"prompt": text})

    async def tokenizer_info(self, request: Request) -> Response:
        return JSONResponse(self.loaded().engine.tokenizer.info())

    async def version(self, request: Request) -> Response:
        return JSONResponse({"version": __version__})

    async def load_now(self, request: Request) -> Response:
        """Generations that are being answered, under vLLM's name for it."""
        return JSONResponse({"server_load": len(self.open)})

    async def load_adapter(self, request: Request) -> Response:
        body = wire.parse_request(wire.LoadAdapterRequest, await _json(request))
        service, name, path = self.loaded(), body.lora_name, Path(body.lora_path)
        if name == self.name:
            raise ConflictError(T(f"{name!r} is the model's name", f"{name!r} 是模型自己的名称"), param="lora_name")
        adapter = await asyncio.to_thread(_read_adapter, name, path, self.options.model)
        await asyncio.to_thread(service.engine.runner.prepare_adapter, adapter)
        if body.load_inplace and name in self.adapters:
            await service.call(lambda: service.engine.adapters.remove(name))
            await _once_free(lambda: service.call(lambda: service.engine.adapters.add(adapter)))
        else:
            await service.call(lambda: service.engine.adapters.add(adapter))
        self.adapters[name] = path
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    async def unload_adapter(self, request: Request) -> Response:
        body = wire.parse_request(wire.UnloadAdapterRequest, await _json(request))
        service, name = self.loaded(), body.lora_name
        await service.call(lambda: service.engine.adapters.remove(name))
        self.adapters.pop(name, None)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    async def metrics(self, request: Request) -> Response:
        from zhilu.engine.metrics import prometheus_text

        service, engine = self.loaded(), self.loaded().engine
        text = await service.call(lambda: prometheus_text(engine.metrics, engine.scheduler, engine.max_len, self.name))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def state(self, request: Request) -> Response:
        service = self.loaded()
        return JSONResponse(await service.call(lambda: state_of(service.engine)))

    async def steps(self, request: Request) -> Response:
        """What the scheduler did lately, after the step of the number ``after``."""
        service, given = self.loaded(), request.query_params.get("after", "0")
        if not (given.isascii() and given.isdigit() and len(given) < 16):
            raise InputError(
                T(f"after is no number of a step: {given!r}", f"after 不是步的编号：{given!r}"), param="after"
            )
        return JSONResponse(
            await service.call(lambda: service.engine.steps.after(int(given), service.engine.scheduler))
        )


def _grammar(service: EngineService, body: api.Generation) -> Grammar | None:
    """The answer's grammar, or the looser one where it cannot be followed; compiled here, the engine does not wait for it."""
    grammar = grammar_of(body)
    while grammar is not None and grammar.looser is not None:
        try:
            service.engine.guides.check(grammar)
            break
        except InputError:
            grammar = grammar.looser
    return grammar


def _load(options: EngineOptions) -> Engine:
    from zhilu.engine.engine import load_engine

    return load_engine(options)


def _read_adapter(name: str, path: Path, model: Path) -> Adapter:
    from zhilu.engine.model.adapters import read_adapter
    from zhilu.engine.model.config import read_config

    return read_adapter(name, path, read_config(model), model)


async def _once_free(add: Callable[[], Awaitable[None]], seconds: float = 30) -> None:
    """Requests that run still compute with the adapter of that name; ConflictError if they take longer than this."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(ConflictError):
            return await add()
        await asyncio.sleep(0.05)
    await add()


class _EventStream(StreamingResponse):
    """Server-sent events of an answer, which ends with its connection: a reader who leaves frees the blocks."""

    def __init__(self, events: AsyncIterator[bytes], answer: Answer | BeamAnswer, closed: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._answer = answer
        self._closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.abort()
            self._closed()


async def _unless_disconnected(request: Request, reply: Reply, answer: Answer | BeamAnswer) -> Response:
    """Collect the whole reply, or stop computing it when nobody waits any more."""

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    work, gone = asyncio.ensure_future(reply.whole()), asyncio.ensure_future(disconnected())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return JSONResponse(work.result()) if work.done() else Response(status_code=499)
    finally:
        work.cancel()
        gone.cancel()
        answer.abort()


async def _json(request: Request) -> dict[str, Any]:
    wire.check_media_type(request.headers.get("content-type"))
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            limit = _MAX_BODY_BYTES // 2**20
            raise TooLargeError(T(f"the body is larger than {limit} MB", f"请求体超过 {limit} MB"))
    return wire.parse_json(bytes(body))


def create_app(
    options: EngineOptions,
    name: str,
    host: str = "127.0.0.1",
    on_failure: Callable[[ZhiluError], None] | None = None,
) -> Starlette:
    """The ASGI application; it loads the model when it starts and calls ``on_failure(error)`` if that fails."""
    server = _Server(options, name)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async def load() -> None:
            await server.load()
            if server.failure and on_failure:
                on_failure(server.failure)

        loading = asyncio.create_task(load())
        yield
        await loading
        if server.service:
            server.service.stop()

    return Starlette(
        routes=[
            Route("/health", server.health),
            Route("/v1/models", server.models),
            Route("/v1/models/{name:path}", server.model),
            Route("/v1/chat/completions", server.chat, methods=["POST"]),
            Route("/v1/chat/completions/batch", server.chat_batch, methods=["POST"]),
            Route("/v1/completions", server.completions, methods=["POST"]),
            Route("/v1/load_lora_adapter", server.load_adapter, methods=["POST"]),
            Route("/v1/unload_lora_adapter", server.unload_adapter, methods=["POST"]),
            Route("/v1/requests/cancel", server.cancel, methods=["POST"]),
            Route("/invocations", server.invocations, methods=["POST"]),
            Route("/tokenize", server.tokenize, methods=["POST"]),
            Route("/detokenize", server.detokenize, methods=["POST"]),
            Route("/tokenizer_info", server.tokenizer_info),
            Route("/ping", server.health, methods=["GET", "POST"]),
            Route("/version", server.version),
            Route("/load", server.load_now),
            Route("/metrics", server.metrics),
            Route("/state", server.state),
            Route("/steps", server.steps),
        ],
        exception_handlers={ZhiluError: _zhilu_error, HTTPException: _http_error, Exception: _unexpected_error},
        middleware=[Middleware(NoBrowsers, host=host)],
        lifespan=lifespan,
    )


def _lang(request: Request) -> str:
    return pick_lang(request.headers.get("accept-language"))


async def _zhilu_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ZhiluError)
    retry = getattr(error, "retry_after", None)
    headers = {"Retry-After": str(retry)} if retry else None
    return JSONResponse(error_body(error, _lang(request)), error.http_status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    paths = [route.path for route in request.app.routes]
    meant = nearest(path, paths)
    problem = NotFoundError(
        T(
            f"{request.method} {path} is not served by this engine" + (f"; there is {meant}" if meant else ""),
            f"当前引擎不提供 {request.method} {path}" + (f"；可用的是 {meant}" if meant else ""),
        )
    )
    return JSONResponse(error_body(problem, _lang(request)), error.status_code)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, exc_info=error)
    name = type(error).__name__
    problem = ZhiluError(T(f"unexpected {name}: {error}", f"意外错误 {name}: {error}"))
    return JSONResponse(error_body(problem, _lang(request)), 500)
