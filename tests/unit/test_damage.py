"""The state database, damaged in every way: one clear message, a repair that keeps what can be read, and a start that works."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from zhilu import database as state
from zhilu.apps.chat.tables import ConversationRow
from zhilu.context import open_context
from zhilu.database import repair
from zhilu.errors import BusyError, ConflictError, DamagedError, StorageError
from zhilu.tables import JobRow


@pytest.fixture
def filled(own_home: Path) -> Path:
    context = open_context()
    with context.database.session() as session:
        for number in range(3000):  # most of the file, whatever other tables there are
            session.add(ConversationRow(id=f"c{number}", title=f"conversation {number} " + "x" * 300))
        session.add(JobRow(id="j", kind="check", title={"en": "t", "zh": "t"}, status="done", params={}))
    context.close()
    return own_home / "zhilu.db"


def overwrite(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def overwrite_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"not a database at all")


@pytest.mark.parametrize("damage", [overwrite, overwrite_middle, truncate, header], ids=lambda d: d.__name__)
def test_damage_is_one_clear_error_and_repair_brings_back_what_can_be_read(
    filled: Path, damage: Callable[[Path], None]
) -> None:
    damage(filled)
    context = open_context()
    with pytest.raises(DamagedError, match=r"zhilu\.db.*is damaged") as caught, context.database.reading() as session:
        session.execute(text("SELECT * FROM conversations")).fetchall()
    assert caught.value.fix == "zhilu repair"
    context.close()
    aside, kept = repair(filled)
    assert aside.exists() and aside.name.startswith("zhilu.db.damaged-")
    context = open_context()
    with context.database.session() as session:
        assert session.execute(text("SELECT COUNT(*) FROM conversations")).scalar() == kept["conversations"]
        session.add(ConversationRow(id="new"))
    context.close()
    if damage is overwrite_middle:  # both ends could be read
        assert kept["conversations"] > 1000 and kept["jobs"] == 1


@pytest.mark.parametrize("damage", [overwrite, truncate, header], ids=lambda d: d.__name__)
def test_the_command_line_says_it_once_and_repairs_it(filled: Path, damage: Callable[[Path], None]) -> None:
    damage(filled)

    def zhilu(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "zhilu", *args], capture_output=True, text=True, check=False)

    said = zhilu("jobs", "list")
    assert said.returncode == 1 and "is damaged" in said.stderr and "zhilu repair" in said.stderr
    assert "Traceback" not in said.stderr
    started = zhilu("up", "--port", "0")
    assert started.returncode == 1 and "is damaged" in started.stderr and "Traceback" not in started.stderr
    mended = zhilu("repair")
    assert mended.returncode == 0, mended.stderr
    assert zhilu("jobs", "list").returncode == 0


def test_a_deleted_database_is_made_anew(filled: Path) -> None:
    filled.unlink()
    context = open_context()
    with context.database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM conversations")).scalar() == 0
    context.close()


def test_an_empty_file_is_a_new_database(filled: Path) -> None:
    filled.write_bytes(b"")
    context = open_context()
    with context.database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM jobs")).scalar() == 0
    context.close()


def test_a_newer_schema_is_one_clear_error(filled: Path) -> None:
    with sqlite3.connect(filled) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    context = open_context()
    with pytest.raises(ConflictError, match="newer"):
        _ = context.database
    context.close()


def test_a_lock_of_another_program_is_waited_for_and_then_said(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "PATIENCE", 0.05)
    other = sqlite3.connect(filled, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    context = open_context()
    try:
        with pytest.raises(BusyError, match="in use by another program"):
            _ = context.database
    finally:
        other.close()
    assert context.database  # the next try works
    context.close()


def test_a_full_disk_is_said_and_nothing_is_half_written(filled: Path) -> None:
    context = open_context()
    with context.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # of this connection, which the pool hands out again
    with pytest.raises(StorageError, match="disk is full") as caught, context.database.session() as session:
        for number in range(400):
            session.add(ConversationRow(id=f"n{number}", title="y" * 3000))
    assert caught.value.code == "disk_full"
    context.close()
    context = open_context()
    with context.database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM conversations")).scalar() == 3000
    context.close()
