"""``/zhilu/v1/models``: what is there, import, pull, remove. Starting and stopping belong to serving."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.errors import ZhiluError
from zhilu.jobs import Job
from zhilu.jobs.base import Text
from zhilu.models.adapters import AdapterInfo, list_adapters
from zhilu.models.apis import routes as api_routes
from zhilu.models.catalog import catalog
from zhilu.models.check import read_object
from zhilu.models.inspect import MemoryEstimate, card_markdown, estimate_memory
from zhilu.models.offers import Offer, import_any, offered
from zhilu.models.offers.elsewhere import Elsewhere, find_elsewhere
from zhilu.models.pull import submit_pull
from zhilu.models.sources import sources
from zhilu.models.sources.search import HubModel, search_hub
from zhilu.models.store import ModelInfo, ModelStore

__all__ = ["router"]

_store = APIRouter(prefix="/zhilu/v1", tags=["models"])


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
    source: str = Field(
        "auto", description="auto (a model of the catalogue: the first source that has it), or a source's name"
    )
    repo: str
    revision: str | None = None
    name: str | None = None
    file: str | None = None


class SourceOut(BaseModel):
    name: str
    title: Text
    endpoint: str
    any_model: bool
    searches: bool


@_store.get("/models")
def list_models(request: Request) -> list[ModelInfo]:
    return ModelStore(context_of(request)).list()


@_store.get("/adapters")
def adapters(request: Request) -> list[AdapterInfo]:
    return list_adapters(context_of(request))


@_store.post("/models/import", status_code=201)
def import_model(request: Request, body: ImportIn) -> ModelInfo:
    """Take in a folder or GGUF file of this machine, or a model of Ollama or LM Studio by its name there: linked."""
    return import_any(context_of(request), body.path, body.name)


@_store.get("/catalog")
def show_catalog(request: Request) -> list[Offer]:
    return offered(context_of(request))


@_store.get("/catalog/elsewhere")
def elsewhere() -> list[Elsewhere]:
    """What Ollama and LM Studio have on this machine."""
    return find_elsewhere()


@_store.get("/catalog/sources")
def list_sources(request: Request) -> list[SourceOut]:
    """Where models can be pulled from, in the order in which they are asked."""
    there = sources(context_of(request).settings)
    order = [name for name in catalog().order if name in there] + [n for n in there if n not in catalog().order]
    return [
        SourceOut(
            name=name,
            title=there[name].facts.title,
            endpoint=there[name].facts.endpoint,
            any_model=there[name].facts.any_model,
            searches=there[name].facts.searches,
        )
        for name in order
    ]


@_store.get("/catalog/search")
def search_models(request: Request, q: str, format: Literal["gguf", "safetensors"] = "gguf") -> list[HubModel]:
    """Search the hub; 503 where it does not answer."""
    return search_hub(context_of(request).settings, q, format)


@_store.post("/models/pull", status_code=202)
def pull_model(request: Request, body: PullIn) -> Job:
    return submit_pull(context_of(request), body.source, body.repo, body.revision, body.name, body.file)


@_store.get("/models/{name}")
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


@_store.delete("/models/{name}", status_code=204)
def remove_model(request: Request, name: str) -> None:
    ModelStore(context_of(request)).remove(name)


router = APIRouter()
router.include_router(_store)
router.include_router(api_routes.router)
