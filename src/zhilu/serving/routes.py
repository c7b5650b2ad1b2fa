"""Routes of the gateway (``/v1``, ``/tokenize``, ``/metrics``) and of the workbench's engine pages (``/zhilu/v1/engines``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from enum import Enum
from typing import Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from zhilu import wire
from zhilu.context import Context, context_of
from zhilu.errors import NotFoundError, ZhiluError
from zhilu.heap import giving_back_freed
from zhilu.jobs import Job
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.serving.api import messages_routes, ollama_routes, ollama_store_routes, service_routes, vllm_routes
from zhilu.serving.api.embeddings import Embeddings
from zhilu.serving.api.vllm_routes import body_of, gateway_of, json_only
from zhilu.serving.catalog import Catalog, StoreCatalog
from zhilu.serving.engines import engine_registry
from zhilu.serving.facts import LaunchOptions
from zhilu.serving.gateway.gateway import Gateway
from zhilu.serving.gateway.ledger import Ledger
from zhilu.serving.gateway.lora import LoadLoraRequest, LoraLine, UnloadLoraRequest
from zhilu.serving.gateway.metrics import CONTENT_TYPE
from zhilu.serving.install.job import remove_engine, submit_install
from zhilu.serving.served import Served
from zhilu.serving.supervise.engine_process import log_path, tail
from zhilu.serving.supervise.supervisor import Supervisor
from zhilu.wire.anthropic import is_anthropic
from zhilu.wire.responses import ResponsesDialect, ResponsesRequest

__all__ = ["first_router", "lifespan", "router"]

log = get_logger(__name__)
router = APIRouter()


class _Direct(APIRoute):
    """A route whose function takes the request as it is: FastAPI's search for parameters costs as much as all that we do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            await json_only(request)
            answer: Response = await self.endpoint(request)
            return answer

        return handle


# FastAPI asks its routes one after the other: these two are asked first, since their time is what a client waits for.
first_router = APIRouter(route_class=_Direct)
router.include_router(messages_routes.router)
router.include_router(ollama_routes.router)
router.include_router(ollama_store_routes.router)
router.include_router(vllm_routes.router)
router.include_router(service_routes.router)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Clean up after a killed gateway, start the default model in the background, stop every engine at the end.

    Where ``app.state`` has ``catalog`` and ``start`` (name, engine, options), they say what is served instead of the
    store and the settings: that is how ``zhilu serve`` serves one model. ``registry`` and ``limits`` are the
    supervisor's own.
    """
    context: Context = app.state.context
    given = {name: getattr(app.state, name, None) for name in ("catalog", "start", "registry", "limits")}
    catalog: Catalog = given["catalog"] or StoreCatalog(context)
    supervisor = Supervisor(context, catalog, registry=given["registry"], limits=given["limits"])
    await supervisor.open()
    gateway = Gateway(context, supervisor, Embeddings(context), Ledger(context.home.logs))
    app.state.supervisor, app.state.gateway = supervisor, gateway
    first = given["start"] or (default_model(context).name, None, None)
    starting = asyncio.create_task(_start_first(supervisor, *first))
    if given["catalog"] is None:  # `zhilu serve` serves the one model that it was given
        await gateway.start_remote()
    try:
        with giving_back_freed():
            yield
    finally:
        starting.cancel()
        await supervisor.aclose()
        await gateway.aclose()


async def _start_first(supervisor: Supervisor, name: str, engine: str | None, options: LaunchOptions | None) -> None:
    try:
        await supervisor.start(name, engine=engine, options=options)
    except ZhiluError as error:  # the workbench is of use without it: it can pull one
        log.warning("default_model_not_started", model=name, error=error.message.en)


# ---------------------------------------------------------------- OpenAI's API

_OPENAI: list[str | Enum] = ["openai"]
_JSON = [Depends(json_only)]


@router.get("/v1/models", tags=_OPENAI)
async def list_models(request: Request) -> dict[str, Any]:
    if is_anthropic(request.scope):
        return await messages_routes.messages_models(gateway_of(request), request.query_params)
    return wire.model_list(await gateway_of(request).models())


@router.get("/v1/models/{name:path}", tags=_OPENAI)
async def show_model(name: str, request: Request) -> dict[str, Any]:
    if is_anthropic(request.scope):
        return await messages_routes.messages_model(gateway_of(request), name)
    return await gateway_of(request).model(name)


@first_router.post("/v1/chat/completions", tags=_OPENAI, openapi_extra=body_of(wire.ChatRequest))
async def chat_completions(request: Request) -> Response:
    return await gateway_of(request).pass_on(request, "/v1/chat/completions", wire.ChatRequest)


@first_router.post("/v1/completions", tags=_OPENAI, openapi_extra=body_of(wire.CompletionRequest))
async def completions(request: Request) -> Response:
    return await gateway_of(request).pass_on(request, "/v1/completions", wire.CompletionRequest)


@router.post("/v1/responses", tags=_OPENAI, dependencies=_JSON, openapi_extra=body_of(ResponsesRequest))
async def responses(request: Request) -> Response:
    return await gateway_of(request).translate(request, ResponsesDialect)


@router.post("/v1/load_lora_adapter", tags=_OPENAI, dependencies=_JSON, openapi_extra=body_of(LoadLoraRequest))
async def load_lora_adapter(request: Request) -> Response:
    return await gateway_of(request).load_lora(request)


@router.post("/v1/unload_lora_adapter", tags=_OPENAI, dependencies=_JSON, openapi_extra=body_of(UnloadLoraRequest))
async def unload_lora_adapter(request: Request) -> Response:
    return await gateway_of(request).unload_lora(request)


@router.post("/tokenize", tags=_OPENAI, dependencies=_JSON, openapi_extra=body_of(wire.TokenizeRequest))
async def tokenize(request: Request) -> Response:
    return await gateway_of(request).pass_on(request, "/tokenize", wire.TokenizeRequest)


@router.post("/detokenize", tags=_OPENAI, dependencies=_JSON, openapi_extra=body_of(wire.DetokenizeRequest))
async def detokenize(request: Request) -> Response:
    return await gateway_of(request).pass_on(request, "/detokenize", wire.DetokenizeRequest)


@router.get("/metrics", tags=["house"], response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    return Response(await gateway_of(request).metrics(), media_type=CONTENT_TYPE)


# ---------------------------------------------------------------- the workbench's engine pages

_ENGINES: list[str | Enum] = ["engines"]


class Text(BaseModel):
    en: str
    zh: str


class Feature(BaseModel):
    name: str
    title: Text


class EngineOut(BaseModel):
    name: str
    title: Text
    status: Literal["alive", "legacy", "needs_gpu"]
    installed: bool
    why: Text
    description: Text
    source: str
    checked: str
    is_process: bool
    can: list[Feature]
    status_note: Text | None = None
    takes: list[str] = []
    formats: list[str] = []
    precisions: list[str] = []
    version: str | None = None
    can_install: bool = False


class RunningOut(BaseModel):
    model: str
    engine: str
    reason: Text
    pid: int | None
    port: int | None
    state: Literal["starting", "ready", "failed", "stopped"]
    started_at: datetime
    restarts: int
    detail: str
    ready_seconds: float | None
    in_flight: int


class LogOut(BaseModel):
    text: str


class StartIn(BaseModel):
    """How to start a model; all of it may be left out. ``base_url`` and its companions are for engines behind a URL.

    ``restart``: end it first where it runs, once nothing speaks against the new start; else a running model goes on as it is.
    """

    model_config = ConfigDict(extra="forbid")
    engine: str | None = None
    max_len: int | None = Field(None, ge=1)
    concurrency: int | None = Field(None, ge=1)
    precision: str | None = None
    speculate: int | None = Field(None, ge=0)
    loras: list[LoraLine] = []
    restart: bool = False
    base_url: str | None = Field(None, pattern=r"^https?://")
    api_key: str | None = None
    remote_model: str | None = None


@router.get("/zhilu/v1/engines", tags=_ENGINES)
def list_engines(request: Request) -> list[EngineOut]:
    out = []
    registry = engine_registry()
    for engine in map(registry.get, registry.names()):
        facts = engine.facts
        is_installed, why = engine.installed(context_of(request).home.path)
        out.append(
            EngineOut(
                name=facts.name,
                title=Text(**facts.title.data()),
                status=facts.status,
                installed=is_installed,
                why=Text(**why.data()),
                description=Text(**facts.description.data()),
                source=facts.source,
                checked=facts.checked,
                is_process=facts.is_process,
                can=[
                    Feature(name=name, title=Text(**wire.CAPABILITIES[name].title.data())) for name in sorted(facts.can)
                ],
                status_note=Text(**facts.status_note.data()) if facts.status_note else None,
                takes=sorted(facts.takes),
                formats=sorted(facts.formats),
                precisions=list(facts.memory.precisions) if facts.memory else [],
                version=facts.install.version if facts.install else None,
                can_install=facts.install is not None,
            )
        )
    return out


@router.post("/zhilu/v1/engines/{name}/install", tags=_ENGINES, status_code=202)
def install_engine(name: str, request: Request) -> Job:
    """A job that gives the engine an environment of its own."""
    return submit_install(context_of(request), name)


@router.delete("/zhilu/v1/engines/{name}", tags=_ENGINES, status_code=204)
def uninstall_engine(name: str, request: Request) -> None:
    """Delete the engine's environment."""
    remove_engine(context_of(request), name)


@router.get("/zhilu/v1/engines/running", tags=_ENGINES)
async def running_engines(request: Request) -> list[RunningOut]:
    return [_running(served) for served in gateway_of(request).supervisor.states().values()]


@router.get("/zhilu/v1/engines/running/{model:path}/log", tags=_ENGINES)
def engine_log(model: str, request: Request) -> LogOut:
    path = log_path(context_of(request).home.logs, model)
    if not path.exists():
        raise NotFoundError(T(f"The model {model!r} has no log yet.", f"模型 {model!r} 还没有日志。"))
    return LogOut(text=tail(path, lines=400, max_bytes=200_000))


@router.post("/zhilu/v1/models/{name:path}/start", tags=_ENGINES, status_code=202)
async def start_model(name: str, request: Request, body: StartIn | None = None) -> RunningOut:
    body = body or StartIn()
    options = LaunchOptions(
        threads=context_of(request).settings.threads,
        **body.model_dump(exclude={"engine", "loras", "restart"}, exclude_none=True),
    )
    return _running(await gateway_of(request).start(name, body.engine, options, body.loras, body.restart))


@router.post("/zhilu/v1/models/{name:path}/stop", tags=_ENGINES)
async def stop_model(name: str, request: Request) -> RunningOut:
    gateway = gateway_of(request)
    served = await gateway.supervisor.stop(name)
    if not served.facts.is_process:  # stopped on purpose: it is not to come back with the next start
        await asyncio.to_thread(gateway.remembered.forget, name)
    return _running(served)


def _running(served: Served) -> RunningOut:
    return RunningOut(
        model=served.model.name,
        engine=served.engine,
        reason=Text(**served.reason.data()),
        pid=served.pid,
        port=served.port,
        state=served.state,
        started_at=served.started_at,
        restarts=served.restarts,
        detail=served.detail,
        ready_seconds=served.ready_seconds,
        in_flight=served.in_flight,
    )
