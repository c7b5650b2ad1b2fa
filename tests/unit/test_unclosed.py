"""The guard of ``tests/unclosed.py`` sees what nobody closes, opened by us or by SQLAlchemy for us, and nothing else."""

from __future__ import annotations

import gc
import sqlite3
import warnings
from pathlib import Path

from tests.unclosed import WatchedConnection

from zhilu.database import Database


def left_open(path: Path) -> None:
    sqlite3.connect(path)


def told_of(leave: object, path: Path) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        leave(path)  # type: ignore[operator]
        gc.collect()
    return [str(one.message) for one in told if "nobody closed" in str(one.message)]


def test_who_opened_it_is_named(tmp_path: Path) -> None:
    (said,) = told_of(left_open, tmp_path / "a.db")
    line = left_open.__code__.co_firstlineno + 1
    assert "a.db" in said and f"test_unclosed.py:{line} " in said and "test_who_opened_it_is_named" in said


def test_what_sqlalchemy_opens_for_us_is_watched(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "b.db")
    lent = database.engine.raw_connection()
    connection = lent.driver_connection
    assert isinstance(connection, WatchedConnection) and "test_unclosed.py" in connection.opened
    lent.close()
    database.close()
    assert not connection.opened


def test_what_was_closed_is_fine(tmp_path: Path) -> None:
    def closed(path: Path) -> None:
        sqlite3.connect(path).close()
        database = Database.at(path)
        database.migrate()
        database.close()

    assert told_of(closed, tmp_path / "c.db") == []
