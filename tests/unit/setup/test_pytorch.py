"""PyTorch's job: real pip, a real environment, small wheels under PyTorch's names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import CancelledByUser, MissingComponentError, UpstreamError
from zhilu.jobs import JobStore
from zhilu.messages import T
from zhilu.setup import pip, pytorch, require
from zhilu.setup.pytorch import PYTORCH, TORCH_INSTALL, run_install


class Recorder:
    """A job's context in this process; ``stop_at`` raises like a cancel, or like a stop, in the stage of that name."""

    id, attempt = "0" * 12, 1

    def __init__(self, context: Context, stop_at: str = "", code: str = "cancelled") -> None:
        self.context, self.stop_at, self.code = context, stop_at, code
        self.fractions: list[float] = []
        self.stages: list[str] = []

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self.fractions.append(fraction)
        self.stages.append(stage.en)
        if stage.en == self.stop_at:
            raise CancelledByUser(T("Stopped.", "已停止。"), code=self.code)

    def log(self, text: str) -> None:
        pass

    def check(self) -> None:
        pass


def imports_torch(python: Path) -> bool:
    return subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0


def packages_of(python: Path) -> Path:
    return next(python.parent.parent.glob("lib/python*/site-packages"))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("zhilu.setup.torch_build.has_nvidia_gpu", lambda: False)


def test_the_job_installs_a_whole_pytorch_into_the_environment(
    context: Context, environment: Path, wheels: Path, make_wheel: Callable
) -> None:
    make_wheel(wheels, "torch", "2.13.0", "sympy-small")
    make_wheel(wheels, "sympy_small", "1.0")
    store = JobStore(context)
    params = {"python": str(environment), "wanted": "cpu"}
    job = store.wait(store.submit(TORCH_INSTALL, params, T("Install", "安装")).id, timeout=120)
    assert (job.status, job.result) == ("done", {"version": "2.13.0", "kind": "cpu"}), job.error
    assert imports_torch(environment)
    assert not require.unfinished_mark(packages_of(environment)).exists()


def test_nothing_that_is_installed_is_replaced(
    context: Context, environment: Path, wheels: Path, make_wheel: Callable, no_gpu: None
) -> None:
    old = make_wheel(wheels, "numeric", "1.0")
    subprocess.run([environment, "-m", "pip", "install", "-q", str(old)], check=True)
    make_wheel(wheels, "numeric", "2.0")
    make_wheel(wheels, "torch", "2.13.0", "numeric")
    seen = Recorder(context)
    run_install(seen, {"python": str(environment)})
    assert seen.fractions == sorted(seen.fractions)
    stages = ["Looking for a build that fits", "Downloading PyTorch", "Unpacking PyTorch"]
    assert list(dict.fromkeys(seen.stages)) == stages
    listed = subprocess.run([environment, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert dict(line.split()[:2] for line in listed.splitlines()[2:])["numeric"] == "1.0"


def test_cuda_is_installed_only_after_its_size_was_agreed_to(
    context: Context, environment: Path, cuda_wheels: Path, no_gpu: None
) -> None:
    asked = run_install(Recorder(context), {"python": str(environment), "wanted": "auto"})
    assert asked["asks"] is True
    assert "4.7 GB" in asked["consent"]["en"] and "4.7 GB" in asked["consent"]["zh"]
    assert not imports_torch(environment)
    done = run_install(Recorder(context), {"python": str(environment), "wanted": "cuda"})
    assert done == {"version": "2.13.0", "kind": "cuda"}
    assert imports_torch(environment)


def test_a_cancelled_installation_leaves_nothing(
    context: Context, environment: Path, wheels: Path, make_wheel: Callable, no_gpu: None
) -> None:
    make_wheel(wheels, "torch", "2.13.0")
    with pytest.raises(CancelledByUser):
        run_install(Recorder(context, "Unpacking PyTorch"), {"python": str(environment)})
    assert sorted(p.name for p in packages_of(environment).glob("*torch*")) == []


def test_a_killed_installation_is_not_taken_for_whole_and_goes_on(
    context: Context, environment: Path, wheels: Path, make_wheel: Callable, no_gpu: None
) -> None:
    make_wheel(wheels, "torch", "2.13.0")
    packages = packages_of(environment)
    with pytest.raises(CancelledByUser):
        run_install(Recorder(context, "Unpacking PyTorch", "stopped"), {"python": str(environment)})
    assert require.unfinished_mark(packages).exists()
    # What a kill leaves at worst: files of the package and a note of it without a list of its files.
    (packages / "torch").mkdir(exist_ok=True)
    (packages / "torch" / "half.py").write_text("(")
    (packages / "torch-2.13.0.dist-info").mkdir(exist_ok=True)
    done = run_install(Recorder(context), {"python": str(environment)})
    assert done["version"] == "2.13.0"
    assert not require.unfinished_mark(packages).exists()
    assert not (packages / "torch" / "half.py").exists()
    assert imports_torch(environment)


def test_an_old_pip_is_refused_with_the_command_that_renews_it(
    context: Context, environment: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip, "_OLDEST_PIP", (99, 0))
    with pytest.raises(MissingComponentError, match=r"pip 99\.0 or newer") as caught:
        run_install(Recorder(context), {"python": str(environment)})
    assert caught.value.fix == f"{environment} -m pip install --upgrade pip"


def test_where_no_build_is_found_the_error_says_what_to_set(
    context: Context, environment: Path, wheels: Path, no_gpu: None
) -> None:
    with pytest.raises(UpstreamError, match="finds no torch") as caught:
        run_install(Recorder(context), {"python": str(environment)})
    assert caught.value.code == "torch_not_found"
    assert "ZHILU_TORCH_INDEX" in caught.value.fix


def test_raw_progress_of_several_files_is_one_bar() -> None:
    files = pytorch._Files(2)
    lines = ["Progress 0 of 100", "Progress 50 of 100", "Progress 100 of 100", "Progress 10 of 40", "Progress 40 of 40"]
    assert [files.fraction(line) for line in lines] == [0.0, 0.25, 0.5, 0.625, 1.0]
    assert files.fraction("Collecting torch") is None


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch, "has_torch", lambda: False)
    monkeypatch.setattr(pytorch, "is_our_environment", lambda: True)


def settings(context: Context, **changes: Any) -> None:
    context.flags.update(changes)
    context.reload_settings()


def test_it_arrives_by_itself_unless_a_setting_or_a_foreign_environment_speaks_against_it(
    context: Context, absent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(context, torch="auto")
    assert PYTORCH.state(context).is_automatic
    settings(context, offline=True)
    assert (PYTORCH.state(context).status, PYTORCH.state(context).is_automatic) == ("absent", False)
    settings(context, offline=False, torch="none")
    assert PYTORCH.state(context).status == "declined"
    settings(context, torch="cpu")
    assert PYTORCH.state(context).is_automatic
    monkeypatch.setattr(pytorch, "is_our_environment", lambda: False)
    assert (PYTORCH.state(context).status, PYTORCH.state(context).is_automatic) == ("absent", False)
    monkeypatch.setattr(pytorch, "has_torch", lambda: True)
    assert PYTORCH.state(context).status == "here"


def test_an_environment_that_cannot_be_written_is_said_to_be_impossible(
    context: Context, absent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(context, torch="auto")
    monkeypatch.setattr(pip, "_can_write", lambda folder: False)
    assert PYTORCH.state(context).status == "impossible"
    with pytest.raises(MissingComponentError, match="cannot be written"):
        PYTORCH.submit(context, agreed=False)


def test_what_needs_pytorch_names_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(require, "has_torch", lambda: False)
    with pytest.raises(MissingComponentError) as caught:
        require.require_torch(T("The torch runner", "torch 运行器"))
    assert caught.value.message == (
        "The torch runner needs PyTorch, which is not installed yet.",
        "torch 运行器需要 PyTorch，而它还没有安装。",
    )
    assert (caught.value.fix, caught.value.exit_code, caught.value.code) == ("zhilu setup torch", 3, "torch_missing")


def test_an_unfinished_installation_counts_as_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(require, "find_spec", lambda name: object())
    monkeypatch.setattr(require, "unfinished_mark", lambda: tmp_path / "mark")
    assert require.has_torch()
    (tmp_path / "mark").touch()
    assert not require.has_torch()
