"""``/zhilu/v1/runs``: training runs, their curves, and whether what is served is what was trained."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.jobs import Job
from zhilu.tuning.after.behaviour import Behaviour, ask_held_out
from zhilu.tuning.after.exports import ExportFormat, Precision
from zhilu.tuning.after.jobs import submit_export, submit_merge
from zhilu.tuning.after.merge import Dtype
from zhilu.tuning.after.parity import Parity, check_parity
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.job import submit_tuning
from zhilu.tuning.recipes.probe import submit_probe
from zhilu.tuning.runs import RunInfo, RunLibrary

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/runs", tags=["tuning"])


class NewRun(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(None, max_length=100)
    config: TuneConfig


class MergeIn(BaseModel):
    """``model``: its name in the store; ``dtype`` None: the base's own."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = Field(None, max_length=100)
    dtype: Dtype | None = None


class ExportIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: ExportFormat
    precision: Precision = "f16"


class AskIn(BaseModel):
    """``rule``: of ``rewards.REWARDS``; ``data``: a dataset to ask from, None: what the run held out; ``most``: prompts."""

    model_config = ConfigDict(extra="forbid")
    rule: str = "exact"
    data: str | None = Field(None, max_length=100)
    most: int = Field(100, ge=1, le=2000)


class StartedRun(BaseModel):
    run: RunInfo
    job: Job


class RunDetail(BaseModel):
    """``metrics``: one object a step: ``step``, ``loss``, ``grad_norm``, ``learning_rate``, ``tokens_per_second``, figures of the
    step's own rows as ``train_…``, and ``held_out`` with the held-out figures where they were measured; step 0 is the base."""

    run: RunInfo
    metrics: list[dict[str, Any]]


@router.get("")
def list_runs(request: Request) -> list[RunInfo]:
    return RunLibrary(context_of(request)).list()


@router.post("", status_code=202)
def start_run(body: NewRun, request: Request) -> StartedRun:
    run, job = submit_tuning(context_of(request), body.config, body.name)
    return StartedRun(run=run, job=job)


@router.post("/estimate", status_code=202)
def estimate(body: TuneConfig, request: Request) -> Job:
    """A job that takes three steps of the run, which is not kept; its result is a ``Planned``."""
    return submit_probe(context_of(request), body)


@router.get("/{name}")
def show_run(name: str, request: Request) -> RunDetail:
    folder = RunLibrary(context_of(request)).get(name)
    return RunDetail(run=folder.info(), metrics=list(folder.measured()))


@router.post("/{name}/parity")
async def compare(name: str, request: Request) -> Parity:
    return await check_parity(context_of(request), name)


@router.post("/{name}/ask")
async def ask(name: str, body: AskIn, request: Request) -> Behaviour:
    return await ask_held_out(context_of(request), name, rule=body.rule, data=body.data, most=body.most)


@router.post("/{name}/merge", status_code=202)
def merge(name: str, body: MergeIn, request: Request) -> Job:
    return submit_merge(context_of(request), name, body.model, body.dtype)


@router.post("/{name}/export", status_code=202)
def export(name: str, body: ExportIn, request: Request) -> Job:
    """The files lie in the run's folder afterwards (``run.exports``)."""
    return submit_export(context_of(request), name, body.format, body.precision)


@router.delete("/{name}", status_code=204)
def remove_run(name: str, request: Request) -> None:
    RunLibrary(context_of(request)).remove(name)
