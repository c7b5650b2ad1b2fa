"""What only the workbench asks of serving: what a running model does just now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.serving.gateway import Gateway
from zhilu.serving.live import read_live

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
