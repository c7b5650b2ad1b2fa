"""The roadmap over HTTP: where a person is, gates as a job, the evidence, the transcript."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.errors import NotFoundError
from zhilu.jobs import Job, JobStore
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.roadmap.evidence import EvidenceStore
from zhilu.roadmap.job import CHECK
from zhilu.roadmap.report import render_html, report_data
from zhilu.roadmap.running import find_gates, resolve_tasks
from zhilu.roadmap.stages import TASKS
from zhilu.roadmap.state import roadmap_state

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1", tags=["roadmap"])

TaskStatus = Literal["passed", "failed", "not_yet", "cannot_run_here", "unchecked"]


Reason = Literal["machine", "component", "setting", "missed"]


class FigureOut(BaseModel):
    name: Text
    value: float | int | str
    unit: str


class TaskOut(BaseModel):
    id: str
    title: Text
    gate: Text
    guide: Text
    command: str | None
    optional: bool
    has_gate: bool
    slow: bool
    needs: list[str]
    status: TaskStatus
    checked_at: str | None
    seconds: float | None
    why: Text | None
    fix: str | None
    because: Reason | None
    figures: list[FigureOut]


class StageOut(BaseModel):
    id: str
    title: Text
    subtitle: Text
    tools: Text
    also: Text | None
    optional: bool
    passed: int
    checkable: int
    tasks: list[TaskOut]


class RoadmapOut(BaseModel):
    """``next`` is the task to do next and ``next_why`` the reason; ``checkable`` counts the tasks that have a gate in this
    version, here and in each stage."""

    stages: list[StageOut]
    next: str | None
    next_why: Text
    passed: int
    checkable: int
    total: int


class ArtefactOut(BaseModel):
    name: str
    sha256: str
    size: int


class VerdictOut(BaseModel):
    status: Literal["passed", "failed", "not_yet", "cannot_run_here"]
    why: Text
    figures: list[FigureOut]
    artefacts: list[ArtefactOut]
    fix: str | None
    because: Reason | None


class EvidenceOut(BaseModel):
    schema_version: int
    task: str
    checked_at: str
    seconds: float
    verdict: VerdictOut
    versions: dict[str, str]
    machine: dict[str, Any]


class CheckIn(BaseModel):
    """Task or stage numbers; none: every task that has a gate."""

    model_config = ConfigDict(extra="forbid")
    tasks: list[str] = Field(default_factory=list, max_length=100)


@router.get("/roadmap", response_model=RoadmapOut)
def roadmap(request: Request) -> dict[str, Any]:
    """The seven stages with the state of every task."""
    return roadmap_state(context_of(request))


@router.post("/roadmap/check", status_code=202)
def check(request: Request, body: CheckIn) -> Job:
    """Run gates in a job of their own; follow it at ``/zhilu/v1/jobs/{id}/events``."""
    tasks = resolve_tasks(body.tasks, find_gates())
    shown = ", ".join(tasks)
    return JobStore(context_of(request)).submit(CHECK, {"tasks": tasks}, T(f"Check {shown}", f"检查 {shown}"))


@router.get("/evidence/{task}", response_model=list[EvidenceOut])
def evidence(request: Request, task: str) -> list[dict[str, Any]]:
    """Every run of a task's gate, the newest first."""
    if task not in TASKS:
        raise NotFoundError(T(f"There is no task {task!r}.", f"没有任务 {task!r}。"), param="task", fix="zhilu learn")
    return [item.data() for item in EvidenceStore(context_of(request).home).history(task)]


@router.get("/roadmap/report", response_class=Response)
def report(request: Request, format: Literal["html", "json"] = "html") -> Response:
    """The transcript, to keep or print."""
    data = report_data(context_of(request))
    if format == "json":
        return JSONResponse(data)
    headers = {
        "Content-Disposition": 'inline; filename="zhilu-report.html"',
        # Its style is in the file, it runs nothing and loads nothing
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
    }
    return HTMLResponse(render_html(data), headers=headers)
