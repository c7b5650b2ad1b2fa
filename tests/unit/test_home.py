from __future__ import annotations

import errno
import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zhilu.errors import BusyError, DamagedError, InputError, StorageError
from zhilu.home import Home, atomic_write, file_lock, folder_bytes, storage_error


def test_the_home_is_private(own_home: Path) -> None:
    home = Home(own_home).ensure()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert home.kbs.is_dir() and home.evidence.is_dir()


def test_a_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        Home(blocked / "inside").ensure()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "state.json"
    atomic_write(target, "old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        atomic_write(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def _hold(path: Path, held: object, release: object) -> None:
    with file_lock(path):
        held.set()  # type: ignore[attr-defined]
        release.wait(20)  # type: ignore[attr-defined]


def test_a_lock_excludes_other_processes_and_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    spawn = multiprocessing.get_context("spawn")
    held, release = spawn.Event(), spawn.Event()
    process = spawn.Process(target=_hold, args=(path, held, release))
    process.start()
    assert held.wait(20)
    with file_lock(path, blocking=False) as mine:
        assert not mine
    process.kill()
    process.join(20)
    with file_lock(path, blocking=False) as mine:
        assert mine


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o750, 0o701])
def test_a_home_that_was_open_to_others_is_closed(own_home: Path, mode: int) -> None:
    own_home.mkdir()
    own_home.chmod(mode)
    Home(own_home).ensure()
    assert stat.S_IMODE(own_home.stat().st_mode) == 0o700


def test_a_home_of_somebody_else_that_others_can_read_is_refused(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_home.mkdir(mode=0o755)
    own_home.chmod(0o755)

    def not_yours(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", not_yours)
    with pytest.raises(InputError, match="open to other users") as caught:
        Home(own_home).ensure()
    assert caught.value.code == "home_not_private" and "chown" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), StorageError, "disk_full"),
        (OSError(errno.EROFS, "Read-only file system"), StorageError, "read_only"),
        (OSError(errno.EIO, "Input/output error"), StorageError, "disk_failed"),
        (sqlite3.OperationalError("database or disk is full"), StorageError, "disk_full"),
        (sqlite3.OperationalError("attempt to write a readonly database"), StorageError, "read_only"),
        (sqlite3.OperationalError("database is locked"), BusyError, "database_locked"),
        (sqlite3.DatabaseError("file is not a database"), DamagedError, "damaged"),
        (sqlite3.DatabaseError("database disk image is malformed"), DamagedError, "damaged"),
    ],
)
def test_what_the_disk_says_is_one_clear_error(error: Exception, kind: type[Exception], code: str) -> None:
    said = storage_error(error, "/data/kb.db", fix="zhilu kb repair x")
    assert isinstance(said, kind) and said.code == code
    assert ("/x" if getattr(error, "filename", None) else "/data/kb.db") in said.message.en
    assert said.fix


def test_other_errors_are_not_the_disk_s() -> None:
    for error in (ValueError("x"), FileNotFoundError(2, "gone"), sqlite3.IntegrityError("UNIQUE constraint failed")):
        assert storage_error(error) is None


def test_a_folder_is_counted_while_another_process_makes_and_removes_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"x" * 1000)
    (tmp_path / "kept" / "link").symlink_to("file")
    busy = (
        "import os, pathlib, shutil\n"
        "while os.getppid() > 1:\n"
        "    place = pathlib.Path('coming/going'); place.mkdir(parents=True); (place / 'f').write_bytes(b'y' * 10)\n"
        "    shutil.rmtree('coming')\n"
    )
    other = subprocess.Popen([sys.executable, "-c", busy], cwd=tmp_path)
    try:
        assert {folder_bytes(tmp_path) for _ in range(3000)} <= {1000, 1010}
    finally:
        other.kill()
        other.wait()
    assert folder_bytes(tmp_path / "nowhere") == 0
