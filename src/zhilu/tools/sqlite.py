"""A person's SQLite file, opened so that a query which a model wrote can only read it.

Held by SQLite itself, not by looking at the text: ``mode=ro``, ``query_only``, no trust in what the file's own schema calls, and an
authorizer that refuses all but reading, so that neither ``ATTACH`` nor a function that loads code gets by.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

__all__ = ["connect_read_only", "limit_seconds", "only_reading", "only_rows"]

_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_NEVER = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA})
# Load code, reach files, or fill the memory in one call.
_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "randomblob", "zeroblob"})
_STEPS = 10_000  # virtual machine instructions between two looks at the clock


def connect_read_only(path: Path) -> sqlite3.Connection:
    """For the caller to close. Nothing can be written through it, whatever is asked.

    Raises:
        sqlite3.OperationalError: the file cannot be opened. That it is no database shows with the first query.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def limit_seconds(connection: sqlite3.Connection, seconds: float) -> None:
    """From now on: what runs longer ends with an ``OperationalError`` "interrupted"."""
    ends = time.monotonic() + seconds
    connection.set_progress_handler(lambda: int(time.monotonic() > ends), _STEPS)


def only_reading(action: int, first: str | None, second: str | None, *_: Any) -> int:
    """For ``set_authorizer``: reading tables and calling harmless functions."""
    if action == sqlite3.SQLITE_FUNCTION:
        return _function(second)
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def only_rows(action: int, first: str | None, second: str | None, *_: Any) -> int:
    """For ``set_authorizer``: changing this file too, and no other."""
    if action == sqlite3.SQLITE_FUNCTION:
        return _function(second)
    return sqlite3.SQLITE_DENY if action in _NEVER else sqlite3.SQLITE_OK


def _function(name: str | None) -> int:
    return sqlite3.SQLITE_DENY if (name or "").lower() in _FUNCTIONS else sqlite3.SQLITE_OK
