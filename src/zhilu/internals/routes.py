"""``/zhilu/v1/internals``: the lessons of stage 6, their code, and their runs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from zhilu.context import Context, context_of
from zhilu.internals.catalog import LESSONS, Lesson, find_lesson
from zhilu.internals.job import submit_lesson, submit_paper
from zhilu.internals.papers.paper import Paper, Place, place_of
from zhilu.internals.papers.shelf import PAPERS, find_paper
from zhilu.internals.result import Result
from zhilu.internals.runs import kept
from zhilu.jobs import Job
from zhilu.jobs.base import Text
from zhilu.setup.require import INSTALL_TORCH, has_torch

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/internals", tags=["internals"])


class LessonOut(BaseModel):
    """``gated``: the roadmap has a gate for it.

    ``missing``: the command that installs what the lesson needs and this machine has not; None where all is here.
    """

    task: str
    name: Text
    title: Text
    lesson: Text
    question: Text
    options: list[Text]
    part: str
    source: str
    real: list[str]
    papers: list[str]
    missing: str | None
    result: Result | None
    passed: bool
    gated: bool
    guess: int | None
    mine: str | None
    at: str | None


class RunIn(BaseModel):
    """``guess``: number of the option that is expected, from 0."""

    model_config = ConfigDict(extra="forbid")
    guess: int | None = None


@router.get("")
def list_lessons(request: Request) -> list[LessonOut]:
    context = context_of(request)
    return [_out(context, lesson) for lesson in LESSONS.values()]


class PaperOut(BaseModel):
    """``code`` is looked up at the moment of asking, so that a line named here is where it says."""

    name: str
    title: Text
    full: str
    url: str
    claim: Text
    equation: str
    words: Text
    code: list[Place]
    shows: Text
    lesson: str
    missing: str | None
    result: Result | None
    at: str | None


@router.get("/papers")
def list_papers(request: Request) -> list[PaperOut]:
    context = context_of(request)
    return [_paper(context, paper) for paper in PAPERS.values()]


@router.get("/papers/{name}")
def show_paper(name: str, request: Request) -> PaperOut:
    return _paper(context_of(request), find_paper(name))


@router.post("/papers/{name}/run", status_code=202)
def run_figure(name: str, request: Request) -> Job:
    return submit_paper(context_of(request), name)


@router.get("/{task}")
def show_lesson(task: str, request: Request) -> LessonOut:
    return _out(context_of(request), find_lesson(task))


@router.post("/{task}/run", status_code=202)
def run(task: str, body: RunIn, request: Request) -> Job:
    return submit_lesson(context_of(request), task, body.guess)


def _paper(context: Context, paper: Paper) -> PaperOut:
    last = kept(context, paper.name)
    return PaperOut(
        name=paper.name,
        title=paper.title,
        full=paper.full,
        url=f"https://arxiv.org/abs/{paper.arxiv}",
        claim=paper.claim,
        equation=paper.equation,
        words=paper.words,
        code=[place_of(*where) for where in paper.code],
        shows=paper.shows,
        lesson=paper.lesson,
        missing=INSTALL_TORCH if paper.needs_torch and not has_torch() else None,
        result=last.result,
        at=last.at,
    )


def _out(context: Context, lesson: Lesson) -> LessonOut:
    last = kept(context, lesson.task)
    words = lesson.words
    return LessonOut(
        task=lesson.task,
        name=words.name,
        title=words.title,
        lesson=words.lesson,
        question=words.question,
        options=list(words.options),
        part=f"internals/lessons/{lesson.file}",
        source=lesson.path.read_text(encoding="utf-8"),
        real=list(lesson.real),
        papers=list(lesson.papers),
        missing=INSTALL_TORCH if lesson.needs_torch and not has_torch() else None,
        result=last.result,
        passed=last.result is not None and last.result.passed,
        gated=lesson.gated,
        guess=last.guess,
        mine=last.mine,
        at=last.at,
    )
