"""``/zhilu/v1/models``: what is there, import, pull, remove. Starting and stopping belong to serving."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.errors import ZhiluError
from zhilu.jobs import Job
from zhilu.models.adapters import AdapterInfo, list_adapters
from zhilu.models.check import read_object
from zhilu.models.inspect import MemoryEstimate, card_markdown, estimate_memory
from zhilu.models.pull import submit_pull
from zhilu.models.store import ModelInfo, ModelStore

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1", tags=["models"])


class CardText(BaseModel):
    en: str
    zh: str


class ModelDetail(ModelInfo):
    """A model with its config.json, what it needs to run, and its card; None where the folder is broken."""

    config: dict[str, Any] | None
    memory_estimate: MemoryEstimate | None
    card_markdown: CardText | None


class ImportIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str = Field(min_length=1)
    name: str | None = None


class PullIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    source: Literal["hf", "modelscope"] = "hf"
    repo: str
    revision: str | None = None
    name: str | None = None


@router.get("/models")
def list_models(request: Request) -> list[ModelInfo]:
    return ModelStore(context_of(request)).list()


@router.get("/adapters")
def adapters(request: Request) -> list[AdapterInfo]:
    return list_adapters(context_of(request))


@router.post("/models/import", status_code=201)
def import_model(request: Request, body: ImportIn) -> ModelInfo:
    """Take in a folder of this machine: linked where possible, else copied."""
    return ModelStore(context_of(request)).import_folder(body.path, body.name)


@router.post("/models/pull", status_code=202)
def pull_model(request: Request, body: PullIn) -> Job:
    return submit_pull(context_of(request), body.source, body.repo, body.revision, body.name)


@router.get("/models/{name}")
def show_model(request: Request, name: str) -> ModelDetail:
    store = ModelStore(context_of(request))
    info, folder = store.get(name), store.path_of(name)
    card = card_markdown(folder)
    try:
        config, memory = read_object(folder / "config.json"), estimate_memory(folder)
    except ZhiluError:
        config, memory = None, None  # a broken folder: ``why_not`` says what is wrong with it
    return ModelDetail(
        **info.model_dump(),
        config=config,
        memory_estimate=memory,
        card_markdown=CardText(**card) if card else None,
    )


@router.delete("/models/{name}", status_code=204)
def remove_model(request: Request, name: str) -> None:
    ModelStore(context_of(request)).remove(name)
