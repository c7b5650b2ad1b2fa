from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

from zhilu import migrations
from zhilu.apps.chat.tables import TABLES, ConversationRow
from zhilu.context import open_context
from zhilu.database import Database
from zhilu.errors import ConflictError
from zhilu.tables import JobEventRow, JobRow


def test_migrations_make_exactly_the_tables_of_the_code() -> None:
    context = open_context()
    with context.database.engine.connect() as connection:
        opts = {"include_name": lambda name, kind, parents: kind != "table" or not name.startswith("alembic_version")}
        there = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(there, [t.metadata for t in migrations.installed()]) == []
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


def tables_of(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_an_application_that_is_taken_away_leaves_its_rows_and_is_missed_by_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(migrations, "entry_points", lambda group: [])
        database = Database.at(tmp_path / "zhilu.db")
        database.migrate()
        assert tables_of(database) == {"alembic_version", "jobs", "job_events"}
    database.migrate()  # it is put back
    with database.session() as session:
        session.add(ConversationRow(id="a"))
    with monkeypatch.context() as without:
        without.setattr(migrations, "entry_points", lambda group: [])
        database.migrate()
    with database.reading() as session:
        assert session.scalars(select(ConversationRow.id)).all() == ["a"]
    database.close()


def test_conversations_of_a_database_from_before_the_move_stay(tmp_path: Path) -> None:
    """Version 0.1's first migration made these tables, too; there is no version table for them then."""
    database = Database.at(tmp_path / "zhilu.db")
    database.migrate()
    with database.session() as session:
        session.add(ConversationRow(id="a", title="old"))
        session.execute(text(f"DROP TABLE {TABLES.version_table}"))
    database.migrate()
    with database.reading() as session:
        assert session.scalars(select(ConversationRow.title)).all() == ["old"]
    assert TABLES.version_table in tables_of(database)
    database.close()


def test_an_application_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    database = Database.at(tmp_path / "zhilu.db")
    database.migrate()
    with database.session() as session:
        session.execute(text(f"UPDATE {TABLES.version_table} SET version_num = '9999'"))
    with pytest.raises(ConflictError, match="'9999' of 'chat'"):
        database.migrate()
    database.close()


def test_nothing_stays_open_behind_a_closed_database(tmp_path: Path) -> None:
    """A job's worker may end while its context is being closed; what looks after it then has a connection in use."""
    database = Database.at(tmp_path / "zhilu.db")
    database.migrate()
    with database.session() as session:
        used = session.connection().connection.dbapi_connection
        assert used is not None
        database.close()
        session.execute(text("SELECT 1"))
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        used.execute("SELECT 1")


def test_a_closed_context_opens_no_database() -> None:
    context = open_context()
    assert context.database
    context.close()
    with pytest.raises(RuntimeError, match="closed"):
        _ = context.database
    context.close()
