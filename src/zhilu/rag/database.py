"""One knowledge base is one SQLite file (WAL, FTS5) with documents, chunks, vectors, lexical index and traces.

It is one file so that one commit makes a document findable in every index at once. The threads of a process share the
connection under a lock (queries take milliseconds); other processes use the same file through the WAL.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zhilu.errors import ConflictError, DamagedError
from zhilu.home import storage_error
from zhilu.messages import T

__all__ = ["KbDatabase"]

PATIENCE = 30.0  # seconds that a writer waits for another
# 2: the vectors are in another store than this file, which version 0.1 does not know of. 3: documents have versions.
_OLDER, _FORMAT = ("1", "2"), "3"
# A row is one version of a document. The versions of one document share ``series``, the id of the first; at most one of
# them is 'ready', and those before it are 'replaced': no index holds them, their original and their text stay.
_DOCUMENTS = """(
  id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, name TEXT NOT NULL, mime TEXT NOT NULL DEFAULT '', size_bytes INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('queued','ingesting','ready','failed','replaced')),
  error TEXT, lang TEXT, num_chars INTEGER NOT NULL DEFAULT 0, num_pages INTEGER, num_chunks INTEGER NOT NULL DEFAULT 0,
  job_id TEXT, added_at TEXT NOT NULL, updated_at TEXT NOT NULL, series TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1,
  UNIQUE (series, version)
)"""
_DOCUMENT_INDEXES = (
    "CREATE INDEX IF NOT EXISTS documents_sha ON documents(sha256)",
    "CREATE INDEX IF NOT EXISTS documents_name ON documents(name)",
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents {documents};
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
        self.damage: DamagedError | None = None  # once it has shown
        with self._explained():
            self._connection = sqlite3.connect(
                str(path), timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        with self._explained():
            for pragma in (
                *("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32768"),
                "secure_delete=ON",  # what is deleted is overwritten, not only left to be used again
            ):
                self._connection.execute(f"PRAGMA {pragma}")
        if self.value("SELECT 1 FROM sqlite_master WHERE name = 'leftover'") is None:
            with self.write() as connection:
                for statement in (*_SCHEMA.replace("{documents}", _DOCUMENTS).split(";\n"), *_DOCUMENT_INDEXES):
                    connection.execute(statement)
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (_FORMAT,))
        found = self.meta("format")
        if found in _OLDER:
            self._give_versions()
            found = self.meta("format")
        if found != _FORMAT:
            raise ConflictError(
                T(
                    en=f"This knowledge base has format {found}; this version of Zhilu reads formats up to {_FORMAT}.",
                    zh=f"这个知识库的格式是 {found}；当前版本的指路只能读取 {_FORMAT} 及以下的格式。",
                ),
                fix="pip install --upgrade zhilu",
            )

    def _give_versions(self) -> None:
        """Formats 1 and 2 to 3, in one transaction: every document becomes the first version of its own. Two that bear one
        name stay two, for their folders may have differed, which was not written down."""
        self._connection.execute("PRAGMA foreign_keys=OFF")  # dropping the table would empty those that refer to it
        try:
            with self.write() as connection:
                if self.meta("format") not in _OLDER:
                    return  # another process was faster
                columns = [r["name"] for r in connection.execute("PRAGMA table_info(documents)")]
                old = ", ".join(columns)
                connection.execute(f"CREATE TABLE documents_3 {_DOCUMENTS}")
                connection.execute(
                    f"INSERT INTO documents_3 ({old}, series) SELECT {old}, id FROM documents ORDER BY rowid"
                )
                connection.execute("DROP TABLE documents")
                connection.execute("ALTER TABLE documents_3 RENAME TO documents")
                for statement in _DOCUMENT_INDEXES:
                    connection.execute(statement)
                connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (_FORMAT,))
        finally:
            self._connection.execute("PRAGMA foreign_keys=ON")

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock, self._explained():
            return self._connection.execute(sql, args).fetchall()

    def row(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Row | None:
        with self._lock, self._explained():
            found: sqlite3.Row | None = self._connection.execute(sql, args).fetchone()
            return found

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        row = self.row(sql, args)
        return row[0] if row is not None else None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock of the file; commit at the end, roll back on any error."""
        with self._lock, self._explained():
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
                if self._depth == 1:
                    self._connection.execute("COMMIT")
            except BaseException:
                if self._depth == 1 and self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A full disk, a damaged or a locked file as what it means, with the command that mends it."""
        try:
            yield
        except sqlite3.Error as error:
            problem = storage_error(error, self.path, fix=f"zhilu kb repair {self.path.parent.name}")
            if problem is None:
                raise
            if isinstance(problem, DamagedError):
                self.damage = problem
            raise problem from error

    def scrub(self) -> None:
        """Leave nothing of what was deleted in the files: the word index is written anew without it, and the log of changes
        is written back and emptied. Deleted rows are overwritten at once (``secure_delete``)."""
        with self._lock, self._explained():
            self._connection.execute("INSERT INTO lexical(lexical) VALUES ('optimize')")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def meta(self, key: str) -> str | None:
        found: str | None = self.value("SELECT value FROM meta WHERE key = ?", (key,))
        return found

    def set_meta(self, **values: str) -> None:
        with self.write() as connection:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def close(self) -> None:
        with self._lock:
            self._connection.close()
