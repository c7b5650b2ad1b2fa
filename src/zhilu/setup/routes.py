"""``/zhilu/v1/setup``: which parts are still missing, and starting one. ``zhilu up`` starts those that need no consent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict

from zhilu.context import context_of
from zhilu.jobs import Job
from zhilu.setup.base import PartView, setup_parts, start_automatic, submit_part, view

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/setup", tags=["setup"])


class SetupIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    agreed: bool = False


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start what comes by itself, once requests are answered. A server for one command leaves that to others."""
    if app.state.ephemeral:
        yield
        return
    starting = asyncio.create_task(asyncio.to_thread(start_automatic, app.state.context))
    yield
    with suppress(Exception):  # a part that cannot be started now is shown as absent, with its reason
        await starting


@router.get("")
def list_parts(request: Request) -> list[PartView]:
    context = context_of(request)
    return [view(context, part) for _, part in setup_parts().items()]


@router.post("/{name}", status_code=202)
def install_part(name: str, body: SetupIn, request: Request) -> Job:
    return submit_part(context_of(request), name, agreed=body.agreed)
