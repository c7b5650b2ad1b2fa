"""What the questions tell: which documents grew old, what was asked and not answered, how much is asked.

A report is made for one person. Documents are those he may read; questions are his own and those of people who, when they
asked, might read nothing beyond what he may, so that no one's words tell of what another group knows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pydantic import BaseModel

from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People, covers
from zhilu.apps.knowledge.asking import readable
from zhilu.apps.knowledge.store import Ledger
from zhilu.rag.answer import Leave, documents_within
from zhilu.text.terms import content_terms

__all__ = ["DayCount", "Gap", "KnowledgeFigures", "StaleDocument", "figures", "freshness", "gaps"]

_ALIKE = 0.5  # share of the words of the shorter of two questions that mean one gap


class StaleDocument(BaseModel):
    """A document that should be looked at. ``why``: ``old`` (``days`` since it was added) or ``source`` (its source could not be
    read; ``error`` is the inside of ``errors.error_body``)."""

    kb_name: str
    doc_id: str
    name: str
    added_at: str
    days: int
    why: str
    source: str | None
    error: dict[str, Any] | None


class Gap(BaseModel):
    """Questions that ask for much the same and were refused or disliked. ``question`` is the newest of them."""

    question: str
    count: int
    refused: int
    disliked: int
    notes: list[str]
    last_at: str


class DayCount(BaseModel):
    day: str
    asked: int
    refused: int


class DocumentCount(BaseModel):
    name: str
    count: int


class KnowledgeFigures(BaseModel):
    """``people``: how many asked."""

    days: list[DayCount]
    documents: list[DocumentCount]
    people: int
    asked: int
    refused: int
    liked: int
    disliked: int


def freshness(ledger: Ledger, person: KnowledgePerson, *, days: int = 180) -> list[StaleDocument]:
    """The oldest first."""
    now = datetime.now(timezone.utc)
    found = []
    for d in documents_within(ledger.context, People(ledger).leaves(person.id)):
        age = (now - datetime.fromisoformat(d["added_at"].replace("Z", "+00:00"))).days
        if d["source_error"] is None and age < days:
            continue
        found.append(
            StaleDocument(
                kb_name=d["kb_name"], doc_id=d["doc_id"], name=d["name"], added_at=d["added_at"], days=age,
                why="source" if d["source_error"] is not None else "old", source=d["source"], error=d["source_error"],
            )
        )  # fmt: skip
    return sorted(found, key=lambda s: (s.added_at, s.name))


def gaps(ledger: Ledger, person: KnowledgePerson, *, days: int = 90, limit: int = 50) -> list[Gap]:
    """The most frequent first."""
    rows = [r for r in _questions(ledger, person, days) if r["refused"] or (r["rating"] or 0) < 0]
    groups: list[tuple[set[str], list[dict[str, Any]]]] = []
    for row in rows:  # the newest first
        words = set(content_terms(row["question"])) or {row["question"].strip().lower()}
        for known, members in groups:
            if len(words & known) >= _ALIKE * min(len(words), len(known)):
                members.append(row)
                break
        else:
            groups.append((words, [row]))
    found = [
        Gap(
            question=members[0]["question"], count=len(members), refused=sum(bool(m["refused"]) for m in members),
            disliked=sum((m["rating"] or 0) < 0 for m in members), notes=[m["note"] for m in members if m["note"]][:10],
            last_at=members[0]["asked_at"],
        )
        for _, members in groups
    ]  # fmt: skip
    return sorted(found, key=lambda g: -g.count)[:limit]


def figures(ledger: Ledger, person: KnowledgePerson, *, days: int = 30) -> KnowledgeFigures:
    """Every day of the time, also those without a question."""
    rows = _questions(ledger, person, days)
    names = readable(ledger, person)
    today = datetime.now(timezone.utc).date()
    asked = Counter(r["asked_at"][:10] for r in rows)
    refused = Counter(r["asked_at"][:10] for r in rows if r["refused"])
    cited = Counter(
        d["doc_id"] for r in rows for d in json.loads(r["documents"]) if d["cited"] and d["doc_id"] in names
    )
    all_days = [(today - timedelta(days=n)).isoformat() for n in range(days - 1, -1, -1)]
    return KnowledgeFigures(
        days=[DayCount(day=day, asked=asked[day], refused=refused[day]) for day in all_days],
        documents=[DocumentCount(name=names[doc], count=n) for doc, n in cited.most_common(20)],
        people=len({r["person_id"] for r in rows}), asked=len(rows), refused=sum(bool(r["refused"]) for r in rows),
        liked=sum((r["rating"] or 0) > 0 for r in rows), disliked=sum((r["rating"] or 0) < 0 for r in rows),
    )  # fmt: skip


def _questions(ledger: Ledger, person: KnowledgePerson, days: int) -> Sequence[dict[str, Any]]:
    mine = People(ledger).leaves(person.id)
    since = (datetime.now(timezone.utc) - timedelta(days=days)).isoformat()
    rows = ledger.rows("SELECT * FROM questions WHERE asked_at >= ? ORDER BY rowid DESC", (since,))
    return [dict(r) for r in rows if r["person_id"] == person.id or covers(mine, _leaves(r["leaves"]))]


def _leaves(text: str) -> list[Leave]:
    """What the person might read when he asked."""
    return [Leave(kb_id, tuple(folders) if folders is not None else None) for kb_id, folders in json.loads(text)]
