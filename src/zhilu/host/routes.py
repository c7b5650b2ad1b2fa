"""Routes of the application itself: liveness, status, settings."""

from __future__ import annotations

import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from zhilu import __version__
from zhilu.context import Context, context_of
from zhilu.errors import ForbiddenError
from zhilu.host.setting_checks import change_setting as store_checked
from zhilu.messages import T, current_lang
from zhilu.models.apis.store import api_of
from zhilu.models.chosen import default_model
from zhilu.settings import NAMES_CODE, describe_settings, unset_setting

__all__ = ["router"]

router = APIRouter(tags=["house"])
_STARTED = time.monotonic()


class TextOut(BaseModel):
    en: str
    zh: str


class ModelState(BaseModel):
    """The model that runs where nobody names one; ``reason``: why it is this one."""

    name: str
    state: Literal["starting", "ready", "failed", "stopped"]
    detail: str = ""
    engine: str | None = None
    reason: TextOut


class StatusOut(BaseModel):
    version: str
    uptime_s: float
    home: str
    host: str
    port: int
    lang: str
    model: ModelState


class SettingOut(BaseModel):
    key: str
    value: str | int | bool | None
    default: str | int | bool | None
    source: Literal["default", "file", "env", "flag"]
    type: str
    choices: list[str] | None
    description: TextOut
    restart_required: bool
    secret: bool


class SettingIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: str | int | bool


@router.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/zhilu/v1/status")
def status(request: Request) -> StatusOut:
    settings = context_of(request).settings
    return StatusOut(
        version=__version__,
        uptime_s=round(time.monotonic() - _STARTED, 1),
        home=str(settings.home),
        host=settings.host,
        port=getattr(request.app.state, "port", settings.port),
        lang=current_lang(),
        model=_default_model(request),
    )


def _default_model(request: Request) -> ModelState:
    """State of the default model, as the supervisor sees it; without one, a configured URL or API is taken at its word."""
    context = context_of(request)
    name, reason = default_model(context)
    supervisor: Any = getattr(request.app.state, "supervisor", None)
    running = supervisor.states().get(name) if supervisor is not None else None
    if running is None:
        elsewhere = context.settings.base_url or api_of(context.home, name)
        state: Literal["ready", "stopped"] = "ready" if elsewhere else "stopped"
        return ModelState(name=name, state=state, reason=TextOut(**reason.data()))
    return ModelState(
        name=name,
        state=running.state,
        detail=running.detail,
        engine=running.engine,
        reason=TextOut(**reason.data()),
    )


@router.get("/zhilu/v1/settings")
def list_settings(request: Request) -> list[SettingOut]:
    return _described(context_of(request))


@router.put("/zhilu/v1/settings/{key}")
def change_setting(key: str, body: SettingIn, request: Request) -> list[SettingOut]:
    context = context_of(request)
    if ":" in str(body.value) and key in NAMES_CODE:
        raise ForbiddenError(
            T(
                f"{key} = {body.value!r} names code that would be run: that can only be set on the command line.",
                f"{key} = {body.value!r} 指向会被执行的代码：只能在命令行里设置。",
            ),
            param=key,
            fix=f"zhilu settings set {key} {body.value}",
        )
    store_checked(context, key, body.value)
    return _described(context)


@router.delete("/zhilu/v1/settings/{key}")
def reset_setting(key: str, request: Request) -> list[SettingOut]:
    context = context_of(request)
    unset_setting(context.home, key)
    context.reload_settings()
    return _described(context)


def _described(context: Context) -> list[SettingOut]:
    return [SettingOut(**row) for row in describe_settings(context.settings)]
