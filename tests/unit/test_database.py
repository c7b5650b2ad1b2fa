from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from zhilu.context import open_context
from zhilu.database import Base, ConversationRow, Database, JobEventRow, JobRow
from zhilu.errors import ConflictError


def test_migrations_make_exactly_the_tables_of_the_code() -> None:
    context = open_context()
    with context.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    context.close()


def test_several_processes_may_open_a_new_home_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def migrate() -> None:
        database = Database.at(tmp_path / "zhilu.db")
        try:
            database.migrate()
        except BaseException as error:
            errors.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "zhilu.db")
    database.migrate()
    with database.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConflictError, match="newer"):
        database.migrate()
    database.close()


def test_a_failing_block_writes_nothing_and_children_go_with_their_parent(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "zhilu.db")
    database.migrate()
    with pytest.raises(RuntimeError), database.session() as session:
        session.add(ConversationRow(id="a"))
        session.flush()
        raise RuntimeError
    with database.session() as session:
        assert session.scalars(select(ConversationRow)).all() == []
        session.add(JobRow(id="j", kind="k", title={}, status="queued", params={}))
        session.flush()
        session.add(JobEventRow(job_id="j", type="log", data={}))
    with database.session() as session:
        session.execute(text("DELETE FROM jobs"))
    with database.reading() as session:
        assert session.scalars(select(JobEventRow)).all() == []
    database.close()


def test_reading_waits_for_no_writer(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "zhilu.db")
    database.migrate()
    with database.session() as writing:
        writing.add(ConversationRow(id="a"))
        writing.flush()
        with database.reading() as reading:
            assert reading.scalars(select(ConversationRow)).all() == []
    with database.reading() as reading:
        row = reading.scalars(select(ConversationRow)).one()
        assert row.created_at.tzinfo is not None
    database.close()
