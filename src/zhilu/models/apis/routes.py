"""``/zhilu/v1/apis``: APIs added, tested, forgotten. No answer holds a key."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from zhilu.context import context_of
from zhilu.jobs.base import Text
from zhilu.models.apis import Api, ApiStore, Probe, add_api, choose_models, test_api
from zhilu.models.apis.faults import key_end
from zhilu.models.apis.presets import presets

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/apis", tags=["models"])


class PresetOut(BaseModel):
    """An API that can be added by its name; ``keys``: the page where a key is made."""

    name: str
    title: Text
    base_url: str
    keys: str | None
    needs_key: bool


class ApiOut(BaseModel):
    """``key``: its last characters; ``models``: those that menus offer, as requests name them (``NAME/MODEL``)."""

    name: str
    base_url: str
    preset: str | None
    key: str | None
    models: list[str]
    added_at: str


class TestedOut(BaseModel):
    """``listed``: every model that the API lists; ``model`` answered in ``seconds``."""

    api: ApiOut
    listed: list[str]
    model: str
    seconds: float


class ApiIn(BaseModel):
    """``name``: of a preset, or any with a ``base_url``. ``replace`` keeps the old key where none is given and the server
    is the same."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1)
    base_url: str | None = None
    api_key: SecretStr | None = None
    models: list[str] = Field([], max_length=1000)
    replace: bool = False


class ChosenIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    models: list[str] = Field(max_length=1000)


@router.get("")
def list_apis(request: Request) -> list[ApiOut]:
    return [_shown(api) for api in ApiStore(context_of(request).home).list()]


@router.get("/known")
def known_apis() -> list[PresetOut]:
    return [
        PresetOut(name=p.name, title=Text(en=p.en, zh=p.zh), base_url=p.base_url, keys=p.keys, needs_key=p.needs_key)
        for p in presets().values()
    ]


@router.post("", status_code=201)
def add(body: ApiIn, request: Request) -> TestedOut:
    """Test and keep it; nothing is kept of one that fails the test, and the error says what is wrong with it."""
    key = body.api_key.get_secret_value() if body.api_key else None
    return _tested(
        *add_api(
            context_of(request), body.name, base_url=body.base_url, key=key, models=body.models, replaces=body.replace
        )
    )


@router.post("/{name}/test")
def test(name: str, request: Request, model: str | None = None) -> TestedOut:
    return _tested(*test_api(context_of(request), name, model))


@router.put("/{name}/models")
def choose(name: str, body: ChosenIn, request: Request) -> ApiOut:
    """The models that menus offer; names as the API has them."""
    return _shown(choose_models(context_of(request), name, body.models))


@router.delete("/{name}", status_code=204)
def remove(name: str, request: Request) -> None:
    ApiStore(context_of(request).home).remove(name)


def _tested(api: Api, found: Probe) -> TestedOut:
    return TestedOut(
        api=_shown(api), listed=list(found.models), model=f"{api.name}/{found.model}", seconds=round(found.seconds, 3)
    )


def _shown(api: Api) -> ApiOut:
    return ApiOut(
        name=api.name,
        base_url=api.root,
        preset=api.preset,
        key=key_end(api.api_key),
        models=api.called(),
        added_at=api.added_at,
    )
