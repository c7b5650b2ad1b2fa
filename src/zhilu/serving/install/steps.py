"""The steps of an installation, each a command of the engine's environment that dies with us and can be cancelled."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from zhilu.errors import UpstreamError
from zhilu.jobs import JobContext, tether
from zhilu.messages import T
from zhilu.serving.facts import InstallStep

__all__ = ["Installation"]

# CPU builds of PyTorch are not on PyPI for Linux; this index has them, or one that a person names.
_TORCH_INDEX = os.environ.get("ZHILU_TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
_COUNTED = re.compile(r"\[(\d+)/(\d+)\] ")  # of a build within pip: done, in all
_PATIENCE = 40  # lines of pip after which half of its bar is full: it never says how many there will be
_KEPT_LINES = 15  # of a command's output, shown where it fails


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
            self._pip([*cpu, "--extra-index-url", _TORCH_INDEX], step.title, at, share)

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
        """Whether the command ended well; follows its output, and ends it with all its children when we are cancelled."""
        process = subprocess.Popen(
            [sys.executable, str(Path(tether.__file__)), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, lines.put), daemon=True).start()
        last: deque[str] = deque(maxlen=_KEPT_LINES)
        seen, fraction = 0, 0.0
        try:
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"$ {' '.join(argv)}\n")
                while process.poll() is None or not lines.empty():
                    for line in _drained(lines):
                        log.write(line + "\n")
                        last.append(line)
                        seen += 1
                        counted = _COUNTED.match(line)
                        fraction = (
                            int(counted[1]) / int(counted[2]) if counted else max(fraction, seen / (seen + _PATIENCE))
                        )
                    self.job.progress(at + share * fraction, title, last[-1][:120] if last else "")
                    time.sleep(0.2)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            process.stdin.close()
            process.wait()
        if process.returncode and not may_fail:
            said = "\n".join(last)
            raise UpstreamError(
                T(f"{title.en} failed:\n{said}", f"{title.zh}失败：\n{said}"), fix=f"zhilu jobs retry {self.job.id}"
            )
        return process.returncode == 0


def _read(stream: IO[str], put: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            put(line.rstrip())


def _drained(lines: queue.SimpleQueue[str]) -> list[str]:
    out = []
    with suppress(queue.Empty):
        while True:
            out.append(lines.get_nowait())
    return out
