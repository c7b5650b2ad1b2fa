"""The steps of an installation. Each is a command of the engine's environment that dies with us and can be cancelled."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from zhilu.jobs import JobContext
from zhilu.jobs.command import run_command
from zhilu.messages import T
from zhilu.serving.facts import InstallStep
from zhilu.setup.torch_build import TORCH_INDEX

__all__ = ["Installation"]

_COUNTED = re.compile(r"\[(\d+)/(\d+)\] ")  # of a build within pip: done, in all


class Installation:
    """One environment at ``place`` in the making. All output goes to ``log`` too."""

    def __init__(self, job: JobContext, place: Path, python: Path, log: Path) -> None:
        self.job, self.place, self.python, self.log = job, place, python, log
        log.parent.mkdir(parents=True, exist_ok=True)

    def make_environment(self) -> None:
        """An environment with pip, unless an earlier try left a sound one."""
        title = T("Making the environment", "创建环境")
        self.job.progress(0.0, title)
        if self.python.exists() and self._run([str(self.python), "-m", "pip", "--version"], title, 0, 0, may_fail=True):
            return
        self._run([sys.executable, "-m", "venv", "--clear", str(self.place)], title, 0.0, 0.02)

    def take(self, step: InstallStep, at: float, share: float, *, build: str) -> None:
        """Do one step; ``at`` and ``share`` are of the progress bar.

        Raises:
            UpstreamError: a command failed; holds the end of its output.
            CancelledByUser: as ``JobContext.check``.
        """
        self.job.log(f"{step.kind}: {' '.join(step.words)[:200]}")
        if step.kind == "pip":
            self._pip(["install", *step.words], step.title, at, share)
        elif step.kind == "torch":
            self._torch(step, at, share, build)
        elif step.kind == "drop":
            self._drop(step, at, share)
        else:
            self._run([str(self.python), *step.words], step.title, at, share)

    def packages(self) -> dict[str, str]:
        """Name and version of all that is installed, asked of pip."""
        done = subprocess.run(
            [str(self.python), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
            capture_output=True,
            text=True,
            check=True,
        )
        return {item["name"]: item["version"] for item in json.loads(done.stdout)}

    def _torch(self, step: InstallStep, at: float, share: float, build: str) -> None:
        """The CPU build by itself first: what it needs comes with the next step, from the usual index."""
        version = f"torch=={step.words[0]}"
        if build == "gpu" or sys.platform != "linux":
            self._pip(["install", version], step.title, at, share)
            return
        cpu = ["install", "--no-deps", f"{version}+cpu"]
        if not self._pip(cpu, step.title, at, share, may_fail=True):  # a mirror, or a wheel on this machine
            self._pip([*cpu, "--extra-index-url", TORCH_INDEX], step.title, at, share)

    def _drop(self, step: InstallStep, at: float, share: float) -> None:
        for package in step.words:
            tried = [str(self.python), "-c", f"import {package}"]
            if not self._run(tried, step.title, at, share, may_fail=True):
                self._pip(["uninstall", "-y", package], step.title, at, share)

    def _pip(self, words: list[str], title: T, at: float, share: float, *, may_fail: bool = False) -> bool:
        argv = [str(self.python), "-m", "pip", *words, "--disable-pip-version-check"]
        if words[0] != "uninstall":
            argv += ["--progress-bar", "off"]
        return self._run(argv, title, at, share, may_fail=may_fail)

    def _run(self, argv: list[str], title: T, at: float, share: float, *, may_fail: bool = False) -> bool:
        return run_command(self.job, argv, title, self.log, at=at, share=share, fraction_of=_counted, may_fail=may_fail)


def _counted(line: str) -> float | None:
    found = _COUNTED.match(line)
    return int(found[1]) / int(found[2]) if found else None
