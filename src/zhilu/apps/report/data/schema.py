"""What stands in a database: tables, columns, their kinds and the values that a question may name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tools.sqlite import connect_read_only

__all__ = ["DatabaseColumn", "DatabaseSchema", "DatabaseTable", "open_read_only", "quoted", "read_schema"]

MAX_LISTED = 30  # different values of a text column that are kept; more are given as examples only
_NUMBER = ("INT", "REAL", "NUM", "DEC", "FLOA", "DOUB")


class DatabaseColumn(BaseModel):
    """``values``: all of them where there are at most ``MAX_LISTED``, else a few; ``is_closed`` tells which."""

    name: str
    kind: Literal["number", "text", "date"]
    values: list[str] = []
    is_closed: bool = False


class DatabaseTable(BaseModel):
    name: str
    num_rows: int
    columns: list[DatabaseColumn]

    def column(self, name: str) -> DatabaseColumn | None:
        return next((c for c in self.columns if c.name.lower() == name.lower()), None)


class DatabaseSchema(BaseModel):
    tables: list[DatabaseTable]

    def table(self, name: str) -> DatabaseTable | None:
        return next((t for t in self.tables if t.name.lower() == name.lower()), None)


def quoted(name: str) -> str:
    """A name as SQLite takes any: letters of all scripts, spaces, quotation marks."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """The file opened so that nothing can be written, whatever is asked of it.

    Raises:
        InputError: it is no SQLite database.
    """
    database = connect_read_only(path)
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield database
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise InputError(
                T(f"{path.name!r} is not an SQLite database: {error}.", f"{path.name!r} 不是 SQLite 数据库：{error}。"),
                param="file",
                fix="zhilu report add FILE.csv",
            ) from error
        raise
    finally:
        database.close()


def read_schema(path: Path) -> DatabaseSchema:
    """Look at the tables and views of a database and at what stands in their columns."""
    with open_read_only(path) as database:
        names = database.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        ).fetchall()
        return DatabaseSchema(tables=[_table(database, str(name)) for (name,) in names])


def _table(database: sqlite3.Connection, name: str) -> DatabaseTable:
    num_rows = int(database.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0])
    columns = [
        _column(database, name, str(column), str(declared or ""))
        for _, column, declared, *_ in database.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    ]
    return DatabaseTable(name=name, num_rows=num_rows, columns=columns)


def _column(database: sqlite3.Connection, table: str, name: str, declared: str) -> DatabaseColumn:
    column, source = quoted(name), quoted(table)
    found = database.execute(
        f"SELECT DISTINCT {column} FROM {source} WHERE {column} IS NOT NULL LIMIT {MAX_LISTED + 1}"
    ).fetchall()
    values = [value for (value,) in found]
    if declared.upper().startswith(("DATE", "TIME")):
        first, last = database.execute(f"SELECT min({column}), max({column}) FROM {source}").fetchone()
        return DatabaseColumn(name=name, kind="date", values=[str(v) for v in (first, last) if v is not None])
    if any(mark in declared.upper() for mark in _NUMBER) or (
        values and all(isinstance(value, (int, float)) for value in values)
    ):
        return DatabaseColumn(name=name, kind="number")
    closed = len(values) <= MAX_LISTED
    kept = values if closed else values[:5]
    return DatabaseColumn(name=name, kind="text", values=[str(v)[:80] for v in kept], is_closed=closed)
