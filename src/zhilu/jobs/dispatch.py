"""Who starts which job, and what happens when its worker dies.

Every change of owner is one transaction that compares before it sets, and every start adds one to ``attempt``. A worker writes
only while the row still has its attempt. So only one of two dispatchers starts a job, and a worker that was given up for dead
can no longer change the row.

::

    queued ──claim──> running ──> done | failed | cancelled ──retry──> queued
       ^                 │
       └── worker died ──┘ (resumable, at most MAX_DEATHS times; else failed)
"""

from __future__ import annotations

import os
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from zhilu.errors import NotFoundError, UpstreamError, error_body
from zhilu.jobs.base import kind_of
from zhilu.jobs.process import JOB_MARK, kill_marked, spawn
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.process import Birth, mine

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.tables import JobEventRow, JobRow

__all__ = [
    "CANCEL_GRACE",
    "MAX_DEATHS",
    "Dispatcher",
    "bury_dead",
    "end",
    "log_path",
    "note",
    "requeue",
    "start_if_nested",
    "start_queued",
]

log = get_logger(__name__)
MAX_DEATHS = 5  # a job that kills its worker each time (out of memory) must not do so for ever
CANCEL_GRACE = 10.0  # seconds between a cancel and the kill
_MAX_LIGHT = 4  # light jobs at the same time, whatever ``max_jobs`` says
_ADVISORY_LOCK = 0x7A6C  # PostgreSQL: one dispatcher at a time ("zl")


def note(session: Session, job_id: str, kind: str, data: dict[str, Any]) -> JobEventRow:
    """Add an event within the transaction that makes it true."""
    from zhilu.tables import JobEventRow

    row = JobEventRow(job_id=job_id, type=kind, data=data)
    session.add(row)
    return row


def end(session: Session, row: JobRow, status: str, *, reason: str, **fields: Any) -> None:
    """Move a job to its end; ``fields`` are its result, error or progress."""
    from zhilu.tables import now

    row.status, row.finished_at, row.pid, row.pid_started, row.waiting = status, now(), None, None, False
    for name, value in fields.items():
        setattr(row, name, value)
    note(session, row.id, "status", {"status": status, "attempt": row.attempt, "reason": reason})


def requeue(session: Session, row: JobRow, *, reason: str) -> None:
    """Put a job back at the place in the queue that its age gives it."""
    row.status, row.pid, row.pid_started, row.finished_at, row.cancel_requested = "queued", None, None, None, False
    row.waiting = False
    note(session, row.id, "status", {"status": "queued", "attempt": row.attempt, "reason": reason})


def log_path(context: Context, job_id: str) -> Path:
    return context.home.logs / "jobs" / f"{job_id}.log"


def start_queued(context: Context) -> int:
    """Start queued jobs, oldest first, while fewer than ``settings.max_jobs`` run: light ones are not counted, nor those that
    wait for a person.

    Returns how many were started.
    """
    started = 0
    while (claim := _claim(context)) is not None:
        _start(context, *claim)
        started += 1
    return started


def start_if_nested(context: Context, job_id: str) -> None:
    """Inside a worker: start ``job_id`` now if it is still queued (see ``JobStore.wait``)."""
    if os.environ.get(JOB_MARK) and (claim := _claim(context, only=job_id)) is not None:
        _start(context, *claim)


def _claim(context: Context, only: str | None = None) -> tuple[str, int] | None:
    """Take the oldest queued job, or ``only`` that one regardless of slots; returns its id and attempt."""
    from zhilu.tables import JobRow, now

    with context.database.session() as session:
        _one_at_a_time(session)
        queued = session.scalars(
            select(JobRow).where(JobRow.status == "queued").order_by(JobRow.created_at, JobRow.id)
        ).all()
        if only is None:
            at_work = select(JobRow.kind).where(JobRow.status == "running", JobRow.waiting.is_(False))
            running = session.scalars(at_work).all() if queued else []
            light = sum(map(_is_light, running))
            room = {False: context.settings.max_jobs - len(running) + light, True: _MAX_LIGHT - light}
            row = next((row for row in queued if room[_is_light(row.kind)] > 0), None)
        else:
            row = next((row for row in queued if row.id == only), None)
        if row is None:
            return None
        # Until the worker writes its own number, the job belongs to us: should we die now, it is found dead.
        row.pid, row.pid_started = mine()
        row.status, row.attempt = "running", row.attempt + 1
        row.started_at = row.heartbeat_at = now()
        note(session, row.id, "status", {"status": "running", "attempt": row.attempt, "reason": "started"})
        return row.id, row.attempt


def _is_light(kind: str) -> bool:
    try:
        return kind_of(kind).light
    except (NotFoundError, ImportError, AttributeError):
        return False  # the package that brought this kind is gone


def _one_at_a_time(session: Session) -> None:
    # SQLite transactions already begin as IMMEDIATE: one writer at a time.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _start(context: Context, job_id: str, attempt: int) -> None:
    from zhilu.tables import JobRow

    try:
        birth = spawn(
            [sys.executable, "-m", "zhilu.jobs.worker", job_id, str(attempt)],
            env={**os.environ, **_settings_env(context), JOB_MARK: job_id},
            log=log_path(context, job_id),
            on_exit=lambda: _look_after(context),
        )
    except OSError as error:
        with context.database.session() as session:
            row = session.get(JobRow, job_id)
            if row is not None and row.status == "running" and row.attempt == attempt:
                problem = UpstreamError(
                    T(f"The worker process could not be started: {error}.", f"无法启动任务进程：{error}。"),
                    fix=f"zhilu jobs retry {job_id}",
                )
                end(session, row, "failed", reason="failed", error=error_body(problem)["error"])
        return
    with context.database.session() as session:
        row = session.get(JobRow, job_id)
        if row is not None and row.status == "running" and row.attempt == attempt:
            row.pid, row.pid_started = birth


def _settings_env(context: Context) -> dict[str, str]:
    """What the worker must know beyond the file and the environment it inherits: the home and our flags."""
    env = {"ZHILU_HOME": str(context.home.path), "PYTHONUNBUFFERED": "1"}
    for key, value in context.settings.model_dump(exclude={"home"}).items():
        if context.settings.source_of(key) == "flag" and value is not None:
            env[f"ZHILU_{key.upper()}"] = str(value)
    return env


def _look_after(context: Context) -> None:
    """A worker of ours ended: look at once whether it died, instead of at the next round."""
    try:
        bury_dead(context)
        start_queued(context)
    except Exception as error:
        # Often the context is being closed. The next round does the same, so nothing is lost.
        log.debug("jobs_not_looked_after", error=str(error))


def bury_dead(context: Context) -> list[str]:
    """Find running jobs whose worker is gone, and cancelled ones that outlived the grace. Returns their ids."""
    from zhilu.tables import JobRow

    with context.database.session() as session:
        rows = list(session.scalars(select(JobRow).where(JobRow.status == "running")))
        overdue = {row.id for row in rows if row.cancel_requested and _cancel_age(session, row) > CANCEL_GRACE + 5}
    found = []
    for seen in rows:
        worker = Birth(seen.pid or 0, seen.pid_started or 0.0)
        if worker.is_alive() and seen.id not in overdue:
            continue
        if worker == mine():
            continue  # claimed by this very process a moment ago, its worker is being started
        with context.database.session() as session:
            row = session.get(JobRow, seen.id, with_for_update=True)
            if row is None or row.status != "running" or (row.attempt, row.pid) != (seen.attempt, seen.pid):
                continue  # someone else was faster, or the worker took over from the one who claimed it
            kill_marked(seen.id)  # while we hold the row, so that no worker can take it over in between
            _bury(session, row)
        found.append(seen.id)
    return found


def _bury(session: Session, row: JobRow) -> None:
    if row.cancel_requested:
        end(session, row, "cancelled", reason="cancelled")
        return
    deaths = _deaths(session, row.id) + 1
    try:
        resumable = kind_of(row.kind).resumable
    except (NotFoundError, ImportError, AttributeError):
        resumable = False  # the package that brought this kind is gone
    if resumable and deaths < MAX_DEATHS:
        requeue(session, row, reason="died")
        return
    times = (f" {deaths} times", f"已 {deaths} 次") if deaths > 1 else ("", "")
    problem = UpstreamError(
        T(
            f"The worker process ended without a word{times[0]}: killed, out of memory, or the machine went down.",
            f"任务进程{times[1]}意外消失：被杀死、内存不足或机器关机。",
        ),
        code="worker_died",
        fix=f"zhilu jobs retry {row.id}",
    )
    end(session, row, "failed", reason="died", error=error_body(problem)["error"])


def _deaths(session: Session, job_id: str) -> int:
    """How often the worker died since a person last asked for the job."""
    deaths = 0
    for reason in reversed([event.data.get("reason") for event in _status_events(session, job_id)]):
        if reason in ("retry", "submitted"):
            break
        deaths += reason == "died"
    return deaths


def _cancel_age(session: Session, row: JobRow) -> float:
    from zhilu.tables import now

    asked = [event.at for event in _status_events(session, row.id) if event.data.get("reason") == "cancel"]
    return (now() - asked[-1]) / timedelta(seconds=1) if asked else 0.0


def _status_events(session: Session, job_id: str) -> list[JobEventRow]:
    from zhilu.tables import JobEventRow

    query = select(JobEventRow).where(JobEventRow.job_id == job_id, JobEventRow.type == "status")
    return list(session.scalars(query.order_by(JobEventRow.id)))


class Dispatcher:
    """A thread that recovers and starts jobs every ``interval`` seconds; the web process has one."""

    def __init__(self, context: Context, interval: float = 2.0) -> None:
        self._context = context
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="jobs-dispatcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; workers go on."""
        self._stop.set()
        self._thread.join(timeout=self._interval + 5)

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                bury_dead(self._context)
                start_queued(self._context)
            except Exception as error:  # whatever it is, jobs must be looked after again in the next round
                log.warning("jobs_not_looked_after", error=str(error))
            self._stop.wait(self._interval)
