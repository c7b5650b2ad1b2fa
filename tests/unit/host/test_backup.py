"""A home into one file and back: consistent while others write, whole or not at all, of every version of the schema."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

import zhilu.migrations
from zhilu.apps.chat.tables import ConversationRow
from zhilu.context import Context, open_context
from zhilu.database import Database
from zhilu.errors import ConflictError, InputError, NotFoundError, StorageError
from zhilu.home import Home
from zhilu.host.backup import back_up, restore
from zhilu.migrations import Tables, installed
from zhilu.settings import store_setting
from zhilu.tables import JobRow


@pytest.fixture
def filled(own_home: Path) -> Iterator[Context]:
    context = open_context()
    store_setting(context.home, "api_key", "k" * 20)
    with context.database.session() as session:
        session.add(ConversationRow(id="c", title="kept"))
    folder = context.home.kbs / "0123456789ab"
    (folder / "files" / "d1").mkdir(parents=True)
    (folder / "files" / "d1" / "original").write_bytes(b"the original")
    connection = sqlite3.connect(folder / "kb.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES ('in the log')")
    connection.commit()  # the row is in the -wal file alone while this stays open
    (context.home.models / "m").mkdir()
    (context.home.models / "m" / "weights").write_bytes(b"w" * 1000)
    (context.home.engines / "vllm").mkdir()
    (context.home.engines / "vllm" / "big").write_bytes(b"x")
    (context.home.cache / "again").write_bytes(b"x")
    (context.home.engines / "served.json").write_text("{}")
    yield context
    connection.close()
    context.close()


def names(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return set(archive.getnames())


def test_there_and_back(filled: Context, tmp_path: Path) -> None:
    path, backup = back_up(filled, tmp_path / "b.tar")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and backup.schema == {
        t.version_table: t.head for t in installed()
    }
    assert names(path) == {
        "manifest.json", "home/zhilu.db", "home/settings.toml", "home/engines/served.json",
        "home/kbs/0123456789ab/kb.db", "home/kbs/0123456789ab/files/d1/original",
    }  # fmt: skip
    home = Home(tmp_path / "elsewhere").ensure()
    made, aside = restore(home, path)
    assert aside is None and made.version == zhilu.__version__
    other = open_context({"home": str(home.path)})
    assert other.settings.api_key == "k" * 20
    with other.database.reading() as session:
        assert session.execute(text("SELECT title FROM conversations")).scalar() == "kept"
    other.close()
    with sqlite3.connect(home.kbs / "0123456789ab" / "kb.db") as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [("in the log",)]
    connection.close()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert (home.kbs / "0123456789ab" / "files" / "d1" / "original").read_bytes() == b"the original"


def test_models_are_optional_and_kept_where_the_backup_has_none(filled: Context, tmp_path: Path) -> None:
    small, _ = back_up(filled, tmp_path / "small.tar")
    large, _ = back_up(filled, tmp_path / "large.tar", models=True)
    assert "home/models/m/weights" in names(large) - names(small)
    filled.close()
    _, aside = restore(filled.home, small, replace=True)
    assert aside is not None and (aside / "zhilu.db").exists()
    assert (filled.home.models / "m" / "weights").read_bytes() == b"w" * 1000
    assert (filled.home.engines / "vllm" / "big").exists()


def test_a_backup_during_writes_is_one_state(filled: Context, tmp_path: Path) -> None:
    """Two rows are always written together; a snapshot that holds one of them alone would be torn."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            with filled.database.session() as session:
                session.add(ConversationRow(id=f"a{number}"))
                session.flush()
                session.add(JobRow(id=f"a{number}", kind="k", title={}, status="done", params={}))
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(3):
            path, _ = back_up(filled, tmp_path / f"{number}.tar")
            home = Home(tmp_path / f"home{number}").ensure()
            restore(home, path)
            with closing(sqlite3.connect(home.database)) as connection:
                count = connection.execute(
                    "SELECT (SELECT COUNT(*) FROM conversations WHERE id LIKE 'a%'), (SELECT COUNT(*) FROM jobs)"
                ).fetchone()
                assert count[0] == count[1]
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            connection.close()
    finally:
        stop.set()
        thread.join()


def schemas() -> list[tuple[str, str]]:
    """(tables, migration): every state of the schema that there ever was."""
    return [(t.name, path.name[:4]) for t in installed() for path in sorted(t.versions.glob("[0-9]*.py"))]


def upgrade_to(database: Database, tables: Tables, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(zhilu.migrations.__file__).parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(tables.versions))
    with database.engine.begin() as connection:
        config.attributes.update(connection=connection, tables=tables)
        command.upgrade(config, revision)


@pytest.mark.parametrize(("name", "revision"), schemas())
def test_a_backup_of_every_schema_that_there_was_is_restored_and_migrated(
    name: str, revision: str, tmp_path: Path
) -> None:
    old = open_context({"home": str(tmp_path / "old")})
    database = Database.at(old.home.database)
    for tables in installed():
        upgrade_to(database, tables, revision if tables.name == name else "head")
        if tables.name == name:
            break
    database.close()
    path, backup = back_up(old, tmp_path / "b.tar")
    assert revision in backup.schema.values()
    old.close()
    restore(Home(tmp_path / "new").ensure(), path)
    new = open_context({"home": str(tmp_path / "new")})
    with new.database.session() as session:
        for tables in installed():
            found = session.execute(text(f"SELECT version_num FROM {tables.version_table}")).scalar()
            assert found == tables.head
        session.add(ConversationRow(id="c"))
    new.close()


def rewritten(
    path: Path, target: Path, change: dict[str, bytes | None], manifest: dict[str, object] | None = None
) -> Path:
    with tarfile.open(path) as old, tarfile.open(target, "w") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            data: bytes | None = change.get(member.name, stream.read())
            if member.name == "manifest.json" and manifest is not None:
                data = json.dumps({**json.loads(data or b""), **manifest}).encode()
            if data is not None:
                info = tarfile.TarInfo(member.name)
                info.size = len(data)
                new.addfile(info, io.BytesIO(data))
        for name in change.keys() - {m.name for m in old}:
            info = tarfile.TarInfo(name)
            info.size = len(change[name] or b"")
            new.addfile(info, io.BytesIO(change[name] or b""))
    return target


@pytest.mark.parametrize(
    ("change", "manifest", "kind"),
    [
        ({"home/settings.toml": b"changed"}, None, InputError),
        ({"home/settings.toml": None}, None, InputError),
        ({"home/../../evil": b"x"}, None, InputError),
        ({"/etc/evil": b"x"}, None, InputError),
        ({"elsewhere/evil": b"x"}, None, InputError),
        ({"manifest.json": None}, None, InputError),
        ({"home/extra": b"x"}, None, InputError),
        ({}, {"schema": {"alembic_version": "9999"}}, ConflictError),
        ({}, {"format": 9}, ConflictError),
        ({}, {"unknown": 1}, InputError),
    ],
)
def test_what_is_no_whole_backup_changes_nothing(
    filled: Context,
    tmp_path: Path,
    change: dict[str, bytes | None],
    manifest: dict[str, object] | None,
    kind: type[Exception],
) -> None:
    path, _ = back_up(filled, tmp_path / "b.tar")
    bad = rewritten(path, tmp_path / "bad.tar", change, manifest)
    home = Home(tmp_path / "home" / "z").ensure()
    (home.kbs / "mine").mkdir()
    with pytest.raises(kind):
        restore(home, bad, replace=True)
    assert (home.kbs / "mine").is_dir() and [p.name for p in (tmp_path / "home").iterdir()] == ["z"]
    assert not (tmp_path / "evil").exists() and not Path("/etc/evil").exists()


def test_half_a_file_is_refused(filled: Context, tmp_path: Path) -> None:
    path, _ = back_up(filled, tmp_path / "b.tar")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match="no whole backup"):
        restore(Home(tmp_path / "new").ensure(), path)
    with pytest.raises(NotFoundError):
        restore(Home(tmp_path / "new").ensure(), tmp_path / "nothing.tar")


def test_a_home_in_use_is_not_replaced_without_a_word(filled: Context, tmp_path: Path) -> None:
    path, _ = back_up(filled, tmp_path / "b.tar")
    with pytest.raises(ConflictError, match="--replace"):
        restore(filled.home, path)


def test_a_full_disk_leaves_no_half_backup(filled: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zhilu.host.backup._copy", full)
    with pytest.raises(StorageError, match="disk is full"):
        back_up(filled, tmp_path / "b.tar")
    assert list(tmp_path.glob("*.tar*")) == [] and list(tmp_path.glob(".*.tmp")) == []


def test_a_backup_does_not_go_into_the_home(filled: Context) -> None:
    with pytest.raises(InputError, match="inside the data home"):
        back_up(filled, filled.home.path / "b.tar")
