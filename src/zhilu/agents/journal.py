"""What a run has done, on disk: one SQLite file a run. A kill -9 at any moment leaves it whole.

Two kinds of rows. ``entries``: each effect of the loop in order with what came of it (the trace, and what a resumed run is sent
again). ``calls``: for each tool call the intent, the person's decision and the outcome (what must not happen twice).
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from zhilu.tools.base import ToolCall, ToolFacts, ToolResult
from zhilu.tools.wrappers import Decision

__all__ = ["Entry", "Pending", "RunJournal"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, asked TEXT NOT NULL, came TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, arguments TEXT NOT NULL, effect TEXT, asked_at REAL, allowed INTEGER, always INTEGER, reason TEXT,
  decided_at REAL, begun_at REAL, outcome TEXT, ended_at REAL);
CREATE TABLE IF NOT EXISTS inner_entries (
  call TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, asked TEXT NOT NULL, came TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (call, seq));
"""


class Entry(NamedTuple):
    """One effect: ``asked`` what the loop wanted, ``came`` what it was sent."""

    seq: int
    kind: Literal["model", "tool"]
    asked: dict[str, Any]
    came: dict[str, Any]
    at: float


class Pending(NamedTuple):
    """A call that waits for a person."""

    id: str
    name: str
    arguments: dict[str, Any]
    effect: str
    asked_at: float


class RunJournal:
    """A ``tools.wrappers.Journal`` that also keeps the trace and the approvals. Any number of processes may read and decide; one
    works. Safe from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._open() as connection:
            connection.executescript(_SCHEMA)
            if "changed" not in {row[1] for row in connection.execute("PRAGMA table_info(calls)")}:
                connection.execute(
                    "ALTER TABLE calls ADD COLUMN changed TEXT"
                )  # a run from before one could change a call

    # -- the trace

    def entries(self) -> list[Entry]:
        with self._open() as connection:
            rows = connection.execute("SELECT seq, kind, asked, came, at FROM entries ORDER BY seq").fetchall()
        return [Entry(seq, kind, json.loads(asked), json.loads(came), at) for seq, kind, asked, came, at in rows]

    def add(self, seq: int, kind: str, asked: dict[str, Any], came: dict[str, Any]) -> None:
        with self._open() as connection:
            connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (seq, kind, _text(asked), _text(came), time.time())
            )

    def copy_from(self, other: RunJournal, before: int) -> None:
        """Take over another run's entries below ``before``: a replay begins where they end. Its calls stay its own."""
        with self._open() as connection:
            for entry in other.entries():
                if entry.seq < before:
                    row = (entry.seq, entry.kind, _text(entry.asked), _text(entry.came), entry.at)
                    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", row)
            ended = {str(e.asked["id"]) for e in other.entries() if e.kind == "tool" and e.seq < before}
            for call, steps in other.within().items():
                for entry in steps if call in ended else ():
                    inner = (call, entry.seq, entry.kind, _text(entry.asked), _text(entry.came), entry.at)
                    connection.execute("INSERT INTO inner_entries VALUES (?, ?, ?, ?, ?, ?)", inner)

    def inside(self, call_id: str) -> InnerTrace:
        """The trace of a sub-agent that works on a call."""
        return InnerTrace(self, call_id)

    def within(self) -> dict[str, list[Entry]]:
        """The steps of all sub-agents, by the call that they worked on."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT call, seq, kind, asked, came, at FROM inner_entries ORDER BY call, seq"
            ).fetchall()
        found: dict[str, list[Entry]] = {}
        for call, seq, kind, asked, came, at in rows:
            found.setdefault(call, []).append(Entry(seq, kind, json.loads(asked), json.loads(came), at))
        return found

    def add_within(self, call_id: str, seq: int, kind: str, asked: dict[str, Any], came: dict[str, Any]) -> None:
        row = (call_id, seq, kind, _text(asked), _text(came), time.time())
        with self._open() as connection:
            connection.execute("INSERT INTO inner_entries VALUES (?, ?, ?, ?, ?, ?)", row)

    # -- calls that are done at most once

    def outcome(self, call_id: str) -> ToolResult | None:
        row = self._row("SELECT outcome FROM calls WHERE id = ?", call_id)
        return ToolResult.of(json.loads(row[0])) if row and row[0] else None

    def was_begun(self, call_id: str) -> bool:
        row = self._row("SELECT begun_at FROM calls WHERE id = ?", call_id)
        return bool(row and row[0] is not None)

    def begin(self, call: ToolCall) -> None:
        with self._open() as connection:
            self._know(connection, call, None)
            connection.execute("UPDATE calls SET begun_at = ? WHERE id = ?", (time.time(), call.id))

    def end(self, call_id: str, result: ToolResult) -> None:
        with self._open() as connection:
            connection.execute(
                "UPDATE calls SET outcome = ?, ended_at = ? WHERE id = ?",
                (_text(result.as_json()), time.time(), call_id),
            )

    # -- approvals

    def ask(self, facts: ToolFacts, call: ToolCall) -> None:
        """Note that a call waits for a person; nothing changes where it is known already."""
        with self._open() as connection:
            self._know(connection, call, facts.effect)
            connection.execute(
                "UPDATE calls SET asked_at = ? WHERE id = ? AND asked_at IS NULL", (time.time(), call.id)
            )

    def decide(self, call_id: str, decision: Decision, *, always: bool = False) -> bool:
        """A person's answer to a call that waits; False where none waits under this id. The first answer stays. ``always``: a yes
        holds for this tool until the run ends."""
        changed = None if decision.arguments is None else _text(decision.arguments)
        with self._open() as connection:
            done = connection.execute(
                "UPDATE calls SET allowed = ?, always = ?, reason = ?, changed = ?, decided_at = ? "
                "WHERE id = ? AND asked_at IS NOT NULL AND allowed IS NULL",
                (int(decision.allowed is True), int(always), decision.reason, changed, time.time(), call_id),
            )
            return done.rowcount == 1

    def decision(self, call: ToolCall) -> Decision | None:
        """What was decided on exactly this call: the same id, name and arguments."""
        row = self._row("SELECT allowed, reason, name, arguments, changed FROM calls WHERE id = ?", call.id)
        if row is None or row[0] is None or (row[2], json.loads(row[3])) != (call.name, call.arguments):
            return None
        return Decision(row[0] == 1, row[1] or "", json.loads(row[4]) if row[4] else None)

    def pending(self) -> list[Pending]:
        with self._open() as connection:
            rows = connection.execute(
                "SELECT id, name, arguments, effect, asked_at FROM calls WHERE asked_at IS NOT NULL AND allowed IS NULL "
                "ORDER BY asked_at"
            ).fetchall()
        return [Pending(i, name, json.loads(arguments), effect, at) for i, name, arguments, effect, at in rows]

    def always(self) -> set[str]:
        """Names of the tools that a person allowed for the rest of the run."""
        with self._open() as connection:
            return {name for (name,) in connection.execute("SELECT name FROM calls WHERE allowed = 1 AND always = 1")}

    def decided(self) -> dict[str, bool]:
        """Every call that a person decided on."""
        with self._open() as connection:
            return {
                i: bool(a) for i, a in connection.execute("SELECT id, allowed FROM calls WHERE allowed IS NOT NULL")
            }

    def told(self) -> dict[str, dict[str, Any]]:
        """What is known of each call by its id: ``effect``, ``begun``, and ``changed``, the arguments that a person put instead."""
        with self._open() as connection:
            rows = connection.execute("SELECT id, effect, begun_at, changed FROM calls").fetchall()
        return {
            i: {"effect": effect, "begun": begun is not None, "changed": json.loads(changed) if changed else None}
            for i, effect, begun, changed in rows
        }

    def _know(self, connection: sqlite3.Connection, call: ToolCall, effect: str | None) -> None:
        connection.execute(
            "INSERT INTO calls (id, name, arguments, effect) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (call.id, call.name, _text(call.arguments), effect),
        )

    def _row(self, sql: str, call_id: str) -> Any:
        with self._open() as connection:
            return connection.execute(sql, (call_id,)).fetchone()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on the disk when the block ends (``synchronous=FULL``)."""
        with self._lock:
            connection = sqlite3.connect(self.path, timeout=30)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                with connection:
                    yield connection
            finally:
                connection.close()


class InnerTrace:
    """A part of a run's journal: an agent's ``drive.Trace`` for one call."""

    def __init__(self, journal: RunJournal, call_id: str) -> None:
        self._journal, self._call = journal, call_id

    def entries(self) -> list[Entry]:
        return self._journal.within().get(self._call, [])

    def add(self, seq: int, kind: str, asked: dict[str, Any], came: dict[str, Any]) -> None:
        self._journal.add_within(self._call, seq, kind, asked, came)

    def inside(self, call_id: str) -> InnerTrace:
        return InnerTrace(self._journal, f"{self._call}~{call_id}")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
