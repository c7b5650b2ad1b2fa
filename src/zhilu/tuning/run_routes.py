"""``/zhilu/v1/runs``: training runs, their curves, and whether what is served is what was trained."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.jobs import Job
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.job import submit_tuning
from zhilu.tuning.parity import Parity, check_parity
from zhilu.tuning.runs import RunInfo, RunLibrary

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/runs", tags=["tuning"])


class NewRun(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(None, max_length=100)
    config: TuneConfig


class StartedRun(BaseModel):
    run: RunInfo
    job: Job


class RunDetail(BaseModel):
    """``metrics``: one object a step: ``step``, ``loss``, ``grad_norm``, ``learning_rate``, ``tokens_per_second``, and
    ``held_out`` where the held-out loss was measured; step 0 is the base."""

    run: RunInfo
    metrics: list[dict[str, Any]]


@router.get("")
def list_runs(request: Request) -> list[RunInfo]:
    return RunLibrary(context_of(request)).list()


@router.post("", status_code=202)
def start_run(body: NewRun, request: Request) -> StartedRun:
    run, job = submit_tuning(context_of(request), body.config, body.name)
    return StartedRun(run=run, job=job)


@router.get("/{name}")
def show_run(name: str, request: Request) -> RunDetail:
    folder = RunLibrary(context_of(request)).get(name)
    return RunDetail(run=folder.info(), metrics=list(folder.measured()))


@router.post("/{name}/parity")
async def compare(name: str, request: Request) -> Parity:
    return await check_parity(context_of(request), name)


@router.delete("/{name}", status_code=204)
def remove_run(name: str, request: Request) -> None:
    RunLibrary(context_of(request)).remove(name)
