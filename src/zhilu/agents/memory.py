"""What a person told, kept for later conversations: one fact a line, shown and deletable.

Facts get here in two ways: a person writes one down, or a model asks to keep one with the tool ``memory`` and the person says yes.
A text that a model has read cannot put one here by itself. They are told to a model only where ``memory`` is among its tools: all of them
while they are few, else those that the question is about.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel

from zhilu.errors import InputError, NotFoundError, TooLargeError
from zhilu.messages import T
from zhilu.prompts import memory_message
from zhilu.tables import now
from zhilu.text.bm25 import ranked

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Fact", "Memory", "told_facts"]

MOST, LONGEST = 500, 400  # facts; characters of one
_SHOWN = 20  # at once to a model
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE, said_by TEXT NOT NULL, created_at TEXT NOT NULL);
"""


class Fact(BaseModel):
    """``said_by``: ``person`` wrote it down, or ``model`` asked to keep it and was allowed to."""

    id: int
    text: str
    said_by: str
    created_at: str


class Memory:
    """The facts of one data home (``agents/memory.db``). Every method is one transaction; any number of processes may use it."""

    def __init__(self, context: Context) -> None:
        self._path = context.home.path / "agents" / "memory.db"

    def facts(self) -> list[Fact]:
        """The oldest first."""
        if not self._path.exists():
            return []
        with self._open() as db:
            rows = db.execute("SELECT id, text, said_by, created_at FROM facts ORDER BY id").fetchall()
        return [Fact(id=i, text=text, said_by=by, created_at=at) for i, text, by, at in rows]

    def keep(self, text: str, said_by: str = "person") -> Fact:
        """Keep a fact; one that is there already stays as it is.

        Raises:
            InputError: nothing, or too much, stands there. TooLargeError: there are too many.
        """
        text = " ".join(text.split())
        if not text or len(text) > LONGEST:
            raise InputError(
                T(f"A fact has 1 to {LONGEST} characters, this has {len(text)}.", f"一条事实有 1 到 {LONGEST} 个字符，这里有 {len(text)} 个。"),
                param="text",
            )  # fmt: skip
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._open() as db:
            (count,) = db.execute("SELECT count(*) FROM facts WHERE text != ?", (text,)).fetchone()
            if count >= MOST:
                raise TooLargeError(
                    T(f"There are {MOST} facts already: delete some.", f"已经有 {MOST} 条事实：请先删除一些。"),
                    fix="zhilu agent forget ID",
                )
            db.execute(
                "INSERT INTO facts (text, said_by, created_at) VALUES (?, ?, ?) ON CONFLICT (text) DO NOTHING",
                (text, said_by, now().isoformat(timespec="seconds")),
            )
            row = db.execute("SELECT id, text, said_by, created_at FROM facts WHERE text = ?", (text,)).fetchone()
        return Fact(id=row[0], text=row[1], said_by=row[2], created_at=row[3])

    def forget(self, fact_id: int) -> None:
        """
        Raises:
            NotFoundError: no such fact.
        """
        if self._path.exists():
            with self._open() as db:
                if db.execute("DELETE FROM facts WHERE id = ?", (fact_id,)).rowcount:
                    return
        raise NotFoundError(T(f"No fact {fact_id}.", f"没有第 {fact_id} 条事实。"), fix="zhilu agent memory")

    def about(self, question: str) -> list[str]:
        """What a model is told with a question: everything while it is little."""
        texts = [fact.text for fact in self.facts()]
        if len(texts) <= _SHOWN:
            return texts
        places = sorted(place for place, _ in ranked(question, texts)[:_SHOWN])
        return [texts[place] for place in places]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as db:
            db.execute("PRAGMA secure_delete=ON")  # what is forgotten is not left in the file
            db.executescript(_SCHEMA)
            with db:
                yield db


def told_facts(context: Context, question: str) -> str:
    """The facts that go with a question, as a part of the system message; empty where there are none."""
    facts = Memory(context).about(question)
    return memory_message(facts, question) if facts else ""
