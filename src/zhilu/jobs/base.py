"""What a job, a kind of job and an event are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, PlainSerializer, PlainValidator, WithJsonSchema

from zhilu.messages import T
from zhilu.registry import Registry

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.tables import JobRow

__all__ = ["ENDED", "Job", "JobContext", "JobEvent", "JobKind", "JobStatus", "Text", "kind_of"]

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled"})

# A T in Python, {"en", "zh"} on the wire.
Text = Annotated[
    T,
    PlainValidator(T.of),
    PlainSerializer(lambda text: text.data(), return_type=dict[str, str]),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"en": {"type": "string"}, "zh": {"type": "string"}},
            "required": ["en", "zh"],
        }
    ),
]


class Job(BaseModel):
    """A job as it was when it was read.

    Attributes:
        progress: 0 to 1; what has been done, not what time has passed.
        stage: what is being done now, in both languages; ``detail`` is free text beside it (a file name, a count).
        error: the inside of ``errors.error_body``: message, fix, both languages. A traceback is only in the log.
        result: what the kind's ``run`` returned.
        attempt: 0 while it has never run; each start, the first or a resumption, adds one.
    """

    id: str
    kind: str
    title: Text
    status: JobStatus
    progress: float
    stage: Text | None
    detail: str
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    params: dict[str, Any]
    attempt: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @classmethod
    def of(cls, row: JobRow) -> Job:
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class JobEvent(BaseModel):
    """Something that happened; ``id`` grows, so that "after this one" is always well defined.

    ``data`` by type: ``progress`` {progress, stage, detail}; ``log`` {text}; ``status`` {status, attempt, reason}, where
    reason is one of submitted, started, finished, failed, cancel, cancelled, died, retry.
    """

    id: int
    job_id: str
    at: datetime
    type: Literal["progress", "log", "status"]
    data: dict[str, Any]


class JobContext(Protocol):
    """What a running job is given. All methods may be called from any thread of the worker."""

    id: str
    attempt: int
    context: Context

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        """Say how far it is. Cheap to call often: at most a few writes a second reach the database.

        Raises:
            CancelledByUser: as ``check`` does, so that a loop that reports progress can be cancelled.
        """

    def log(self, text: str) -> None:
        """One line for the job's log and for those who follow it."""

    def waiting(self) -> AbstractContextManager[None]:
        """Around what only a person can end: meanwhile the job takes no slot, so that others start beside it."""

    def check(self) -> None:
        """Return if the job may go on.

        Raises:
            CancelledByUser: let it pass through. Its ``code`` is ``cancelled`` where a person asked for it (what was
                half-done may be thrown away), ``lost`` where another worker has the job, ``stopped`` where the machine
                shuts down (keep what is needed to go on).
        """


@dataclass(frozen=True)
class JobKind:
    """A kind of long work, found by name through the entry points ``zhilu.jobs``.

    Attributes:
        name: as registered.
        run: does the work in a process of its own and returns a JSON-able result. A ``ZhiluError`` becomes the job's
            error as it is; any other exception becomes a failure that points to the log. It may be killed at any
            moment (kill -9, power) and must leave nothing half-done that a second run could mistake for whole.
        resumable: ``run`` may be called again with the same params after a death and goes on where it was.
        light: hardly uses the processor (a download): runs beside the others and takes no slot of ``max_jobs``.
    """

    name: str
    run: Callable[[JobContext, dict[str, Any]], dict[str, Any]]
    resumable: bool = False
    light: bool = False


def kind_of(name: str) -> JobKind:
    """The kind called ``name``: registered, or a ``"module:ATTRIBUTE"`` (for tests and for people's own scripts).

    Raises:
        NotFoundError: names the kinds there are.
    """
    registry: Registry[JobKind] = Registry.from_entry_points("zhilu.jobs", T("job kind", "任务类型"))
    if ":" in name and name not in registry:
        registry.add(name, name)
    return registry.get(name)
