"""A SQLite connection that nobody closes fails the test in which it is found, on every Python, and says who opened it.

Python 3.13 warns of such connections, older ones do not; and its warning comes when the garbage is collected, often in the
middle of another test, and names nobody.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["WatchedConnection", "watch_connections"]

OURS = tuple(str(Path(__file__).parents[1] / name) + os.sep for name in ("src", "tests"))


def watch_connections(patch: pytest.MonkeyPatch) -> None:
    """From now on, what our code and SQLAlchemy's open on its behalf is watched."""
    connect = sqlite3.connect
    for module in (sqlite3, sqlite3.dbapi2):  # type: ignore[attr-defined]
        patch.setattr(module, "connect", _watched(connect))


def _watched(connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    def open_watched(*args: Any, **options: Any) -> sqlite3.Connection:
        if "factory" not in options and (place := _opener()) is not None:
            connection = connect(*args, factory=WatchedConnection, **options)
            connection.opened = f"{args[0]!r}, opened by {place} in {os.environ.get('PYTEST_CURRENT_TEST', 'no test')}"  # type: ignore[attr-defined]
            return connection
        return connect(*args, **options)

    return open_watched


def _opener() -> str | None:
    """The nearest line of ours on the stack; None where only others are on it."""
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(OURS) and path != __file__:
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None


class WatchedConnection(sqlite3.Connection):
    """Warns when it goes away open; ``filterwarnings = error`` makes that the failure of a test."""

    opened = ""  # as long as it is open: what it is, and who opened it

    def close(self) -> None:
        super().close()
        self.opened = ""

    def __del__(self) -> None:
        if self.opened:
            warnings.warn(f"nobody closed the connection to {self.opened}", ResourceWarning, stacklevel=1)
