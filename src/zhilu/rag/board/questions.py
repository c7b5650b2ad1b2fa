"""The question sets of a knowledge base: proposed by a model, reviewed by a person, or brought along as a file.

A question that a model proposed is *proposed* until a person accepts it. What an evaluation asks are the accepted ones; where
none is accepted yet, the proposed ones, and its report says so.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.rag.board.tables import prepare
from zhilu.rag.evaluate import Question, is_named
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import utc_now

__all__ = ["MAIN", "BoardQuestion", "QuestionChange", "QuestionSets", "SetInfo"]

MAIN = "main"  # the set that is meant where none is named
Source = Literal["model", "person", "import"]


class BoardQuestion(BaseModel):
    """A question whose answer is known; without ``answers`` and ``doc_name``, one that the documents do not answer.

    ``quote`` is the sentence that answers it, at ``start:end`` of the document's text (code points).
    """

    id: str
    set_name: str = MAIN
    question: str
    answers: list[str] = []
    status: Literal["proposed", "accepted"] = "accepted"
    source: Source = "person"
    model: str | None = None
    doc_id: str | None = None
    doc_name: str | None = None
    quote: str | None = None
    start: int | None = None
    end: int | None = None
    created_at: str = ""

    @property
    def answerable(self) -> bool:
        return bool(self.answers or self.doc_name)


class QuestionChange(BaseModel):
    """What a reviewer may change; a field that is None stays as it is."""

    model_config = ConfigDict(extra="forbid")

    question: str | None = Field(None, min_length=1, max_length=4000)
    answers: list[str] | None = Field(None, max_length=20)
    status: Literal["proposed", "accepted"] | None = None

    @field_validator("answers")
    @classmethod
    def _filled(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else [a.strip() for a in value if a.strip()]


class SetInfo(BaseModel):
    name: str
    accepted: int
    proposed: int
    unanswerable: int


class QuestionSets:
    """The sets of one knowledge base; ``prepare`` makes their tables."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        prepare(kb.database)

    def sets(self) -> list[SetInfo]:
        """The sets that there are, by name."""
        found: dict[str, list[BoardQuestion]] = {}
        for question in self._load("1 = 1"):
            found.setdefault(question.set_name, []).append(question)
        return [
            SetInfo(
                name=name,
                accepted=sum(q.status == "accepted" for q in all_),
                proposed=sum(q.status == "proposed" for q in all_),
                unanswerable=sum(not q.answerable for q in all_),
            )
            for name, all_ in sorted(found.items())
        ]

    def list(self, set_name: str = MAIN) -> Questions:
        """All questions of a set, in the order they came."""
        return self._load("set_name = ?", (set_name,))

    def to_ask(self, set_name: str = MAIN) -> tuple[Questions, bool]:
        """``(questions, are they reviewed)``.

        Raises:
            NotFoundError: there is no question in this set.
        """
        found = self.list(set_name)
        accepted = [q for q in found if q.status == "accepted"]
        if not found:
            raise NotFoundError(
                T(
                    f"{self.kb.name!r} has no questions in the set {set_name!r} yet.",
                    f"知识库 {self.kb.name!r} 的问题集 {set_name!r} 里还没有问题。",
                ),
                fix=f"zhilu kb questions {self.kb.id} --make 20",
            )
        return accepted or found, bool(accepted)

    def get(self, question_id: str) -> BoardQuestion:
        """
        Raises:
            NotFoundError: no such question.
        """
        found = self._load("id = ?", (question_id,))
        if not found:
            raise NotFoundError(
                T(f"There is no question {question_id!r}.", f"没有编号为 {question_id!r} 的问题。"),
                fix=f"zhilu kb questions {self.kb.id}",
            )
        return found[0]

    def add(self, questions: Iterable[BoardQuestion]) -> Questions:
        """Keep them; an id and a time are given to those that have none."""
        kept = []
        with self.kb.database.write() as connection:
            for question in questions:
                one = question.model_copy(
                    update={"id": question.id or secrets.token_hex(6), "created_at": question.created_at or utc_now()}
                )
                connection.execute(
                    "INSERT OR REPLACE INTO board_questions VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (one.id, one.set_name, one.status, one.source, one.doc_id, one.created_at, one.model_dump_json()),
                )
                kept.append(one)
        return kept

    def change(self, question_id: str, change: QuestionChange) -> BoardQuestion:
        """Edit or accept a question. One whose words are edited is a person's own from then on, and accepted."""
        old = self.get(question_id)
        new: dict[str, Any] = change.model_dump(exclude_none=True)
        is_edited = any(getattr(old, key) != value for key, value in new.items() if key != "status")
        if is_edited and change.status is None:
            new["status"] = "accepted"
        if "answers" in new and new["answers"] != old.answers:
            new |= self._evidence(old, new["answers"])
        return self.add([old.model_copy(update=new)])[0]

    def accept(self, ids: Sequence[str], set_name: str | None = None) -> int:
        """How many were accepted; where ``ids`` is empty, of all proposed ones, of one set where that is named."""
        there = self._load("status = 'proposed'") if set_name is None else self.list(set_name)
        meant = [q for q in there if q.status == "proposed" and (not ids or q.id in ids)]
        self.add(q.model_copy(update={"status": "accepted"}) for q in meant)
        return len(meant)

    def delete(self, question_id: str) -> None:
        """
        Raises:
            NotFoundError: no such question.
        """
        self.get(question_id)
        with self.kb.database.write() as connection:
            connection.execute("DELETE FROM board_questions WHERE id = ?", (question_id,))
            connection.execute("DELETE FROM board_rows WHERE question_id = ?", (question_id,))

    def take(self, questions: Sequence[Question], set_name: str = MAIN) -> Questions:
        """A person's file of questions, accepted as it is (see ``evaluate.read_questions``). A question that is in the set
        already is replaced."""
        known = {q.question: q.id for q in self.list(set_name)}
        names = [d.name for d in self.kb.documents()]
        missing = sorted({q.doc for q in questions if q.doc and not any(is_named(n, q.doc) for n in names)})
        if missing:
            raise InputError(
                T(
                    f"Questions name documents that are not in {self.kb.name!r}: {', '.join(missing)}",
                    f"问题提到了知识库 {self.kb.name!r} 里没有的文档：{'、'.join(missing)}",
                ),
                param="doc",
                fix=f"zhilu kb show {self.kb.id}",
            )
        return self.add(
            BoardQuestion(
                id=known.get(q.question, ""), set_name=set_name, question=q.question, answers=q.answers, doc_name=q.doc,
                status="accepted", source="import",
            )
            for q in questions
        )  # fmt: skip

    def export(self, set_name: str = MAIN) -> str:
        """The set as JSON lines, in the form that ``take`` reads."""
        lines = []
        for q in self.list(set_name):
            line: dict[str, Any] = {"question": q.question, "answer": q.answers or None}
            if q.doc_name:
                line["doc"] = q.doc_name
            lines.append(json.dumps(line, ensure_ascii=False))
        return "".join(f"{line}\n" for line in lines)

    def tried(self, job_id: str) -> set[int]:
        """Passages that a job which makes questions has been through: after a kill it goes on behind them."""
        rows = self.kb.database.rows("SELECT chunk_id FROM board_tried WHERE job_id = ?", (job_id,))
        return {r["chunk_id"] for r in rows}

    def note_tried(self, job_id: str, chunk_id: int, made: Sequence[BoardQuestion]) -> None:
        """In one commit with the questions that it gave, so that none is made twice."""
        with self.kb.database.write() as connection:
            connection.execute("INSERT OR IGNORE INTO board_tried VALUES (?, ?)", (job_id, chunk_id))
            self.add(made)

    def _evidence(self, question: BoardQuestion, answers: Sequence[str]) -> dict[str, Any]:
        """A new answer that the old sentence does not hold makes that sentence no evidence any more."""
        from zhilu.rag.answer.ground import locate

        if question.quote and any(locate(a, question.quote) for a in answers):
            return {}
        return {"quote": None, "start": None, "end": None}

    def _load(self, where: str, args: Sequence[Any] = ()) -> Questions:
        rows = self.kb.database.rows(f"SELECT data FROM board_questions WHERE {where} ORDER BY created_at, rowid", args)
        return [BoardQuestion.model_validate_json(r["data"]) for r in rows]


# Named here because ``QuestionSets.list`` hides the builtin inside the class.
Questions = list[BoardQuestion]
