"""One knowledge base = one SQLite file (WAL, FTS5) that holds documents, chunks, vectors, lexical index and traces.

One file so that a document becomes findable by one commit, in every index at once. The connection is shared by the
threads of a process under a lock (queries take milliseconds); other processes work beside it through the WAL.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zhilu.errors import ConflictError
from zhilu.messages import T

__all__ = ["KbDatabase"]

# 2: the vectors are in another store than this file, which version 0.1 does not know of.
_FORMATS = ("1", "2")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
  id TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, name TEXT NOT NULL, mime TEXT NOT NULL DEFAULT '',
  size_bytes INTEGER NOT NULL, status TEXT NOT NULL CHECK (status IN ('queued','ingesting','ready','failed')),
  error TEXT, lang TEXT, num_chars INTEGER NOT NULL DEFAULT 0, num_pages INTEGER, num_chunks INTEGER NOT NULL DEFAULT 0,
  job_id TEXT, added_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS texts (
  doc_id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE,
  text TEXT NOT NULL, pages TEXT NOT NULL, outline TEXT NOT NULL
);
-- id is never used twice (AUTOINCREMENT): a vector store elsewhere must not take a new chunk for an old one
CREATE TABLE IF NOT EXISTS chunks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, doc_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER, heading TEXT NOT NULL,
  lang TEXT NOT NULL, text TEXT NOT NULL, text_sha BLOB NOT NULL, UNIQUE (doc_id, ordinal)
);
CREATE INDEX IF NOT EXISTS chunks_text_sha ON chunks(text_sha);
-- what the embedder already gave, by content: makes an ingestion resumable and a repeated passage free
CREATE TABLE IF NOT EXISTS embeddings (text_sha BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
-- chunks whose vectors may be left over in a store that is not part of this file (see index/publish.py)
CREATE TABLE IF NOT EXISTS leftover (id INTEGER PRIMARY KEY);
CREATE VIRTUAL TABLE IF NOT EXISTS lexical USING fts5(title, body, tokenize = 'porter unicode61 remove_diacritics 2');
CREATE TABLE IF NOT EXISTS traces (
  id TEXT PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL, refused INTEGER NOT NULL, created_at TEXT NOT NULL,
  seconds REAL NOT NULL, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS traces_created ON traces(created_at);
"""


class KbDatabase:
    """The file and its schema. ``write`` is one transaction, and may be nested: the outermost commits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(str(path), timeout=30.0, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32768"):
            self._connection.execute(f"PRAGMA {pragma}")
        if self.value("SELECT 1 FROM sqlite_master WHERE name = 'leftover'") is None:
            with self.write() as connection:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (_FORMATS[0],))
        found = self.meta("format")
        if found not in _FORMATS:
            self.close()
            raise ConflictError(
                T(
                    en=f"This knowledge base has format {found}; this version of Zhilu reads formats {', '.join(_FORMATS)}.",
                    zh=f"这个知识库的格式是 {found}；当前版本的指路只能读取格式 {'、'.join(_FORMATS)}。",
                ),
                fix="pip install --upgrade zhilu",
            )

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(sql, args).fetchall()

    def row(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Row | None:
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, args).fetchone()
            return found

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        row = self.row(sql, args)
        return row[0] if row is not None else None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock of the file; commit at the end, roll back on any error."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")

    def meta(self, key: str) -> str | None:
        found: str | None = self.value("SELECT value FROM meta WHERE key = ?", (key,))
        return found

    def set_meta(self, **values: str) -> None:
        with self.write() as connection:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def close(self) -> None:
        with self._lock:
            self._connection.close()
