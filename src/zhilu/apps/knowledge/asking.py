"""Questions of a person: answered within his leave, kept as his own, and shown again only while he may read what they rest on.

Of a question are kept its words, the answer and which documents were looked at; no passage, no prompt. When one of these
documents may not be read any more, or is gone, the answer is not shown again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People
from zhilu.apps.knowledge.audit import record_in
from zhilu.apps.knowledge.store import Ledger
from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.rag.answer import Leave, answer_within, documents_within, knowledge_bases

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.events import Event
    from zhilu.trace import AnswerTrace

__all__ = ["AskedQuestion", "ask", "forget_gone", "history", "readable", "suggestions", "vote"]

Rating = Literal[-1, 0, 1]


class AskedQuestion(BaseModel):
    """``answer`` is None where something it rests on may not be read any more; ``documents`` are those that may."""

    id: str
    asked_at: str
    question: str
    answer: str | None
    refused: bool
    verdict: str
    model: str
    seconds: float
    documents: list[dict[str, str]]
    rating: int | None
    note: str


async def ask(
    ledger: Ledger, client: ModelClient, person: KnowledgePerson, question: str, *,
    history: Sequence[Mapping[str, Any]] = (), model: str | None = None,
) -> AsyncGenerator[Event, None]:  # fmt: skip
    """Events as ``rag.answer`` gives them; ``trace_id`` of ``done`` is the id of the question.

    Raises:
        InputError: the person may read nothing.
    """
    leaves = People(ledger).leaves(person.id)
    if not leaves:
        raise InputError(
            T(
                "Your groups may read nothing yet. Ask an admin for leave.",
                "您所在的用户组还没有任何知识库的权限，请联系管理员。",
            ),
            code="no_leave",
            fix="zhilu knowledge grant GROUP KB",
        )
    events = answer_within(
        ledger.context,
        client,
        leaves,
        question,
        history=history,
        model=model,
        record=lambda t: _keep(ledger, person, leaves, t),
    )
    async with aclosing(events):
        async for event in events:
            yield event


def history(ledger: Ledger, person: KnowledgePerson, limit: int = 100) -> list[AskedQuestion]:
    """A person's own questions, the newest first."""
    rows = ledger.rows("SELECT * FROM questions WHERE person_id = ? ORDER BY rowid DESC LIMIT ?", (person.id, limit))
    allowed = readable(ledger, person)
    return [_shown(dict(r), allowed) for r in rows]


def vote(ledger: Ledger, person: KnowledgePerson, question_id: str, rating: Rating, note: str) -> None:
    """What a person thinks of the answer to his own question.

    Raises:
        NotFoundError: no such question of his.
    """
    with ledger.write() as connection:
        done = connection.execute(
            "UPDATE questions SET rating = ?, note = ? WHERE id = ? AND person_id = ?",
            (rating or None, note.strip(), question_id, person.id),
        )
        if not done.rowcount:
            raise NotFoundError(T(f"There is no question {question_id!r}.", f"没有问题 {question_id!r}。"))
        record_in(connection, person.name, "feedback", question_id, rating=rating)


def suggestions(ledger: Ledger, person: KnowledgePerson, text: str, limit: int = 8) -> list[str]:
    """What may be meant: his own earlier questions, then documents that he may read, that hold these words."""
    wanted = text.lower().split()
    if not wanted:
        return []
    own = [r["question"] for r in ledger.rows(
        "SELECT question FROM questions WHERE person_id = ? ORDER BY rowid DESC LIMIT 500", (person.id,)
    )]  # fmt: skip
    names = [d["name"].rpartition("/")[2].rpartition(".")[0] or d["name"] for d in _documents(ledger, person)]
    found = [s for s in [*own, *names] if all(w in s.lower() for w in wanted)]
    return list(dict.fromkeys(found))[:limit]


def readable(ledger: Ledger, person: KnowledgePerson) -> dict[str, str]:
    """``document id -> name`` of all that a person may read now."""
    return {d["doc_id"]: d["name"] for d in _documents(ledger, person)}


def forget_gone(ledger: Ledger) -> int:
    """Empty the answers that rest on documents which are not there any more; how many."""
    leaves = [Leave(kb["id"]) for kb in knowledge_bases(ledger.context)]
    there = {d["doc_id"] for d in documents_within(ledger.context, leaves)}
    gone = [
        r["id"]
        for r in ledger.rows("SELECT id, documents FROM questions WHERE answer <> ''")
        if any(d["doc_id"] not in there for d in json.loads(r["documents"]))
    ]
    with ledger.write() as connection:
        connection.executemany("UPDATE questions SET answer = '' WHERE id = ?", [(i,) for i in gone])
    return len(gone)


def _documents(ledger: Ledger, person: KnowledgePerson) -> list[dict[str, Any]]:
    return documents_within(ledger.context, People(ledger).leaves(person.id))


def _keep(ledger: Ledger, person: KnowledgePerson, leaves: Sequence[Leave], trace: AnswerTrace) -> None:
    looked_at = {
        c["doc_id"]: {"kb_id": c["kb_id"], "doc_id": c["doc_id"], "cited": c["cited"]} for c in trace.citations
    }
    with ledger.write() as connection:
        connection.execute(
            "INSERT INTO questions (id, person_id, asked_at, question, answer, refused, verdict, model, seconds, documents, leaves)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                trace.id, person.id, trace.created_at, trace.question, trace.answer, trace.refused, trace.verdict, trace.model,
                trace.seconds, json.dumps(list(looked_at.values())),
                json.dumps([[leave.kb_id, leave.folders] for leave in leaves]),
            ),
        )  # fmt: skip
        record_in(connection, person.name, "ask", trace.id, question=trace.question, refused=trace.refused)


def _shown(row: dict[str, Any], allowed: Mapping[str, str]) -> AskedQuestion:
    documents = json.loads(row["documents"])
    hidden = any(d["doc_id"] not in allowed for d in documents)
    return AskedQuestion(
        **{**row, "refused": bool(row["refused"]), "answer": None if hidden else row["answer"]}
        | {
            "documents": [
                {"kb_id": d["kb_id"], "doc_id": d["doc_id"], "name": allowed[d["doc_id"]]}
                for d in documents
                if d["cited"] and d["doc_id"] in allowed
            ]
        }
    )
