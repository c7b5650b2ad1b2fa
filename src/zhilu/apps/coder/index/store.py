"""The index of one repository: an SQLite file with the text of each file as it was read, its symbols, calls and pieces."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import BaseModel

from zhilu.apps.coder.index.symbols import Outline
from zhilu.apps.coder.index.terms import code_words
from zhilu.apps.coder.index.units import Unit

__all__ = ["COLUMNS", "CodeFile", "CodeSymbol", "CodeUnit", "IndexStore", "symbol_of"]

COLUMNS = "path, name, qualname, kind, start, end, signature, doc"
_TABLES = """
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, mark TEXT NOT NULL, language TEXT NOT NULL, num_lines INTEGER NOT NULL,
  text TEXT NOT NULL, problem TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS symbols (id INTEGER PRIMARY KEY, path TEXT NOT NULL, name TEXT NOT NULL, qualname TEXT NOT NULL,
  kind TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, signature TEXT NOT NULL, doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS symbols_name ON symbols (name COLLATE NOCASE);
CREATE INDEX IF NOT EXISTS symbols_path ON symbols (path);
CREATE TABLE IF NOT EXISTS calls (path TEXT NOT NULL, name TEXT NOT NULL, line INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS calls_name ON calls (name);
CREATE INDEX IF NOT EXISTS calls_path ON calls (path);
CREATE TABLE IF NOT EXISTS units (id INTEGER PRIMARY KEY, path TEXT NOT NULL, symbol TEXT NOT NULL, start INTEGER NOT NULL,
  end INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS units_path ON units (path);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (name, path, body);
"""


class CodeFile(BaseModel):
    """``problem``: why it has no symbols, where it could have."""

    path: str
    language: str
    num_lines: int
    problem: str = ""


class CodeSymbol(BaseModel):
    """A definition; lines count from 1 and include the last."""

    path: str
    name: str
    qualname: str
    kind: str
    start: int
    end: int
    signature: str
    doc: str = ""


class CodeUnit(BaseModel):
    """A piece of a file; ``symbol`` is what it belongs to."""

    path: str
    symbol: str
    start: int
    end: int


class IndexStore:
    """Reads and writes one index. Each method opens the file anew, so that a page and a job can use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            yield connection

    def create(self) -> None:
        with closing(sqlite3.connect(self.path, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_TABLES)

    def marks(self) -> dict[str, str]:
        """Path to what tells whether a file must be read again."""
        with self.open() as db:
            return dict(db.execute("SELECT path, mark FROM files"))

    def put(self, path: str, mark: str, language: str, text: str, outline: Outline, units: Sequence[Unit]) -> None:
        """All of a file, in one transaction, in place of what was known of it."""
        lines = text.split("\n")
        with self.open() as db:
            _forget(db, path)
            row = (path, mark, language, len(lines), text, outline.problem)
            db.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
            db.executemany(
                "INSERT INTO symbols (path, name, qualname, kind, start, end, signature, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(path, s.name, s.qualname, s.kind, s.start, s.end, s.signature, s.doc) for s in outline.symbols],
            )
            db.executemany("INSERT INTO calls VALUES (?, ?, ?)", [(path, c.name, c.line) for c in outline.calls])
            for unit in units:
                place = db.execute(
                    "INSERT INTO units (path, symbol, start, end) VALUES (?, ?, ?, ?)",
                    (path, unit.symbol, unit.start, unit.end),
                )
                body = "\n".join(lines[unit.start - 1 : unit.end])
                words = (code_words(unit.symbol), code_words(path), code_words(body))
                db.execute("INSERT INTO words (rowid, name, path, body) VALUES (?, ?, ?, ?)", (place.lastrowid, *words))

    def forget(self, path: str) -> None:
        with self.open() as db:
            _forget(db, path)

    def text(self, path: str) -> str | None:
        with self.open() as db:
            row = db.execute("SELECT text FROM files WHERE path = ?", (path,)).fetchone()
        return None if row is None else str(row[0])

    def files(self) -> list[CodeFile]:
        with self.open() as db:
            rows = db.execute("SELECT path, language, num_lines, problem FROM files ORDER BY path").fetchall()
        return [CodeFile(path=p, language=lang, num_lines=n, problem=why) for p, lang, n, why in rows]

    def symbols_of(self, path: str) -> list[CodeSymbol]:
        """What a file defines, from its beginning to its end."""
        with self.open() as db:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM symbols WHERE path = ? ORDER BY start, end DESC", (path,)
            ).fetchall()
        return [symbol_of(row) for row in rows]

    def counts(self) -> tuple[int, int, int]:
        """Files, symbols, lines."""
        with self.open() as db:
            files, lines = db.execute("SELECT count(*), coalesce(sum(num_lines), 0) FROM files").fetchone()
            return int(files), int(db.execute("SELECT count(*) FROM symbols").fetchone()[0]), int(lines)


def symbol_of(row: tuple[str, str, str, str, int, int, str, str]) -> CodeSymbol:
    """A row of ``COLUMNS``."""
    return CodeSymbol.model_validate(dict(zip(COLUMNS.split(", "), row, strict=True)))


def _forget(db: sqlite3.Connection, path: str) -> None:
    db.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM units WHERE path = ?)", (path,))
    for name in ("units", "symbols", "calls", "files"):
        db.execute(f"DELETE FROM {name} WHERE path = ?", (path,))
