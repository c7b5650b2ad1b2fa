"""Where questions and runs are: tables of the knowledge base's own file, so that they are copied, moved and deleted with it.

What an evaluation asks never becomes one of the person's traces; its rows are here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from zhilu.rag.database import KbDatabase

__all__ = ["QUESTION_COLUMNS", "forget", "prepare"]

QUESTION_COLUMNS = ("id", "set_name", "status", "source", "doc_id", "created_at", "data")

_TABLES = (
    """CREATE TABLE IF NOT EXISTS board_questions (
  id TEXT PRIMARY KEY, set_name TEXT NOT NULL, status TEXT NOT NULL CHECK (status IN ('proposed', 'accepted')),
  source TEXT NOT NULL, doc_id TEXT, created_at TEXT NOT NULL, data TEXT NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS board_questions_set ON board_questions(set_name)",
    # the passages that a job which makes questions has been through
    "CREATE TABLE IF NOT EXISTS board_tried (job_id TEXT NOT NULL, chunk_id INTEGER NOT NULL, PRIMARY KEY (job_id, chunk_id))",
    """CREATE TABLE IF NOT EXISTS board_runs (
  id TEXT PRIMARY KEY, job_id TEXT NOT NULL, created_at TEXT NOT NULL, data TEXT NOT NULL, summary TEXT
)""",
    """CREATE TABLE IF NOT EXISTS board_rows (
  run_id TEXT NOT NULL REFERENCES board_runs(id) ON DELETE CASCADE, question_id TEXT NOT NULL, data TEXT NOT NULL,
  PRIMARY KEY (run_id, question_id)
)""",
)


def prepare(database: KbDatabase) -> None:
    """Make the tables where they are not there yet; an older version of the program passes them over."""
    if database.value("SELECT 1 FROM sqlite_master WHERE name = 'board_rows'") is None:
        with database.write() as connection:
            for statement in _TABLES:
                connection.execute(statement)


def forget(database: KbDatabase, folder: Path, doc_ids: Sequence[str]) -> None:
    """Delete what the scoreboard holds of these documents: questions made from them, and rows that quote them."""
    for trial in folder.glob("trial-*"):  # indexes that were made for a comparison: whole copies of the text
        shutil.rmtree(trial, ignore_errors=True)
    if database.value("SELECT 1 FROM sqlite_master WHERE name = 'board_rows'") is None:
        return
    with database.write() as connection:
        for doc_id in doc_ids:
            connection.execute(
                "DELETE FROM board_rows WHERE instr(data, ?) OR question_id IN"
                " (SELECT id FROM board_questions WHERE doc_id = ?)",
                (json.dumps(doc_id), doc_id),
            )
            connection.execute("DELETE FROM board_questions WHERE doc_id = ?", (doc_id,))
