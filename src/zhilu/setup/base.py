"""What a part is that arrives after the workbench has started, and the registry of parts.

A part is found through the entry points ``zhilu.setup``. To add one, write a class with these three methods and register an entry
point. The workbench, ``zhilu setup`` and the start of ``zhilu up`` then know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel

from zhilu.errors import ConflictError
from zhilu.jobs import Job, JobStore
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.registry import Registry

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["PartState", "PartView", "SetupPart", "newest_job", "setup_parts", "start_automatic", "submit_part", "view"]


@dataclass(frozen=True)
class PartState:
    """How a part stands, apart from the job that may be bringing it.

    Attributes:
        status: ``here``; ``absent``, it can be installed; ``declined``, a setting says that it is not wanted;
            ``impossible``, it cannot be installed here.
        reason: why, in one sentence.
        is_automatic: an absent part that ``zhilu up`` installs by itself.
        consent: what a person must agree to before it is installed (its size); None: nothing.
        size_bytes: on disk, where it is known.
    """

    status: Literal["here", "absent", "declined", "impossible"]
    reason: T
    is_automatic: bool = False
    consent: T | None = None
    size_bytes: int | None = None


class SetupPart(Protocol):
    """One part. ``state`` and ``find_job`` are asked whenever the home page is looked at and must be cheap.

    Attributes:
        name: as registered; the word of ``zhilu setup NAME``.
        title: what it is.
        purpose: what it is needed for, in one sentence.
    """

    name: str
    title: T
    purpose: T

    def state(self, context: Context) -> PartState: ...

    def find_job(self, context: Context) -> Job | None:
        """The newest job that brings or brought it."""

    def submit(self, context: Context, *, agreed: bool) -> Job:
        """Start the job; ``agreed``: a person has read ``PartState.consent`` and agreed."""


class PartView(BaseModel):
    """A part as the home page and ``zhilu setup`` show it."""

    name: str
    title: Text
    purpose: Text
    status: Literal["here", "absent", "declined", "impossible"]
    reason: Text
    is_automatic: bool
    consent: Text | None
    size_bytes: int | None
    job: Job | None


def setup_parts() -> Registry[SetupPart]:
    return Registry.from_entry_points("zhilu.setup", T("part of the setup", "安装部件"))


def view(context: Context, part: SetupPart) -> PartView:
    state = part.state(context)
    return PartView(
        name=part.name,
        title=part.title,
        purpose=part.purpose,
        status=state.status,
        reason=state.reason,
        is_automatic=state.is_automatic,
        consent=state.consent,
        size_bytes=state.size_bytes,
        job=part.find_job(context),
    )


def submit_part(context: Context, name: str, *, agreed: bool) -> Job:
    """Start the job that brings the part ``name``.

    Raises:
        NotFoundError: no such part. ConflictError: it is there, or a job is bringing it. And what ``submit`` raises.
    """
    part = setup_parts().get(name)
    state, job = part.state(context), part.find_job(context)
    if job is not None and not job.ended:
        raise ConflictError(
            T(f"Job {job.id} is installing it already.", f"任务 {job.id} 已经在安装它。"),
            fix=f"zhilu jobs show {job.id} --follow",
        )
    if state.status == "here":
        raise ConflictError(T(f"{part.title.en} is installed already.", f"{part.title.zh} 已经安装。"))
    return part.submit(context, agreed=agreed)


def start_automatic(context: Context) -> list[Job]:
    """Start what comes by itself: absent parts that no job has tried yet. What was cancelled or failed waits for a person."""
    started = []
    registry = setup_parts()
    for part in map(registry.get, registry.names()):
        state = part.state(context)
        if state.status == "absent" and state.is_automatic and part.find_job(context) is None:
            started.append(part.submit(context, agreed=False))
    return started


def newest_job(context: Context, kind: str, **params: object) -> Job | None:
    """The newest job of ``kind`` whose params hold ``params``."""
    for job in JobStore(context).list(kind=kind, limit=50):
        if all(job.params.get(key) == value for key, value in params.items()):
            return job
    return None
