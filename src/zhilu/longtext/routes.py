"""``/zhilu/v1/longtext``: questions to long texts, summaries, needles, and what each method did."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.jobs.base import Text
from zhilu.longtext.job import LongtextStarted, start
from zhilu.longtext.methods import METHODS
from zhilu.longtext.runs import MOST_CHARACTERS, LongtextRun, LongtextRuns, LongtextWish

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/longtext", tags=["longtext"])


class LongtextIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    wish: LongtextWish
    text: str = Field("", max_length=MOST_CHARACTERS)


class LongtextMethod(BaseModel):
    name: str
    title: Text
    about: Text


class LongtextText(BaseModel):
    text: str


@router.get("/methods")
def list_methods() -> list[LongtextMethod]:
    return [LongtextMethod(name=m.name, title=m.title, about=m.about) for m in METHODS.values()]


@router.post("/runs", status_code=202)
def start_run(body: LongtextIn, request: Request) -> LongtextStarted:
    """Ask a text, summarise it, or hide a needle; in a job."""
    return start(context_of(request), body.wish, body.text)


@router.get("/runs")
def list_runs(request: Request) -> list[LongtextRun]:
    """The newest first, without their steps."""
    return LongtextRuns(context_of(request)).list()


@router.get("/runs/{run_id}")
def get_run(run_id: str, request: Request) -> LongtextRun:
    return LongtextRuns(context_of(request)).get(run_id)


@router.get("/runs/{run_id}/text")
def get_text(run_id: str, request: Request) -> LongtextText:
    return LongtextText(text=LongtextRuns(context_of(request)).text(run_id))


@router.delete("/runs/{run_id}", status_code=204)
def delete_run(run_id: str, request: Request) -> None:
    LongtextRuns(context_of(request)).delete(run_id)
