"""Routes of serving that only the workbench uses: what a running model is doing, and what a model would need to run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from zhilu.context import context_of
from zhilu.errors import MissingComponentError, NotFoundError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.catalog import StoreCatalog
from zhilu.serving.engines import choose_engine, engine_registry, rank_of
from zhilu.serving.facts import EngineKind, LaunchOptions, Place, ServedModel
from zhilu.serving.gateway.gateway import Gateway
from zhilu.serving.live import read_live
from zhilu.serving.supervise.memory import available_memory, estimate
from zhilu.serving.supervise.preflight import has_gpu

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1", tags=["engines"])


class LiveOut(BaseModel):
    """Counts since the engine started; see ``LiveFigures``. A rate is the difference of two readings over that of ``at``."""

    at: float
    source: Literal["engine", "gateway"]
    prompt_tokens: int
    generated_tokens: int
    num_answered: int
    running: int
    waiting: int | None
    kv_usage: float | None


@router.get("/engines/running/{model:path}/live")
async def live_figures(model: str, request: Request) -> LiveOut:
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    if model not in gateway.supervisor.states():
        raise NotFoundError(
            T(f"The model {model!r} is not running.", f"模型 {model!r} 没有在运行。"), fix="zhilu engine running"
        )
    return LiveOut(**asdict(read_live(await gateway.metrics(), model)))


class SequenceName(BaseModel):
    """A request's id, and which of its answers."""

    request: str
    index: int


class StepShare(SequenceName):
    """One sequence's part of a step, in tokens: ``prompt`` read, ``guessed`` and checked, ``written`` new ones."""

    prompt: int
    guessed: int
    written: int
    ended: bool


class EngineStep(BaseModel):
    """``start``, ``end``: microseconds on the engine's clock. ``waiting`` names the first of ``num_waiting``; ``free``: blocks."""

    number: int
    start: int
    end: int
    shares: list[StepShare]
    preempted: list[SequenceName]
    waiting: list[SequenceName]
    num_waiting: int
    free: int


class BlockTable(SequenceName):
    """``tokens`` whose keys and values lie in ``blocks``, of which ``shared`` belong to others too."""

    tokens: int
    blocks: list[int]
    shared: int


class EngineSteps(BaseModel):
    """
    Attributes:
        now: the engine's clock, in microseconds.
        last: the newest step's number, less than before after a restart.
        block_size: tokens; ``free`` of the ``num_blocks`` blocks are nobody's.
    """

    now: int
    last: int
    steps: list[EngineStep]
    max_batch_tokens: int
    block_size: int
    num_blocks: int
    free: int
    tables: list[BlockTable]


@router.get("/engines/running/{model:path}/steps")
async def engine_steps(model: str, request: Request, after: Annotated[int, Query(ge=0, lt=10**15)] = 0) -> EngineSteps:
    """What the scheduler of a running engine did after the step of that number, and its block tables now."""
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return EngineSteps.model_validate_json(await gateway.steps(model, after))


class MemoryOut(BaseModel):
    """Bytes, but for ``context`` (tokens a request) and ``requests``; see ``memory.MemoryNeed``.

    ``cache`` is 0 where the model's files do not tell; ``fits``: ``total`` is free on this machine just now.
    """

    engine_name: str
    weights: int
    cache: int
    engine: int
    total: int
    available: int
    fits: bool
    context: int
    requests: int


@router.get("/models/{name}/memory")
def memory(
    name: str,
    request: Request,
    engine: str = "auto",
    context: Annotated[int | None, Query(ge=1)] = None,
    concurrency: Annotated[int, Query(ge=1, le=4096)] = 1,
    precision: str | None = None,
) -> MemoryOut | None:
    """What a start as wished would need; null where nothing is loaded here, or the files do not tell.

    Where no engine has the memory, the figures are those of the one that would be chosen if there were more.
    """
    registry, ours = engine_registry(), context_of(request)
    model = StoreCatalog(ours).get(name)
    options = LaunchOptions(max_len=context, concurrency=concurrency, precision=precision, home=ours.home.path)
    try:
        chosen, _ = choose_engine(engine, model, registry, options)
    except MissingComponentError:
        able = _able(model, registry, context_of(request).home.path)
        if able is None:
            raise
        chosen = able
    need = estimate(model, options, registry.get(chosen).facts)
    if need is None:
        return None
    free = available_memory()
    figures = {k: v for k, v in asdict(need).items() if k != "per_token"}
    return MemoryOut(engine_name=chosen, **figures, total=need.total, available=free, fits=need.total <= free)


def _able(model: ServedModel, registry: Registry[EngineKind], home: Path) -> str | None:
    """The engine, of those installed here that read the model's files, that ranks first; whether it fits aside."""
    place: Place = "gpu" if has_gpu() else "cpu"
    engines = [registry.get(name) for name in registry.names()]
    able = [one for one in engines if model.format in one.facts.formats and one.installed(home)[0]]
    able.sort(key=lambda one: -rank_of(one.facts, model, place)[0])
    return able[0].facts.name if able else None
