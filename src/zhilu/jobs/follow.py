"""Follows a job on the command line: a bar on a terminal, one line per stage elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from zhilu.errors import CancelledByUser, UpstreamError
from zhilu.jobs.base import Job, JobEvent
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.jobs.store import JobStore

__all__ = ["follow", "raise_unless_done", "say_fewer"]


def follow(store: JobStore, job_id: str, *, quiet: bool = False) -> Job:
    """Show a job until it has ended; all output goes to stderr, so that stdout stays the command's own.

    Ctrl-C stops the showing, not the job: it says how to see it again and how to cancel it.
    """
    try:
        if quiet:
            return store.wait(job_id)
        return _with_bar(store, job_id) if sys.stderr.isatty() else _with_lines(store, job_id)
    except KeyboardInterrupt:
        click.echo(
            T(
                f"\nThe job goes on. See it: zhilu jobs show {job_id} --follow   stop it: zhilu jobs cancel {job_id}",
                f"\n任务仍在运行。查看：zhilu jobs show {job_id} --follow   取消：zhilu jobs cancel {job_id}",
            ).say(),
            err=True,
        )
        return store.get(job_id)


def raise_unless_done(job: Job) -> Job:
    """For commands that need the result.

    Raises:
        CancelledByUser: it was cancelled.
        UpstreamError: it failed; carries the job's message and fix.
    """
    if job.status == "cancelled":
        raise CancelledByUser(
            T(f"The job {job.id} was cancelled.", f"任务 {job.id} 已取消。"), fix=f"zhilu jobs retry {job.id}"
        )
    if job.status == "failed":
        error = job.error or {}
        raise UpstreamError(
            T.of(error.get("messages") or str(error.get("message", job.status))),
            code=error.get("code"),
            fix=error.get("fix") or f"zhilu jobs logs {job.id}",
        )
    return job


def say_fewer(job: Job, wanted: int) -> None:
    """Where a job that should make ``wanted`` made fewer (``made`` of its result): how many, and where the reasons are."""
    made = int((job.result or {}).get("made", wanted))
    if made < wanted:
        click.echo(
            T(
                f"{made} of {wanted} were made; the others did not pass the checks, or there was nothing more to ask about. "
                f"Why: zhilu jobs logs {job.id}",
                f"生成了 {made} 个（共要求 {wanted} 个）；其余没有通过检查，或没有更多可问的内容。原因：zhilu jobs logs {job.id}",
            ).say(),
            err=True,
        )


def _with_bar(store: JobStore, job_id: str) -> Job:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[detail]}", markup=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(store.get(job_id).title.say(), total=1.0, detail="")

        def show(event: JobEvent) -> None:
            if event.type == "progress":
                stage = T.of(event.data["stage"]).say()
                detail = str(event.data["detail"]).replace("[", "\\[")
                bar.update(task, completed=event.data["progress"], description=stage, detail=detail)
            elif event.type == "log":
                bar.console.print(event.data["text"], markup=False, highlight=False)

        return store.wait(job_id, on_event=show)


def _with_lines(store: JobStore, job_id: str) -> Job:
    said: list[str] = []

    def show(event: JobEvent) -> None:
        if event.type == "log":
            click.echo(event.data["text"], err=True)
        elif event.type == "progress":
            stage = T.of(event.data["stage"]).say()
            if [stage] != said[-1:]:
                said.append(stage)
                click.echo(f"{event.data['progress']:4.0%} {stage} {event.data['detail']}".rstrip(), err=True)

    return store.wait(job_id, on_event=show)
