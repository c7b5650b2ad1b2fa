"""The engine's HTTP application: OpenAI's endpoints plus health, metrics, tokens and a look inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from zhilu import wire
from zhilu.engine import api
from zhilu.engine.guard import NoBrowsers
from zhilu.engine.options import EngineOptions
from zhilu.errors import NotFoundError, TooLargeError, UnreachableError, UpstreamError, ZhiluError, error_body, nearest
from zhilu.logs import get_logger
from zhilu.messages import T, pick_lang

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from zhilu.engine.engine import Engine
    from zhilu.engine.service import Answer, EngineService

__all__ = ["create_app"]

log = get_logger(__name__)

_MAX_BODY_BYTES = 32 * 1024 * 1024


class _Server:
    """The route functions of one loaded (or still loading) model."""

    def __init__(self, options: EngineOptions, name: str) -> None:
        self.options = options
        self.name = name
        self.started = time.monotonic()
        self.service: EngineService | None = None
        self.failure: ZhiluError | None = None

    async def load(self) -> None:
        """Read the model in a thread, so that ``/health`` can answer meanwhile."""
        try:
            engine = await asyncio.to_thread(_load, self.options)
        except ZhiluError as error:
            self.failure = error
        except Exception as error:
            log.exception("engine_load_failed")
            name = type(error).__name__
            self.failure = UpstreamError(T(f"loading failed: {name}: {error}", f"加载失败：{name}: {error}"))
        else:
            from zhilu.engine.service import EngineService

            self.defaults = api.read_defaults(self.options.model)
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
        entry = {"id": self.name, "root": str(self.options.model), "max_model_len": self.loaded().engine.max_len}
        return JSONResponse(wire.model_list([entry]))

    async def chat(self, request: Request) -> Response:
        body = wire.parse_request(wire.ChatRequest, await _json(request))
        self._accept(body)
        tokenizer = self.loaded().engine.tokenizer
        return await self._generate(request, body, [await asyncio.to_thread(api.chat_prompt, tokenizer, body)])

    async def completions(self, request: Request) -> Response:
        body = wire.parse_request(wire.CompletionRequest, await _json(request))
        self._accept(body)
        tokenizer = self.loaded().engine.tokenizer
        return await self._generate(request, body, await asyncio.to_thread(api.completion_prompts, tokenizer, body))

    def _accept(self, body: wire.Request) -> None:
        wire.refuse_unsupported(body)
        if body.model not in (None, self.name):
            raise NotFoundError(
                T(
                    f"model {body.model!r} is not served here; {self.name!r} is",
                    f"此处没有模型 {body.model!r}；可用的是 {self.name!r}",
                ),
                param="model",
                code="model_not_found",
            )

    async def _generate(self, request: Request, body: api.Generation, prompts: list[list[int]]) -> Response:
        service = self.loaded()
        max_len = service.engine.max_len
        params = [api.sampling_params(body, self.defaults, max_len - len(prompt)) for prompt in prompts]
        answer = await service.submit(wire.new_id("req"), prompts, params, body.n)
        reply = api.Reply(body, answer, service.engine.tokenizer, self.name, prompts, _lang(request))
        if body.stream:
            return _EventStream(reply.events(), answer)
        return await _unless_disconnected(request, reply, answer)

    async def tokenize(self, request: Request) -> Response:
        body = wire.parse_request(wire.TokenizeRequest, await _json(request))
        self._accept(body)
        engine = self.loaded().engine
        if body.prompt is not None:
            ids = engine.tokenizer.encode(body.prompt, body.add_special_tokens)
        else:
            ids = api.chat_prompt(engine.tokenizer, body)
        reply: dict[str, Any] = {"count": len(ids), "max_model_len": engine.max_len, "tokens": ids, "token_strs": None}
        if body.return_token_strs:
            reply["token_strs"] = [engine.tokenizer.token_bytes(id).decode("utf-8", "replace") for id in ids]
        return JSONResponse(reply)

    async def detokenize(self, request: Request) -> Response:
        body = wire.parse_request(wire.DetokenizeRequest, await _json(request))
        self._accept(body)
        return JSONResponse({"prompt": self.loaded().engine.tokenizer.decode(body.tokens, skip_special_tokens=False)})

    async def metrics(self, request: Request) -> Response:
        from zhilu.engine.metrics import prometheus_text

        service = self.loaded()
        text = await service.call(lambda: prometheus_text(service.engine, self.name))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def state(self, request: Request) -> Response:
        service = self.loaded()
        return JSONResponse(await service.call(lambda: _state(service.engine)))


def _load(options: EngineOptions) -> Engine:
    from zhilu.engine.engine import load_engine

    return load_engine(options)


class _EventStream(StreamingResponse):
    """Server-sent events of an answer, which ends with its connection: a reader who leaves frees the blocks."""

    def __init__(self, events: AsyncIterator[bytes], answer: Answer) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.abort()


async def _unless_disconnected(request: Request, reply: api.Reply, answer: Answer) -> Response:
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
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            limit = _MAX_BODY_BYTES // 2**20
            raise TooLargeError(T(f"the body is larger than {limit} MB", f"请求体超过 {limit} MB"))
    return wire.parse_json(bytes(body))


def _state(engine: Engine) -> dict[str, Any]:
    """What a page needs to draw the scheduler and the block tables."""
    scheduler, pool = engine.scheduler, engine.scheduler.pool

    def sequence_state(sequence: Any) -> dict[str, Any]:
        return {
            "request": sequence.request.id,
            "index": sequence.index,
            "status": sequence.status.value,
            "num_prompt": sequence.num_prompt,
            "num_output": sequence.num_output,
            "num_computed": sequence.num_computed,
            "num_cached": sequence.num_cached,
            "num_preemptions": sequence.num_preemptions,
            "blocks": list(sequence.table),
        }

    return {
        "runner": engine.runner.describe(),
        "max_len": engine.max_len,
        "max_num_seqs": scheduler.max_num_seqs,
        "max_batch_tokens": scheduler.max_batch_tokens,
        "num_steps": engine.metrics.num_steps,
        "blocks": {
            "size": pool.block_size,
            "total": pool.num_blocks,
            "free": pool.num_free,
            "cached": pool.num_cached,
            "shared": sum(pool.references(number) > 1 for number in range(pool.num_blocks)),
        },
        "running": [sequence_state(sequence) for sequence in scheduler.running],
        "waiting": [sequence_state(sequence) for sequence in scheduler.waiting],
    }


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
            Route("/v1/chat/completions", server.chat, methods=["POST"]),
            Route("/v1/completions", server.completions, methods=["POST"]),
            Route("/tokenize", server.tokenize, methods=["POST"]),
            Route("/detokenize", server.detokenize, methods=["POST"]),
            Route("/metrics", server.metrics),
            Route("/state", server.state),
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
