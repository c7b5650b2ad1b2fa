"""``/zhilu/v1/agents``: runs, their traces, and a person's answers. Following and cancelling are the job's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.agents.memory import Fact, Memory
from zhilu.agents.runs import Run, RunStore, RunWish, start_run
from zhilu.context import Context, context_of
from zhilu.errors import ConflictError, ForbiddenError, NotFoundError
from zhilu.host.security import is_loopback
from zhilu.jobs import ENDED, Job, JobStore
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.tools.source import read_name, tool_sources
from zhilu.tools.wrappers import Decision

__all__ = ["refuse_from_elsewhere", "router"]

router = APIRouter(prefix="/zhilu/v1/agents", tags=["agents"])


class AgentFactIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=2000)


class AgentSourceOut(BaseModel):
    kind: str
    title: Text
    usage: str
    example: str


class AgentEntryOut(BaseModel):
    """A step of the trace. ``asked`` by kind: ``model`` {step}, ``tool`` {id, name, arguments}; ``came``: a ``Said`` with the exact
    prompt and the raw words, or {result, seconds}."""

    seq: int
    kind: Literal["model", "tool"]
    asked: dict[str, Any]
    came: dict[str, Any]
    at: float


class AgentPendingOut(BaseModel):
    id: str
    name: str
    arguments: dict[str, Any]
    effect: Literal["read", "write", "run", "send"]
    asked_at: float


class AgentRunOut(Run):
    job: Job | None
    entries: list[AgentEntryOut]
    pending: list[AgentPendingOut]
    decided: dict[str, bool]
    within: dict[str, list[AgentEntryOut]] = Field(
        description="steps of sub-agents, by the id of the call they work on"
    )


class AgentAnswerIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    allowed: bool
    reason: str = Field("", max_length=1000)
    always: bool = False
    arguments: dict[str, Any] | None = Field(None, description="what to do instead of what the model asked for")


class AgentReplayIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    before: int = Field(ge=1, description="the first step that is done anew")


@router.get("/sources")
def list_sources() -> list[AgentSourceOut]:
    return [AgentSourceOut(kind=k, title=s.title, usage=s.usage, example=s.example) for k, s in tool_sources().items()]


@router.get("/memory")
def list_agent_facts(request: Request) -> list[Fact]:
    """What is kept of earlier conversations."""
    refuse_from_elsewhere(request, ["memory"])
    return Memory(context_of(request)).facts()


@router.post("/memory", status_code=201)
def keep_agent_fact(body: AgentFactIn, request: Request) -> Fact:
    refuse_from_elsewhere(request, ["memory"])
    return Memory(context_of(request)).keep(body.text)


@router.delete("/memory/{fact_id}", status_code=204)
def forget_agent_fact(fact_id: int, request: Request) -> None:
    refuse_from_elsewhere(request, ["memory"])
    Memory(context_of(request)).forget(fact_id)


@router.get("/runs")
def list_agent_runs(request: Request) -> list[Run]:
    return RunStore(context_of(request)).list()


@router.post("/runs", status_code=201)
def start_agent_run(body: RunWish, request: Request) -> Run:
    refuse_from_elsewhere(request, body.tools)
    return start_run(context_of(request), body)


@router.get("/runs/{run_id}")
def get_agent_run(run_id: str, request: Request) -> AgentRunOut:
    return _whole(context_of(request), run_id)


@router.delete("/runs/{run_id}", status_code=204)
def remove_agent_run(run_id: str, request: Request) -> None:
    context = context_of(request)
    job = _job(context, RunStore(context).get(run_id))
    if job is not None and job.status not in ENDED:
        raise ConflictError(
            T(f"Run {run_id} is still at work.", f"运行 {run_id} 还在进行。"), fix=f"zhilu jobs cancel {job.id}"
        )
    RunStore(context).remove(run_id)


@router.post("/runs/{run_id}/calls/{call_id}")
def answer_call(run_id: str, call_id: str, body: AgentAnswerIn, request: Request) -> AgentRunOut:
    """A person's answer to a call that waits."""
    context = context_of(request)
    store = RunStore(context)
    run = store.get(run_id)
    job = _job(context, run)
    if job is not None and job.status in (
        "done",
        "cancelled",
    ):  # a yes that would be kept, and followed by whoever takes it up again
        raise ConflictError(
            T(f"Run {run_id} is over: {job.status}.", f"运行 {run_id} 已经结束：{job.status}。"),
            fix=f"zhilu jobs retry {job.id}",
        )
    if body.arguments is not None:  # whoever writes the arguments of a tool uses it
        refuse_from_elsewhere(request, run.wish.tools)
    decision = Decision(body.allowed, body.reason, body.arguments if body.allowed else None)
    if not store.journal(run.id).decide(call_id, decision, always=body.always):
        raise NotFoundError(T(f"No call {call_id!r} waits.", f"没有等待中的调用 {call_id!r}。"))
    return _whole(context, run_id)


@router.post("/runs/{run_id}/replay", status_code=201)
def replay_agent_run(run_id: str, body: AgentReplayIn, request: Request) -> Run:
    """A new run that takes over what was before, and goes on from there."""
    context = context_of(request)
    refuse_from_elsewhere(request, RunStore(context).get(run_id).wish.tools)
    return start_run(context, RunStore(context).get(run_id).wish, replay_of=run_id, before=body.before)


def refuse_from_elsewhere(request: Request, tools: Sequence[str]) -> None:
    """A key opens the API to another machine; it is no leave to run programs and read folders here.

    Raises:
        ForbiddenError: names the tool. NotFoundError: no such kind of tools. InputError: its argument is missing.
    """
    for name in tools:
        is_local = read_name(name)[2].is_local
        if is_local and not (request.client is not None and is_loopback(request.client.host)):
            raise ForbiddenError(
                T(
                    f"{name!r} reaches this machine's own files or programs: only who sits at it may give it to an agent.",
                    f"{name!r} 会接触这台机器上的文件或程序：只有坐在这台机器前的人才能交给智能体。",
                ),
                param="tools",
                fix=f'zhilu agent run "…" --tools {name.partition(":")[0]}:…',
            )


def _whole(context: Context, run_id: str) -> AgentRunOut:
    store = RunStore(context)
    run, journal = store.get(run_id), store.journal(run_id)
    return AgentRunOut(
        **run.model_dump(),
        job=_job(context, run),
        entries=[AgentEntryOut(**entry._asdict()) for entry in journal.entries()],
        pending=[AgentPendingOut(**pending._asdict()) for pending in journal.pending()],
        decided=journal.decided(),
        within={call: [AgentEntryOut(**e._asdict()) for e in steps] for call, steps in journal.within().items()},
    )


def _job(context: Context, run: Run) -> Job | None:
    try:
        return JobStore(context).get(run.job_id) if run.job_id else None
    except NotFoundError:
        return None
