"""The state database: SQLAlchemy 2 on SQLite (WAL) by default, on PostgreSQL with ``ZHILU_DATABASE_URL``.

``tables.py`` defines the tables of the ground floor, an application its own ones in its folder. Only Alembic migrations
(``zhilu/migrations``) create and change the schema. Knowledge bases are not here: each is a file of its own under ``kbs/``.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from zhilu.home import storage_error
from zhilu.migrations import installed, upgrade
from zhilu.tables import now

__all__ = ["Database", "repair", "salvage"]

PATIENCE = 30.0  # seconds that a writer waits for another


class Database:
    """Connections to one state database, migrated to the newest schema when first opened.

    Safe to share between threads; a session is not. Other processes may write at the same time (WAL, 30 s patience).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _connect(url)
        self._closed = False
        event.listen(self.engine, "checkin", self._close_returned)
        self._session = sessionmaker(self.engine, expire_on_commit=False)

    @classmethod
    def at(cls, path: Path) -> Database:
        return cls(f"sqlite:///{path}")

    def migrate(self) -> None:
        """Bring the schema up to date; instant when it already is, safe when several processes start at once."""
        with self._explained():
            upgrade(self.engine)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that commits when the block ends well and rolls back when it raises."""
        with self._explained(), self._session.begin() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads: it sees one snapshot and waits for no writer."""
        with self._explained(), self._session(bind=self.engine.execution_options(zhilu_reading=True)) as session:
            yield session

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A full disk, a damaged or a locked file as what it means, with the command that mends it."""
        try:
            yield
        except (DBAPIError, OSError, sqlite3.Error) as error:
            problem = storage_error(error, self.engine.url.database, fix="zhilu repair")
            if problem is None:
                raise
            raise problem from error

    def scrub(self) -> None:
        """Leave nothing of what was deleted in the log of changes: it is written back and emptied. Deleted rows are overwritten at
        once (``secure_delete``). While somebody reads, the log stays as it is: it is emptied the next time."""
        if self.engine.dialect.name != "sqlite":
            return
        with self._explained():
            connection = self.engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def close(self) -> None:
        """Close what is not in use now, and what another thread still uses as soon as it gives it back."""
        self._closed = True
        self.engine.dispose()

    def _close_returned(self, _connection: Any, record: ConnectionPoolEntry) -> None:
        if self._closed:
            record.close()


def _connect(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": PATIENCE, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        # pysqlite's own transaction handling would start a read transaction that a later write cannot always upgrade
        # (SQLITE_BUSY at once, whatever the timeout): we issue BEGIN IMMEDIATE ourselves below.
        connection.isolation_level = None
        cursor = connection.cursor()
        # secure_delete: what is deleted is overwritten, not only left to be used again
        pragmas = (f"busy_timeout={PATIENCE * 1000:.0f}", "foreign_keys=ON", "synchronous=NORMAL", "secure_delete=ON")
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        _use_wal(cursor)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("zhilu_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _use_wal(cursor: Any) -> None:
    """Switch a new file to WAL. While another process does the same, SQLite answers "locked" at once, whatever the
    busy timeout says (the switch needs the file for itself): so we ask again for a while."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:  # noqa: PERF203 - asking again is the point
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def salvage(path: Path, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table in a damaged file that can still be read, each once: from the front as far as it goes, then from
    the end. Nothing where the file, or the table, cannot be read at all."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        try:
            connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        except sqlite3.Error:
            return
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            key = "rowid" if _has_rowid(connection, table) else "1"
            # the table's own name comes from our code, never from the file
            for row in connection.execute(f"SELECT {key} AS _row, * FROM {table} ORDER BY 1 {order}"):
                values = dict(row)
                number = values.pop("_row")
                if key == "1" or number not in seen:
                    seen.add(number)
                    yield values
            return
        except (sqlite3.Error, MemoryError, OverflowError):
            continue
        finally:
            connection.close()


def _has_rowid(connection: sqlite3.Connection, table: str) -> bool:
    try:
        connection.execute(f"SELECT rowid FROM {table} LIMIT 0")
    except sqlite3.OperationalError:
        return False
    return True


def repair(path: Path) -> tuple[Path, dict[str, int]]:
    """Make a whole state database of what can be read of a damaged one: ``(where the old one is, rows by table)``.

    Nothing may have it open. The old file stays beside it: who misses something can have it looked at.
    """
    draft = path.with_name(f".{path.name}.repairing")
    for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
        leftover.unlink(missing_ok=True)
    fresh = Database.at(draft)
    kept: dict[str, int] = {}
    try:
        fresh.migrate()
        for tables in installed():
            for table in tables.metadata.sorted_tables:  # parents before children
                kept[table.name] = _copy(path, fresh, table)
    finally:
        fresh.close()  # the last connection writes the log back into the file
    aside = path.with_name(f"{path.name}.damaged-{now():%Y%m%d-%H%M%S}")
    for ending in ("", "-wal", "-shm"):
        if Path(f"{path}{ending}").exists():
            os.replace(f"{path}{ending}", f"{aside}{ending}")
    os.replace(draft, path)
    return aside, kept


def _copy(path: Path, fresh: Database, table: Any) -> int:
    """Rows one by one: one that no longer fits (its parent is lost, a value is garbage) takes no other with it."""
    names = [column.name for column in table.columns]
    marks = ", ".join("?" for _ in names)
    insert = f"INSERT OR IGNORE INTO {table.name} ({', '.join(names)}) VALUES ({marks})"
    kept = 0
    with fresh.engine.begin() as connection:
        for row in salvage(path, table.name):
            if set(names) <= set(row):
                try:
                    kept += connection.exec_driver_sql(insert, tuple(row[name] for name in names)).rowcount
                except DBAPIError:
                    continue
    return kept
