"""``/zhilu/v1/kbs/{id}/questions`` and ``…/runs``: the scoreboard of a knowledge base."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.jobs import Job
from zhilu.rag.board.job import OPEN_SHARE, start_evaluation, start_questions
from zhilu.rag.board.measure import BoardRow, Difference, compare
from zhilu.rag.board.questions import MAIN, BoardQuestion, QuestionChange, QuestionSets, SetInfo
from zhilu.rag.board.runs import BoardRun, Runs
from zhilu.rag.board.setup import Setup
from zhilu.rag.evaluate import parse_questions
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/kbs/{kb_id}", tags=["scoreboard"])

SetName = Annotated[str, Query(alias="set", min_length=1, max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MakeBody(_Body):
    """``open_share``: of the questions, those that the documents should not answer. ``closely``: several to a passage, about its pieces."""

    count: int = Field(20, ge=1, le=500)
    set: str = Field(MAIN, min_length=1, max_length=100)
    model: str | None = None
    open_share: float = Field(OPEN_SHARE, ge=0, le=1)
    closely: bool = False


class NewQuestion(_Body):
    """Without ``answers`` and ``doc``: a question that the documents do not answer."""

    question: str = Field(min_length=1, max_length=4000)
    answers: list[str] = Field(default_factory=list, max_length=20)
    doc: str | None = None
    set: str = Field(MAIN, min_length=1, max_length=100)


class ImportBody(_Body):
    jsonl: str = Field(min_length=1, max_length=20_000_000)
    set: str = Field(MAIN, min_length=1, max_length=100)


class AcceptBody(_Body):
    """``ids`` of proposed questions; all of them where it is empty."""

    ids: list[str] = Field(default_factory=list)


class Accepted(BaseModel):
    accepted: int


class QuestionList(BaseModel):
    questions: list[BoardQuestion]
    sets: list[SetInfo]


class EvaluateBody(_Body):
    """Each of ``setups`` is measured on the same questions; one empty configuration is how things are."""

    set: str = Field(MAIN, min_length=1, max_length=100)
    setups: list[Setup] = Field(default_factory=lambda: [Setup()], min_length=1, max_length=8)


class BoardRunDetail(BaseModel):
    run: BoardRun
    rows: list[BoardRow]


class Comparison(BaseModel):
    """Two runs; ``differences`` are b - a over the questions that both asked."""

    a: BoardRunDetail
    b: BoardRunDetail
    differences: list[Difference]


def _open(request: Request, kb_id: str) -> KnowledgeBase:
    return Library(context_of(request)).open(kb_id)


@router.get("/questions")
def list_questions(kb_id: str, request: Request, set_name: SetName = MAIN) -> QuestionList:
    sets = QuestionSets(_open(request, kb_id))
    return QuestionList(questions=sets.list(set_name), sets=sets.sets())


@router.post("/questions", status_code=201)
def add_question(kb_id: str, body: NewQuestion, request: Request) -> BoardQuestion:
    """A question of one's own; accepted as it is."""
    sets = QuestionSets(_open(request, kb_id))
    asked = BoardQuestion(
        id="", set_name=body.set, question=body.question.strip(), answers=[a.strip() for a in body.answers if a.strip()],
        doc_name=body.doc,
    )  # fmt: skip
    return sets.add([asked])[0]


@router.post("/questions/make", status_code=202)
def make_questions(kb_id: str, body: MakeBody, request: Request) -> Job:
    """Have the running model propose questions, in a job. They are asked in an evaluation once a person accepted them."""
    return start_questions(
        context_of(request), _open(request, kb_id), body.count, body.set, body.model, body.open_share, body.closely
    )


@router.post("/questions/import")
def import_questions(kb_id: str, body: ImportBody, request: Request) -> QuestionList:
    """A file of JSON lines: ``question``, ``answer`` (a text, a list, or null), ``doc``."""
    sets = QuestionSets(_open(request, kb_id))
    sets.take(parse_questions(body.jsonl, "questions.jsonl"), body.set)
    return QuestionList(questions=sets.list(body.set), sets=sets.sets())


@router.get("/questions/export", response_class=PlainTextResponse)
def export_questions(kb_id: str, request: Request, set_name: SetName = MAIN) -> PlainTextResponse:
    """The set as JSON lines, in the form that the import reads."""
    text = QuestionSets(_open(request, kb_id)).export(set_name)
    return PlainTextResponse(text, media_type="application/x-ndjson")


@router.post("/questions/accept")
def accept_questions(kb_id: str, body: AcceptBody, request: Request) -> Accepted:
    return Accepted(accepted=QuestionSets(_open(request, kb_id)).accept(body.ids))


@router.patch("/questions/{question_id}")
def change_question(kb_id: str, question_id: str, body: QuestionChange, request: Request) -> BoardQuestion:
    return QuestionSets(_open(request, kb_id)).change(question_id, body)


@router.delete("/questions/{question_id}", status_code=204)
def delete_question(kb_id: str, question_id: str, request: Request) -> None:
    QuestionSets(_open(request, kb_id)).delete(question_id)


@router.get("/runs")
def list_runs(kb_id: str, request: Request) -> list[BoardRun]:
    """The history, the newest first."""
    return Runs(_open(request, kb_id)).list()


@router.post("/runs", status_code=202)
def evaluate(kb_id: str, body: EvaluateBody, request: Request) -> Job:
    """Measure one or more configurations, in a job; its result names the runs."""
    return start_evaluation(context_of(request), _open(request, kb_id), body.setups, body.set)


@router.get("/runs/compare")
def compare_runs(kb_id: str, a: str, b: str, request: Request) -> Comparison:
    """Two runs side by side, with paired differences and their bootstrap intervals."""
    runs = Runs(_open(request, kb_id))
    one, two = (BoardRunDetail(run=runs.get(i), rows=runs.rows(i)) for i in (a, b))
    return Comparison(a=one, b=two, differences=compare(one.rows, two.rows))


@router.get("/runs/{run_id}")
def get_run(kb_id: str, run_id: str, request: Request) -> BoardRunDetail:
    runs = Runs(_open(request, kb_id))
    return BoardRunDetail(run=runs.get(run_id), rows=runs.rows(run_id))


@router.delete("/runs/{run_id}", status_code=204)
def delete_run(kb_id: str, run_id: str, request: Request) -> None:
    Runs(_open(request, kb_id)).delete(run_id)
