from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest

from zhilu.errors import InputError
from zhilu.home import Home, atomic_write, file_lock


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
