"""The state database: SQLAlchemy 2 on SQLite (WAL) by default, PostgreSQL by ``ZHILU_DATABASE_URL``.

Tables of the ground floor live here, an application's in its own folder (``zhilu.tables``); the schema is made and changed
by Alembic migrations only (``zhilu/migrations``).
Knowledge bases are not here: each is one file of its own under ``kbs/``.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, DateTime, Float, ForeignKey, Index, Integer, String, Text, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.types import TypeDecorator

__all__ = ["Base", "Database", "JobEventRow", "JobRow", "Utc", "now"]


def now() -> datetime:
    return datetime.now(timezone.utc)


class Utc(TypeDecorator[datetime]):
    """A UTC time. SQLite drops the zone when it stores one; this puts it back when reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value if value.tzinfo else value.replace(tzinfo=timezone.utc)


class Base(DeclarativeBase):
    """Base of the ground floor's tables in ``zhilu.db``."""


class JobRow(Base):
    """One piece of long work. ``pid`` with ``pid_started`` names a process even after its number is used again."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[dict[str, str]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16), index=True)
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    stage: Mapped[dict[str, str] | None] = mapped_column(JSON, nullable=True)
    detail: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON, nullable=True)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    pid: Mapped[int | None] = mapped_column(Integer, nullable=True)
    pid_started: Mapped[float | None] = mapped_column(Float, nullable=True)
    heartbeat_at: Mapped[datetime | None] = mapped_column(Utc, nullable=True)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)
    started_at: Mapped[datetime | None] = mapped_column(Utc, nullable=True)
    finished_at: Mapped[datetime | None] = mapped_column(Utc, nullable=True)


class JobEventRow(Base):
    """What happened to a job, in order; ``id`` is the cursor of an event stream."""

    __tablename__ = "job_events"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(Utc, default=now)
    type: Mapped[str] = mapped_column(String(16))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    __table_args__ = (Index("ix_job_events_job", "job_id", "id"), {"sqlite_autoincrement": True})


class Database:
    """Connections to one state database, migrated to the newest schema when first opened.

    Safe to share between threads; a session is not. Other processes may write at the same time (WAL, 30 s patience).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _connect(url)
        self._session = sessionmaker(self.engine, expire_on_commit=False)

    @classmethod
    def at(cls, path: Path) -> Database:
        return cls(f"sqlite:///{path}")

    def migrate(self) -> None:
        """Bring the schema up to date; instant when it already is, safe when several processes start at once."""
        from zhilu.migrations import upgrade

        upgrade(self)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that commits when the block ends well and rolls back when it raises."""
        with self._session.begin() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads: it sees one snapshot and waits for no writer."""
        with self._session(bind=self.engine.execution_options(zhilu_reading=True)) as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()


def _connect(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        # pysqlite's own transaction handling would start a read transaction that a later write cannot always upgrade
        # (SQLITE_BUSY at once, whatever the timeout): we issue BEGIN IMMEDIATE ourselves below.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "synchronous=NORMAL"):
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
    deadline = time.monotonic() + 30
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:  # noqa: PERF203 - asking again is the point
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
