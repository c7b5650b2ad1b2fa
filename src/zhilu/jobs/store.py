"""Submit, read, cancel, retry and wait for jobs. All state is in the database, so that any process can ask."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from zhilu.errors import ConflictError, NotFoundError, nearest
from zhilu.jobs import dispatch
from zhilu.jobs.base import ENDED, Job, JobEvent, JobKind, kind_of
from zhilu.jobs.process import terminate
from zhilu.messages import T
from zhilu.process import Birth

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["JobStore"]

# Named here because ``JobStore.list`` hides the builtin inside the class.
Ids = list[str]
Jobs = list[Job]
Events = list[JobEvent]


class JobStore:
    """The jobs of one home. Safe to use from several threads and several processes at once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._database = context.database

    def submit(self, kind: str | JobKind, params: dict[str, Any], title: T) -> Job:
        """Queue a job and start it if a slot is free (``settings.max_jobs``). Never put a secret into ``params``.

        Raises:
            NotFoundError: no such kind.
        """
        from zhilu.tables import JobRow

        name = kind if isinstance(kind, str) else kind.name
        kind_of(name)
        job_id = secrets.token_hex(6)
        with self._database.session() as session:
            session.add(JobRow(id=job_id, kind=name, title=title.data(), status="queued", params=params))
            session.flush()
            dispatch.note(session, job_id, "status", {"status": "queued", "attempt": 0, "reason": "submitted"})
        self.dispatch()
        return self.get(job_id)

    def get(self, job_id: str) -> Job:
        """
        Raises:
            NotFoundError: no such job.
        """
        with self._database.session() as session:
            return Job.of(self._row(session, job_id))

    def list(
        self, kind: str | None = None, status: str | Iterable[str] | None = None, limit: int | None = None
    ) -> Jobs:
        """Jobs, newest first."""
        from zhilu.tables import JobRow

        query = select(JobRow).order_by(JobRow.created_at.desc(), JobRow.id)
        if kind is not None:
            query = query.where(JobRow.kind == kind)
        if status is not None:
            query = query.where(JobRow.status.in_([status] if isinstance(status, str) else [*status]))
        with self._database.session() as session:
            return [Job.of(row) for row in session.scalars(query.limit(limit))]

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop: at once while it is queued, else at its next ``check``; after a grace it is killed.

        Raises:
            ConflictError: it has ended already.
        """
        with self._database.session() as session:
            row = self._row(session, job_id)
            if row.status in ENDED:
                raise ConflictError(
                    T(f"Job {job_id!r} has already ended: {row.status}.", f"任务 {job_id!r} 已经结束：{row.status}。"),
                    fix=f"zhilu jobs show {job_id}",
                )
            row.cancel_requested = True
            if row.status == "queued":
                dispatch.end(session, row, "cancelled", reason="cancelled")
            else:
                dispatch.note(
                    session, job_id, "status", {"status": "running", "attempt": row.attempt, "reason": "cancel"}
                )
            worker = Birth(row.pid, row.pid_started) if row.pid is not None and row.pid_started is not None else None
        if worker is not None:
            terminate(worker)
        return self.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again under the same id, with the same params.

        Raises:
            ConflictError: it is not over, or it is done.
        """
        with self._database.session() as session:
            row = self._row(session, job_id)
            if row.status not in ("failed", "cancelled"):
                raise ConflictError(
                    T(
                        f"Job {job_id!r} is {row.status}: only a failed or cancelled job can be retried.",
                        f"任务 {job_id!r} 的状态是 {row.status}：只有失败或已取消的任务才能重试。",
                    ),
                    fix=f"zhilu jobs show {job_id}",
                )
            dispatch.requeue(session, row, reason="retry")
            row.progress, row.stage, row.detail, row.error = 0.0, None, "", None
        self.dispatch()
        return self.get(job_id)

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended: its row, events and log. Its title may hold a person's words.

        Raises:
            ConflictError: it has not ended. NotFoundError: no such job.
        """
        with self._database.session() as session:
            row = self._row(session, job_id)
            if row.status not in ENDED:
                raise ConflictError(
                    T(f"Job {job_id!r} is {row.status}.", f"任务 {job_id!r} 的状态是 {row.status}。"),
                    fix=f"zhilu jobs cancel {job_id}",
                )
            session.delete(row)
        dispatch.log_path(self.context, job_id).unlink(missing_ok=True)
        self._database.scrub()

    def events(self, job_id: str, after: int = 0, limit: int | None = None) -> Events:
        """What happened to a job since event ``after``, in order.

        Raises:
            NotFoundError: no such job.
        """
        from zhilu.tables import JobEventRow

        query = select(JobEventRow).where(JobEventRow.job_id == job_id, JobEventRow.id > after).order_by(JobEventRow.id)
        with self._database.session() as session:
            self._row(session, job_id)
            return [JobEvent.model_validate(row, from_attributes=True) for row in session.scalars(query.limit(limit))]

    def changed_since(self, cursor: int | None) -> tuple[int, Jobs]:
        """The jobs with an event after ``cursor`` (None: from now on), and the cursor for the next call."""
        from zhilu.tables import JobEventRow, JobRow

        with self._database.session() as session:
            newest = session.scalar(select(func.max(JobEventRow.id))) or 0
            if cursor is None or newest <= cursor:
                return newest, []
            touched = select(JobEventRow.job_id).where(JobEventRow.id > cursor)
            rows = session.scalars(select(JobRow).where(JobRow.id.in_(touched)).order_by(JobRow.created_at))
            return newest, [Job.of(row) for row in rows]

    def wait(
        self, job_id: str, on_event: Callable[[JobEvent], None] | None = None, timeout: float | None = None
    ) -> Job:
        """Wait until a job has ended, or for ``timeout`` seconds; returns it as it then is: look at ``status``.

        Called from inside a job it starts the awaited one at once, slot or no slot: the one who waits is idle, and with
        ``max_jobs`` 1 both would wait for ever.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        cursor, next_recovery, pause = 0, 0.0, 0.02
        dispatch.start_if_nested(self.context, job_id)
        while True:
            job = self.get(job_id)  # read before its events: an ended job has no later ones
            for event in self.events(job_id, cursor) if on_event else ():
                cursor = event.id
                on_event(event)  # type: ignore[misc]
            if job.ended or (deadline is not None and time.monotonic() >= deadline):
                return job
            if time.monotonic() >= next_recovery:
                self.recover()
                next_recovery = time.monotonic() + 1.0
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def dispatch(self) -> int:
        """Start queued jobs while slots are free; returns how many were started."""
        return dispatch.start_queued(self.context)

    def recover(self) -> Ids:
        """Find jobs whose worker died: resumable ones are queued again, others fail; then fill free slots.

        Returns the ids that were found dead. Cheap when nothing is wrong; called at start and every few seconds.
        """
        found = dispatch.bury_dead(self.context)
        self.dispatch()
        return found

    def log_path(self, job_id: str) -> Path:
        """Where the worker's output goes; there may be none yet."""
        self.get(job_id)
        return dispatch.log_path(self.context, job_id)

    def log_text(self, job_id: str, tail_bytes: int = 1 << 20) -> str:
        """The end of the worker's output."""
        path = self.log_path(job_id)
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - tail_bytes))
            return file.read().decode("utf-8", errors="replace")

    def _row(self, session: Session, job_id: str) -> Any:
        from zhilu.tables import JobRow

        row = session.get(JobRow, job_id)
        if row is None:
            close = nearest(job_id, session.scalars(select(JobRow.id)))
            hint = (f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else ("", "")
            raise NotFoundError(
                T(f"No job {job_id!r}.{hint[0]}", f"没有任务 {job_id!r}。{hint[1]}"), fix="zhilu jobs list"
            )
        return row
