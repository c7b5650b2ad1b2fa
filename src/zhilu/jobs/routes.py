"""``/zhilu/v1/jobs``: read, cancel, retry, follow. Jobs are submitted by the routes of the folders that own the kinds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from zhilu import events
from zhilu.context import context_of
from zhilu.jobs.base import Job, JobStatus
from zhilu.jobs.dispatch import Dispatcher
from zhilu.jobs.store import JobStore

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/jobs", tags=["jobs"])

_POLL = 0.3  # seconds between looks at the database while a stream is open
_COMMENT_EVERY = 50  # polls: a comment line keeps proxies from closing a silent stream (about 15 s)


class JobLog(BaseModel):
    text: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Recover what died while no server ran, then keep looking. A server for one command leaves that to others."""
    if app.state.ephemeral:
        yield
        return
    dispatcher = Dispatcher(app.state.context)
    dispatcher.start()
    try:
        yield
    finally:
        await asyncio.to_thread(dispatcher.stop)


@router.get("")
def list_jobs(
    request: Request,
    kind: str | None = None,
    status: JobStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[Job]:
    return JobStore(context_of(request)).list(kind, status, limit)


@router.get("/events")
async def follow_all(request: Request) -> StreamingResponse:
    """Every change of every job from now on, as SSE: event ``job``, data a Job."""
    return _sse(_all_changes(JobStore(context_of(request))))


@router.get("/{job_id}")
def get_job(request: Request, job_id: str) -> Job:
    return JobStore(context_of(request)).get(job_id)


@router.post("/{job_id}/cancel")
def cancel_job(request: Request, job_id: str) -> Job:
    return JobStore(context_of(request)).cancel(job_id)


@router.post("/{job_id}/retry")
def retry_job(request: Request, job_id: str) -> Job:
    return JobStore(context_of(request)).retry(job_id)


@router.get("/{job_id}/log")
def job_log(request: Request, job_id: str) -> JobLog:
    """The end of the worker's output: at most 1 MiB."""
    return JobLog(text=JobStore(context_of(request)).log_text(job_id))


@router.get("/{job_id}/events")
async def follow_job(
    request: Request, job_id: str, last_event_id: Annotated[int, Header(ge=0)] = 0
) -> StreamingResponse:
    """One job as SSE until it ends: ``status`` and ``progress`` carry the Job, ``log`` carries {text}."""
    store = JobStore(context_of(request))
    await asyncio.to_thread(store.get, job_id)  # an unknown job is a 404, not an empty stream
    return _sse(_changes_of(store, job_id, last_event_id))


async def _changes_of(store: JobStore, job_id: str, cursor: int) -> AsyncIterator[bytes]:
    yield _event("status", await asyncio.to_thread(store.get, job_id))
    polls = 0
    while True:
        job = await asyncio.to_thread(store.get, job_id)  # before the events: an ended job has no later ones
        changes = await asyncio.to_thread(store.events, job_id, cursor)
        for position, event in enumerate(changes):
            cursor = event.id
            # Only the newest state is known in full: of several progress events at once the last one is told.
            if event.type == "log":
                yield _event("log", event.data, event.id)
            elif all(later.type != event.type for later in changes[position + 1 :]):
                yield _event(event.type, job, event.id)
        if job.ended:
            return
        polls += 1
        if polls % _COMMENT_EVERY == 0:
            yield events.STILL_HERE
        await asyncio.sleep(_POLL)


async def _all_changes(store: JobStore) -> AsyncIterator[bytes]:
    cursor, _ = await asyncio.to_thread(store.changed_since, None)
    yield b": listening\n\n"
    polls = 0
    while True:
        cursor, jobs = await asyncio.to_thread(store.changed_since, cursor)
        for job in jobs:
            yield _event("job", job)
        polls += 1
        if polls % _COMMENT_EVERY == 0:
            yield events.STILL_HERE
        await asyncio.sleep(_POLL)


def _event(name: str, data: Job | dict[str, Any], event_id: int | None = None) -> bytes:
    return events.frame(data.model_dump(mode="json") if isinstance(data, Job) else data, name, event_id)


def _sse(stream: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(stream, media_type=events.MEDIA_TYPE, headers=events.HEADERS)
