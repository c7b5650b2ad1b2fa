"""The file of this application, ``apps/knowledge/knowledge.db``: people, groups, leave, sessions, questions, the audit log.

The audit log takes rows and gives none back: triggers refuse every change, and each row holds the hash of the one before, so that
a row that was changed behind SQLite's back shows.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from zhilu.context import Context
from zhilu.home import storage_error

__all__ = ["Ledger", "utc_now"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, shown TEXT NOT NULL, role TEXT NOT NULL
  CHECK (role IN ('reader', 'editor', 'admin')), password TEXT, issuer TEXT, subject TEXT, disabled INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL, UNIQUE (issuer, subject)
);
CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS members (
  person_id TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, group_id TEXT NOT NULL REFERENCES groups(id) ON DELETE CASCADE,
  PRIMARY KEY (person_id, group_id)
);
CREATE TABLE IF NOT EXISTS leaves (
  group_id TEXT NOT NULL REFERENCES groups(id) ON DELETE CASCADE, kb_id TEXT NOT NULL, folder TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (group_id, kb_id, folder)
);
CREATE TABLE IF NOT EXISTS sessions (
  token TEXT PRIMARY KEY, person_id TEXT NOT NULL REFERENCES people(id) ON DELETE CASCADE, ends_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS failures (who TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS failures_who ON failures(who, at);
CREATE TABLE IF NOT EXISTS flows (
  state TEXT PRIMARY KEY, nonce TEXT NOT NULL, verifier TEXT NOT NULL, ends_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS questions (
  id TEXT PRIMARY KEY, person_id TEXT NOT NULL, asked_at TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
  refused INTEGER NOT NULL, verdict TEXT NOT NULL, model TEXT NOT NULL, seconds REAL NOT NULL, documents TEXT NOT NULL,
  leaves TEXT NOT NULL, rating INTEGER, note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS questions_person ON questions(person_id, asked_at);
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, did TEXT NOT NULL, about TEXT NOT NULL,
  details TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is not changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is not shortened'); END;
"""


def utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Ledger:
    """A connection for each call: processes and threads share the file, and every write is one transaction."""

    def __init__(self, context: Context, folder: Path | None = None) -> None:
        self.context = context
        self.folder = folder or context.home.path / "apps" / "knowledge"
        self.path = self.folder / "knowledge.db"

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._open() as connection:
            return connection.execute(sql, args).fetchall()

    def row(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Row | None:
        with self._open() as connection:
            found: sqlite3.Row | None = connection.execute(sql, args).fetchone()
            return found

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        row = self.row(sql, args)
        return row[0] if row is not None else None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._connected()
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            problem = storage_error(error, self.path)
            if problem is None:
                raise
            raise problem from error

    def _connected(self) -> sqlite3.Connection:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(str(self.path), timeout=30, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")
            with _preparing:
                if self.path not in _prepared or not self.path.stat().st_size:
                    connection.executescript(_SCHEMA)
                    _prepared.add(self.path)
        except BaseException:
            connection.close()
            raise
        return connection


_prepared: set[Path] = set()
_preparing = threading.Lock()
