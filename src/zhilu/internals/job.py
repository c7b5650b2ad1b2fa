"""The job ``lesson``: a run for the workbench, with progress, that can be cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zhilu.internals.catalog import find_lesson
from zhilu.internals.papers.shelf import PAPERS, find_paper
from zhilu.internals.runs import keep_guess, run_lesson, run_paper
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.setup.require import require_torch

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["LESSON", "submit_lesson", "submit_paper"]


def submit_lesson(context: Context, task: str, guess: int | None) -> Job:
    """
    Raises:
        NotFoundError: no such lesson. MissingComponentError: it needs PyTorch, which is not installed.
        InputError: no such option.
    """
    lesson = find_lesson(task)
    if lesson.needs_torch:
        require_torch(T(f"Lesson {task}", f"课程 {task}"))
    keep_guess(context, task, guess)
    return JobStore(context).submit(LESSON, {"task": task}, T(f"Lesson {task}", f"课程 {task}"))


def submit_paper(context: Context, name: str) -> Job:
    """
    Raises:
        NotFoundError: no such paper. MissingComponentError: its figure needs PyTorch, which is not installed.
    """
    paper = find_paper(name)
    if paper.needs_torch:
        require_torch(paper.title)
    said = T(f"Figure of {paper.title.en}", f"{paper.title.zh} 的图")
    return JobStore(context).submit(LESSON, {"task": name}, said)


def _run(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    if params["task"] in PAPERS:
        return {"passed": run_paper(job.context, params["task"], say=job.progress).passed}
    result = run_lesson(job.context, params["task"], say=job.progress)
    return {"passed": result.passed}


# Resumable: a run half-done leaves nothing behind.
LESSON = JobKind(name="lesson", run=_run, resumable=True)
