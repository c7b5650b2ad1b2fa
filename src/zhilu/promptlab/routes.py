"""``/zhilu/v1/promptlab``: templates with their versions, scored sets, runs and comparisons."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.jobs import Job
from zhilu.models.chosen import named_model
from zhilu.promptlab.compare import PromptComparison, compare_runs
from zhilu.promptlab.export import Language, export
from zhilu.promptlab.job import start_run
from zhilu.promptlab.library import PromptSummary, PromptVersion, Templates
from zhilu.promptlab.runs import GradedAnswer, PromptRun, Runs
from zhilu.promptlab.sets import ScoredItem, ScoredSet, Sets, SetSummary, parse_items, to_jsonl
from zhilu.promptlab.template import Name, PromptTemplate, render

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/promptlab", tags=["promptlab"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PromptVersionIn(_Body):
    name: Name
    template: PromptTemplate


class RenderIn(_Body):
    template: PromptTemplate
    vars: dict[str, str] = Field(default_factory=dict, max_length=40)


class RenderedMessage(BaseModel):
    role: str
    content: str


class ItemsIn(_Body):
    items: list[ScoredItem] = Field(max_length=5000)


class SetFileIn(_Body):
    """A file's text; ``form`` says how it is read."""

    text: str = Field(min_length=1, max_length=20_000_000)
    form: Literal["jsonl", "csv"] = "jsonl"


class PromptRunIn(_Body):
    """``versions`` empty: the newest. ``model`` None: the one that runs; ``judge`` None: the same."""

    template: Name
    versions: list[int] = Field(default_factory=list, max_length=10)
    set: Name
    model: str | None = None
    judge: str | None = None
    again: bool = False


class AnswerMarkIn(_Body):
    """How a person sees an answer; null takes the mark away."""

    item: str
    right: bool | None


class PromptRunDetail(BaseModel):
    run: PromptRun
    rows: list[GradedAnswer]


class PromptCode(BaseModel):
    language: Language
    code: str


@router.get("/templates")
def list_templates(request: Request) -> list[PromptSummary]:
    return Templates(context_of(request)).list()


@router.post("/templates", status_code=201)
def save_version(body: PromptVersionIn, request: Request) -> PromptVersion:
    """A new version of a prompt; the newest one where nothing is new."""
    return Templates(context_of(request)).save(body.name, body.template)


@router.get("/templates/{name}")
def get_versions(name: str, request: Request) -> list[PromptVersion]:
    """The oldest first."""
    return Templates(context_of(request)).versions(name)


@router.delete("/templates/{name}", status_code=204)
def delete_template(name: str, request: Request) -> None:
    """Your versions; what came with Zhilu stays."""
    Templates(context_of(request)).delete(name)


@router.get("/templates/{name}/{number}/code")
def get_code(name: str, number: int, request: Request, language: Language = "python") -> PromptCode:
    """The version as a program that asks this gateway."""
    context = context_of(request)
    version = Templates(context).get(name, number)
    url = f"{str(request.base_url).rstrip('/')}/v1"
    return PromptCode(language=language, code=export(version.template, named_model(context, None), url, language))


@router.post("/render")
def render_messages(body: RenderIn) -> list[RenderedMessage]:
    """The messages that would go to the model."""
    filled = render(body.template, body.vars)
    return [RenderedMessage(role=one["role"], content=str(one["content"])) for one in filled]


@router.get("/sets")
def list_sets(request: Request) -> list[SetSummary]:
    return Sets(context_of(request)).list()


@router.get("/sets/{name}")
def get_set(name: str, request: Request) -> ScoredSet:
    return Sets(context_of(request)).get(name)


@router.put("/sets/{name}")
def save_set(name: Name, body: ItemsIn, request: Request) -> ScoredSet:
    return Sets(context_of(request)).save(name, body.items)


@router.post("/sets/{name}/import", status_code=201)
def import_set(name: Name, body: SetFileIn, request: Request) -> ScoredSet:
    """The questions of a JSONL or CSV file, in place of those that were there."""
    return Sets(context_of(request)).save(name, parse_items(body.text, f"{name}.{body.form}"))


@router.get("/sets/{name}/export", response_class=PlainTextResponse)
def export_set(name: str, request: Request) -> PlainTextResponse:
    """The set as JSON lines, in the form that the import reads."""
    text = to_jsonl(Sets(context_of(request)).get(name).questions)
    return PlainTextResponse(text, media_type="application/x-ndjson")


@router.delete("/sets/{name}", status_code=204)
def delete_set(name: str, request: Request) -> None:
    Sets(context_of(request)).delete(name)


@router.get("/runs")
def list_runs(request: Request, template: str | None = None) -> list[PromptRun]:
    """The history, the newest first."""
    return Runs(context_of(request)).list(template)


@router.post("/runs", status_code=202)
def run_versions(body: PromptRunIn, request: Request) -> Job:
    """Ask a set with one or more versions, in a job; its result names the runs."""
    return start_run(
        context_of(request),
        body.template,
        body.versions,
        body.set,
        model=body.model,
        judge=body.judge,
        again=body.again,
    )


@router.get("/runs/{run_id}")
def get_run(run_id: str, request: Request) -> PromptRunDetail:
    runs = Runs(context_of(request))
    return PromptRunDetail(run=runs.get(run_id), rows=list(runs.rows(run_id)))


@router.post("/runs/{run_id}/marks", status_code=204)
def mark_answer(run_id: str, body: AnswerMarkIn, request: Request) -> None:
    """A person's own mark, beside the grader's: how far the two agree is part of the run."""
    Runs(context_of(request)).mark(run_id, body.item, body.right)


@router.delete("/runs/{run_id}", status_code=204)
def delete_run(run_id: str, request: Request) -> None:
    Runs(context_of(request)).delete(run_id)


@router.get("/compare")
def compare(a: str, b: str, request: Request) -> PromptComparison:
    """Two runs side by side: lead, interval, significance, and both answers to each question."""
    return compare_runs(context_of(request), a, b)
