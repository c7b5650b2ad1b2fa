"""``python -m zhilu.jobs.worker ID ATTEMPT``: run one job in this process and record how it ended.

Every write first compares the attempt and our pid. If the row is no longer ours (given up for dead, or cancelled by force), the
worker stops and leaves it alone. A second thread writes the heartbeat and notices a cancel while the job's code is busy.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sqlalchemy import CursorResult, update
from sqlalchemy.exc import SQLAlchemyError

from zhilu.context import Context, open_context
from zhilu.errors import CancelledByUser, UpstreamError, ZhiluError, error_body
from zhilu.home import storage_error
from zhilu.jobs import dispatch
from zhilu.jobs.base import kind_of
from zhilu.jobs.process import JOB_MARK, kill_marked
from zhilu.logs import configure_logs
from zhilu.messages import T
from zhilu.process import Birth, mine
from zhilu.tables import JobRow, now

__all__ = ["RunningJob", "main"]

_BEAT = 1.0  # seconds between heartbeats; also how soon a cancel is seen by code that never calls ``check``
_WRITE_EVERY = 0.25  # seconds between progress writes of one stage


class RunningJob:
    """The job this process runs: the ``JobContext`` its kind is given."""

    def __init__(self, context: Context, job_id: str, attempt: int) -> None:
        self.id = job_id
        self.attempt = attempt
        self.context = context
        self._me: Birth = mine()
        self._stop = threading.Event()
        self._stop_at = 0.0
        self._lost = threading.Event()
        self._last_write = 0.0
        self._last_stage: T | None = None
        self._pending: tuple[float, T, str] | None = None
        self._lock = threading.Lock()

    def take_over(self) -> bool:
        """Become the owner of the row; False if it was given to someone else or ended before we got here."""
        with self.context.database.session() as session:
            found = session.execute(
                update(JobRow)
                .where(JobRow.id == self.id, JobRow.attempt == self.attempt, JobRow.status == "running")
                .values(pid=self._me.pid, pid_started=self._me.started, heartbeat_at=now())
            )
        return _rows(found) == 1

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self.check()
        with self._lock:
            self._pending = (min(max(float(fraction), 0.0), 1.0), stage, detail)
            due = stage != self._last_stage or time.monotonic() - self._last_write >= _WRITE_EVERY
            if due:
                self._flush()
        self.check()

    def log(self, text: str) -> None:
        print(f"{now():%H:%M:%S} {text}", flush=True)
        with self._lock:
            self._flush()  # so that events stand in the order in which they happened
            self._update({}, event=("log", {"text": text}))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        with self._lock:
            self._flush()
            self._update({"waiting": True})
        dispatch.start_queued(self.context)
        try:
            yield
        finally:
            with self._lock:
                self._update({"waiting": False})

    def check(self) -> None:
        if self._lost.is_set():
            raise CancelledByUser(
                T("The job was taken over by another worker.", "任务已被另一个进程接管。"), code="lost"
            )
        if self._stop.is_set():
            if self.is_cancel_requested():
                raise CancelledByUser(T("The job was cancelled.", "任务已取消。"))
            raise CancelledByUser(T("The worker was told to end.", "任务进程被要求结束。"), code="stopped")

    def is_cancel_requested(self) -> bool:
        """Whether a person asked for it; a SIGTERM without that comes from a machine that shuts down."""
        with self.context.database.session() as session:
            row = session.get(JobRow, self.id)
            return row is not None and self._owns(row) and row.cancel_requested

    def finish(self, status: str, reason: str, **fields: Any) -> None:
        """Write the end, unless the row is no longer ours."""
        with self._lock:
            self._flush()
            with self.context.database.session() as session:
                row = session.get(JobRow, self.id, with_for_update=True)
                if row is not None and self._owns(row):
                    dispatch.end(session, row, status, reason=reason, **fields)

    def ask_to_stop(self) -> None:
        """Called by the signal handler and by the heart: ``check`` raises from now on."""
        if not self._stop.is_set():
            self._stop_at = time.monotonic()
            self._stop.set()

    def beat(self) -> None:
        """Once a second: sign of life, cancel, loss of the row, and the end of a cancel's grace."""
        while True:
            time.sleep(_BEAT)
            try:
                self._beat_once()
            except (
                SQLAlchemyError,
                ZhiluError,
            ) as error:  # a database that is busy for long, or gone: the job itself will see
                print(f"heartbeat: {error}", flush=True)

    def _beat_once(self) -> None:
        with self._lock:
            self._flush()
            self._update({})
        asked = self.is_cancel_requested()
        if asked or self._lost.is_set():
            self.ask_to_stop()
        if self._stop.is_set() and time.monotonic() - self._stop_at > dispatch.CANCEL_GRACE:
            print("the job did not stop within the grace and is killed", flush=True)
            if asked:
                self.finish("cancelled", "cancelled")
            kill_marked(self.id)
            os.kill(os.getpid(), signal.SIGKILL)

    def _flush(self) -> None:
        if self._pending is None:
            return
        fraction, stage, detail = self._pending
        self._pending, self._last_stage, self._last_write = None, stage, time.monotonic()
        fields = {"progress": fraction, "stage": stage.data(), "detail": detail}
        self._update(fields, event=("progress", fields))

    def _update(self, values: dict[str, Any], event: tuple[str, dict[str, Any]] | None = None) -> None:
        with self.context.database.session() as session:
            found = session.execute(
                update(JobRow)
                .where(
                    JobRow.id == self.id,
                    JobRow.attempt == self.attempt,
                    JobRow.pid == self._me.pid,
                    JobRow.status == "running",
                )
                .values(heartbeat_at=now(), **values)
            )
            if _rows(found) != 1:
                self._lost.set()
            elif event is not None:
                dispatch.note(session, self.id, *event)

    def _owns(self, row: JobRow) -> bool:
        return (row.status, row.attempt, row.pid) == ("running", self.attempt, self._me.pid)


def _rows(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount


def main(argv: list[str]) -> int:
    """Run job ``argv[0]`` as attempt ``argv[1]``; 0 unless it failed."""
    os.environ[JOB_MARK] = argv[0]
    context = open_context()
    configure_logs(context.settings.log_level, context.settings.log_format)
    job = RunningJob(context, argv[0], int(argv[1]))
    if not job.take_over():
        return 0

    def on_term(_signal: int, _frame: FrameType | None) -> None:
        job.ask_to_stop()

    signal.signal(signal.SIGTERM, on_term)
    threading.Thread(target=job.beat, name="heart", daemon=True).start()
    print(f"{now():%Y-%m-%d %H:%M:%S} job {job.id}, attempt {job.attempt}, pid {os.getpid()}", flush=True)
    code = _run(job)
    kill_marked(job.id)
    dispatch.start_queued(context)
    return code


def _run(job: RunningJob) -> int:
    with job.context.database.session() as session:
        row = session.get(JobRow, job.id)
        assert row is not None
        kind, params = row.kind, dict(row.params)
    try:
        result = kind_of(kind).run(job, params)
        job.finish("done", "finished", result=result, progress=1.0)
        return 0
    except CancelledByUser as error:
        print(error.message.en, flush=True)
        if error.code != "cancelled":
            return 1  # lost or stopped: the row is another worker's, or waits to be found and resumed
        job.finish("cancelled", "cancelled")
        return 0
    except ZhiluError as error:
        traceback.print_exc()
        job.finish("failed", "failed", error=error_body(error)["error"])
    except Exception as error:
        traceback.print_exc()
        shown = f"{type(error).__name__}: {error}"
        problem = storage_error(error) or UpstreamError(
            T(f"The job failed: {shown}", f"任务失败：{shown}"), code="job_failed", fix=f"zhilu jobs logs {job.id}"
        )
        job.finish("failed", "failed", error=error_body(problem)["error"])
    return 1


def _leave(code: int) -> None:
    """End the process now. A job that was cancelled may have left a thread behind, and Python waits for some of them."""
    sys.stdout.flush()
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main(sys.argv[1:]))
