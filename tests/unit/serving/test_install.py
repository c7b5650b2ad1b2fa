"""The installation of an engine: whole or not at all, goes on after a kill, leaves nothing when cancelled."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from zhilu.context import Context, open_context
from zhilu.errors import CancelledByUser, ConflictError, InputError, NotFoundError, UnsupportedError, UpstreamError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.facts import EngineFacts, InstallPlan, InstallStep
from zhilu.serving.install import job as install
from zhilu.serving.install.environment import NOTE, environment, installed_note
from zhilu.serving.install.job import plan_for, remove_engine, run_install, submit_install

PLAN = InstallPlan("toy 1.0", (), disk_bytes=1000, preload=("lib/*.so",))


def prove(code: str) -> InstallStep:
    return InstallStep("prove", T("Trying it", "试运行"), ("-c", code))


def facts(plan: InstallPlan | None, **more: Any) -> EngineFacts:
    about = {"title": T("toy", "玩具"), "description": T("toy", "玩具"), "source": "x", "checked": "2026-11-24"}
    return EngineFacts(name="toy", **{"status": "alive", "can": frozenset(), **about, **more}, install=plan)


@dataclass
class Job:
    """What a worker gives to ``run``, without the worker."""

    context: Context
    cancel_at: str = "never"
    attempt: int = 1
    id: str = "j1"
    said: list[tuple[float, str]] = field(default_factory=list)

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self.said.append((fraction, detail))
        if self.cancel_at in detail:
            raise CancelledByUser(T("cancelled", "已取消"), code="cancelled")

    def log(self, text: str) -> None:
        pass

    def check(self) -> None:
        pass


@pytest.fixture
def toy(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the steps given in an environment that stands already (making one is venv's work, not ours)."""
    context = open_context()

    def use(*steps: InstallStep, cancel_at: str = "never", **more: Any) -> Any:
        plan = InstallPlan(**{**PLAN.__dict__, "steps": steps, **more})
        registry: Registry[Any] = Registry(T("engine", "引擎"))
        registry.add("toy", SimpleNamespace(facts=facts(plan)))
        monkeypatch.setattr(install, "engine_registry", lambda: registry)
        python = environment("toy", context.home.path) / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        if not python.exists():
            python.symlink_to(Path(sys.executable).resolve())
        return run_install(Job(context, cancel_at), {"engine": "toy"})  # type: ignore[arg-type]

    use.context = context  # type: ignore[attr-defined]
    use.place = environment("toy", context.home.path)  # type: ignore[attr-defined]
    yield use
    context.close()


def test_a_whole_installation_notes_what_it_is(toy: Any) -> None:
    (toy.place / "lib").mkdir(parents=True)
    (toy.place / "lib" / "a.so").touch()
    result = toy(prove("print('fine')"))
    note = installed_note("toy", toy.context.home.path)
    assert note is not None and note["version"] == result["version"] == "toy 1.0"
    assert "pip" in note["packages"] and note["preload"] == ["lib/a.so"]


def test_a_failed_step_leaves_no_note_and_shows_its_last_words(toy: Any) -> None:
    with pytest.raises(UpstreamError, match="no such wheel") as caught:
        toy(prove("print('fine')"), prove("import sys; sys.exit('no such wheel')"))
    assert caught.value.fix == "zhilu jobs retry j1"
    assert toy.place.is_dir() and not (toy.place / NOTE).exists()
    assert toy(prove("print('fine')"))["version"] == "toy 1.0"  # goes on in what is there


def test_a_cancelled_installation_ends_its_commands_and_leaves_nothing(toy: Any, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); print('halt', flush=True); time.sleep(600)"
    with pytest.raises(CancelledByUser):
        toy(prove(code), cancel_at="halt")
    assert not toy.place.exists()
    assert list(toy.context.home.engines.iterdir()) == []
    deadline = time.monotonic() + 60
    pid = int(pid_file.read_text())
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the command outlived the job"
        time.sleep(0.1)


def test_the_command_dies_with_a_killed_worker(tmp_path: Path) -> None:
    """The guard: its standard input ends when its parent is gone, however that went."""
    import subprocess

    from zhilu.jobs import tether

    pid_file = tmp_path / "pid"
    sleeper = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    command = [sys.executable, tether.__file__, sys.executable, "-c", sleeper]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    deadline = time.monotonic() + 60
    while not (pid_file.exists() and pid_file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int(pid_file.read_text())
    process.stdin.close()
    process.wait(60)
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline + 60
        time.sleep(0.05)


def test_progress_follows_the_output(own_home: Path) -> None:
    from zhilu.serving.install.steps import Installation

    context = open_context()
    job, place = Job(context), own_home / "engines" / "toy"
    place.mkdir(parents=True)
    python = Path(sys.executable)
    work = Installation(job, place, python, own_home / "logs" / "x.log")  # type: ignore[arg-type]
    lines = "import time\nfor k in (1, 2, 3, 4):\n    print(f'[{k}/4] Building', flush=True); time.sleep(0.3)"
    work.take(prove(lines), 0.5, 0.5, build="cpu")
    fractions = [fraction for fraction, _ in job.said]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert "[4/4] Building" in (own_home / "logs" / "x.log").read_text()
    context.close()


def test_what_cannot_be_installed_here_says_why() -> None:
    with pytest.raises(UnsupportedError, match="not installed by Zhilu"):
        plan_for(facts(None))
    with pytest.raises(UnsupportedError, match="runs on Plan9 only"):
        plan_for(facts(InstallPlan("toy", (), 0, system="Plan9")))
    with pytest.raises(UnsupportedError, match=r"needs Python from 3\.1 to below 3\.2"):
        plan_for(facts(InstallPlan("toy", (), 0, python=((3, 1), (3, 2)))))


def test_a_full_disk_a_second_time_and_a_removal(toy: Any) -> None:
    with pytest.raises(InputError, match="Not enough room for toy"):
        toy(prove("pass"), disk_bytes=10**18)
    toy(prove("pass"))
    with pytest.raises(ConflictError, match="installed already"):
        submit_install(toy.context, "toy")
    running = [
        {"model": "m", "engine": "toy", "state": "ready", "detail": "", "port": 1, "process": _me(), "owner": _me()}
    ]
    (toy.context.home.run / "engines.json").write_text(json.dumps(running))
    with pytest.raises(ConflictError, match="stop it first"):
        remove_engine(toy.context, "toy")
    (toy.context.home.run / "engines.json").unlink()
    assert remove_engine(toy.context, "toy") == toy.place
    assert not toy.place.exists()
    with pytest.raises(NotFoundError):
        remove_engine(toy.context, "toy")


def _me() -> dict[str, Any]:
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}
