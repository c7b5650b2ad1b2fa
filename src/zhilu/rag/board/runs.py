"""The runs of the scoreboard: each with its configuration, its rows and its figures, kept as history."""

from __future__ import annotations

import json
import secrets
from typing import Any

from pydantic import BaseModel

from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.rag.board.measure import BoardRow
from zhilu.rag.board.questions import MAIN
from zhilu.rag.board.setup import Setup
from zhilu.rag.board.tables import prepare
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import utc_now

__all__ = ["BoardRun", "Runs"]

KEPT = 200  # runs; the oldest go


class BoardRun(BaseModel):
    """One run. ``setup`` holds what differs from how things are; ``resolved`` what it came to (model, embedder, store …).

    ``summary`` is None until it is through; ``reviewed``: whether a person had accepted the questions.
    """

    id: str
    job_id: str
    created_at: str
    set_name: str = MAIN
    setup: dict[str, Any] = {}
    resolved: dict[str, Any] = {}
    reviewed: bool = False
    num_questions: int = 0
    num_done: int = 0
    summary: dict[str, Any] | None = None


class Runs:
    """The runs of one knowledge base."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.database = kb.database
        prepare(kb.database)

    def list(self) -> History:
        """The newest first."""
        return self._load("1 = 1")

    def get(self, run_id: str) -> BoardRun:
        """
        Raises:
            NotFoundError: no such run.
        """
        found = self._load("r.id = ?", run_id)
        if not found:
            raise NotFoundError(
                T(f"There is no run {run_id!r}.", f"没有编号为 {run_id!r} 的评测。"), fix="zhilu kb runs KB"
            )
        return found[0]

    def of_job(self, job_id: str, setup: Setup) -> BoardRun | None:
        """The run that this job began with this configuration, if it did."""
        return next((r for r in self._load("r.job_id = ?", job_id) if r.setup == setup.said()), None)

    def begin(self, run: BoardRun) -> BoardRun:
        """Keep a new run, under an id of its own."""
        kept = run.model_copy(update={"id": secrets.token_hex(6), "created_at": utc_now()})
        with self.database.write() as connection:
            connection.execute(
                "INSERT INTO board_runs VALUES (?, ?, ?, ?, NULL)",
                (kept.id, kept.job_id, kept.created_at, kept.model_dump_json(exclude={"summary", "num_done"})),
            )
            connection.execute(
                "DELETE FROM board_runs WHERE id NOT IN (SELECT id FROM board_runs ORDER BY created_at DESC LIMIT ?)",
                (KEPT,),
            )
        return kept

    def rows(self, run_id: str) -> Rows:
        """What each question came to, in the order they were asked."""
        rows = self.database.rows("SELECT data FROM board_rows WHERE run_id = ? ORDER BY rowid", (run_id,))
        return [BoardRow.model_validate_json(r["data"]) for r in rows]

    def add_row(self, run_id: str, row: BoardRow) -> None:
        with self.database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO board_rows VALUES (?, ?, ?)", (run_id, row.question_id, row.model_dump_json())
            )

    def finish(self, run_id: str, summary: dict[str, Any]) -> BoardRun:
        with self.database.write() as connection:
            connection.execute(
                "UPDATE board_runs SET summary = ? WHERE id = ?", (json.dumps(summary, ensure_ascii=False), run_id)
            )
        return self.get(run_id)

    def delete(self, run_id: str) -> None:
        """
        Raises:
            NotFoundError: no such run.
        """
        self.get(run_id)
        with self.database.write() as connection:
            connection.execute("DELETE FROM board_runs WHERE id = ?", (run_id,))

    def _load(self, where: str, *args: Any) -> History:
        rows = self.database.rows(
            "SELECT r.data, r.summary, (SELECT COUNT(*) FROM board_rows b WHERE b.run_id = r.id) AS num_done"
            f" FROM board_runs r WHERE {where} ORDER BY r.created_at DESC, r.rowid DESC",
            args,
        )
        return [
            BoardRun.model_validate(
                {**json.loads(r["data"]), "num_done": r["num_done"],
                 "summary": json.loads(r["summary"]) if r["summary"] else None}
            )
            for r in rows
        ]  # fmt: skip


# Named here because ``Runs.list`` hides the builtin inside the class.
History = list[BoardRun]
Rows = list[BoardRow]
