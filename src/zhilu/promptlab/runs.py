"""What a version answered: ``prompts/runs/<id>/`` holds the version, the questions, and a line for each answer as it came.

Kept are answers, never marks: whether one is right is worked out anew each time it is looked at.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from zhilu.errors import NotFoundError, ZhiluError
from zhilu.home import atomic_write, file_lock
from zhilu.messages import T
from zhilu.promptlab.graders import grade_all
from zhilu.promptlab.judging import Agreement, agreement
from zhilu.promptlab.sets import ScoredItem
from zhilu.promptlab.template import PromptTemplate

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Answer", "GradedAnswer", "PromptRun", "RunFile", "RunScore", "Runs", "now"]

_ID = re.compile(r"[\w-]{1,80}")


class RunFile(BaseModel):
    """What was asked, whole: a version or a set that changes later changes nothing here."""

    id: str
    job_id: str
    created_at: str
    template: str
    version: int
    content: PromptTemplate
    sha256: str
    shipped: bool
    set_name: str
    set_sha256: str
    model: str
    judge: str | None = None
    items: list[ScoredItem]


class Answer(BaseModel):
    """``judged``: what the judge said of it, where one was asked. Tokens are the server's count; the judge's stand apart."""

    id: str
    answer: str
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    judged: str | None = None
    judge_tokens: int = 0


class GradedAnswer(Answer):
    """``person``: how a person marked it, if one did."""

    vars: dict[str, str]
    expected: object
    grader: str
    right: bool | None
    person: bool | None = None


class RunScore(BaseModel):
    """``right`` of ``done``; ``cut``: answers that ended because they were too long; tokens in sum."""

    right: int
    done: int
    all: int
    cut: int
    prompt_tokens: int
    completion_tokens: int
    judge_tokens: int
    agreement: Agreement | None = None


class PromptRun(BaseModel):
    """A run in the history."""

    id: str
    job_id: str
    created_at: str
    template: str
    version: int
    note: str
    shipped: bool
    sha256: str
    set_name: str
    set_sha256: str
    model: str
    judge: str | None
    score: RunScore

    @property
    def whole(self) -> bool:
        return self.score.done == self.score.all


class Runs:
    def __init__(self, context: Context) -> None:
        self.folder = context.home.path / "prompts" / "runs"

    def list(self, template: str | None = None) -> History:
        """The newest first. What cannot be read is left out; ``get`` says why."""
        ids = [path.parent.name for path in self.folder.glob("*/run.json")]
        found = []
        for run_id in ids:
            run = _quietly(self, run_id)
            if run is not None and template in (None, run.template):
                found.append(run)
        return sorted(found, key=lambda run: (run.created_at, run.id), reverse=True)

    def get(self, run_id: str) -> PromptRun:
        """
        Raises:
            NotFoundError: no such run.
        """
        file = self.file(run_id)
        rows = self.rows(run_id)
        marked = [(row.right, row.person) for row in rows if row.right is not None and row.person is not None]
        score = RunScore(
            right=sum(row.right is True for row in rows), done=len(rows), all=len(file.items),
            cut=sum(row.finish_reason == "length" for row in rows),
            prompt_tokens=sum(row.prompt_tokens for row in rows),
            completion_tokens=sum(row.completion_tokens for row in rows),
            judge_tokens=sum(row.judge_tokens for row in rows), agreement=agreement(marked),
        )  # fmt: skip
        return PromptRun(note=file.content.note, score=score, **file.model_dump(exclude={"content", "items"}))

    def file(self, run_id: str) -> RunFile:
        """
        Raises:
            NotFoundError: no such run.
        """
        try:
            return RunFile.model_validate_json((self._of(run_id) / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise NotFoundError(
                T(f"There is no run {run_id!r}.", f"没有编号为 {run_id!r} 的运行。"),
                param="run",
                fix="zhilu prompt history",
            ) from error

    def rows(self, run_id: str) -> Rows:
        """The answers with their marks, in the order of the questions; those that have come."""
        file = self.file(run_id)
        answers, marks = self.answers(run_id), self._marks(run_id)
        items = [item for item in file.items if item.id in answers]
        came = [answers[item.id] for item in items]
        right = grade_all(items, [a.answer for a in came], [a.judged for a in came])
        return [
            GradedAnswer(**answer.model_dump(), vars=item.vars, expected=item.expected, grader=item.grader, right=is_right,
                   person=marks.get(item.id))
            for item, answer, is_right in zip(items, came, right, strict=True)
        ]  # fmt: skip

    def answers(self, run_id: str) -> dict[str, Answer]:
        """By question. A line that a kill cut off is no answer."""
        try:
            lines = (self._of(run_id) / "answers.jsonl").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return {}
        found = {}
        for line in lines[:-1]:  # what follows the last newline was not written whole
            answer = _answer(line)
            if answer is not None:
                found[answer.id] = answer
        return found

    def begin(self, run: RunFile) -> None:
        """Keep what will be asked; nothing changes where a killed job kept it already."""
        folder = self._of(run.id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "run.json").exists():
            atomic_write(folder / "run.json", run.model_dump_json(indent=1) + "\n")

    def add(self, run_id: str, answer: Answer) -> None:
        path = self._of(run_id) / "answers.jsonl"
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a kill cut the last line off
                    file.write(b"\n")
            file.write(answer.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def mark(self, run_id: str, item_id: str, right: bool | None) -> None:
        """How a person sees one answer; None takes the mark away.

        Raises:
            NotFoundError: no such run, or no such answer in it.
        """
        if item_id not in self.answers(self.file(run_id).id):
            raise NotFoundError(
                T(f"The run has no answer to {item_id!r}.", f"这次运行里没有题目 {item_id!r} 的回答。"), param="item",
                fix=f"zhilu prompt history {run_id}",
            )  # fmt: skip
        with file_lock(self._of(run_id) / ".lock"):
            marks = {**self._marks(run_id), item_id: right}
            kept = {key: value for key, value in marks.items() if value is not None}
            atomic_write(self._of(run_id) / "marks.json", json.dumps(kept, ensure_ascii=False) + "\n")

    def delete(self, run_id: str) -> None:
        """
        Raises:
            NotFoundError: no such run.
        """
        self.file(run_id)
        shutil.rmtree(self._of(run_id))

    def same(self, run: RunFile) -> str | None:
        """The id of a whole run that asked the same of the same model and judge."""
        wanted = (run.sha256, run.set_sha256, run.model, run.judge)
        return next(
            (old.id for old in self.list(run.template)
             if old.whole and (old.sha256, old.set_sha256, old.model, old.judge) == wanted), None,
        )  # fmt: skip

    def _marks(self, run_id: str) -> dict[str, bool]:
        try:
            marks = json.loads((self._of(run_id) / "marks.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): value for key, value in marks.items() if isinstance(value, bool)}

    def _of(self, run_id: str) -> Path:
        return self.folder / (run_id if _ID.fullmatch(run_id) else "-")


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _answer(line: str) -> Answer | None:
    try:
        return Answer.model_validate_json(line)
    except ValidationError:
        return None


def _quietly(runs: Runs, run_id: str) -> PromptRun | None:
    try:
        return runs.get(run_id)
    except ZhiluError:
        return None


# Named here because ``Runs.list`` hides the builtin inside the class.
History = list[PromptRun]
Rows = Sequence[GradedAnswer]
