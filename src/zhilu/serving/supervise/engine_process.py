"""One engine process: started, waited for, stopped.

It ends when its gateway does, because its standard input is a pipe that the gateway holds.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from zhilu.errors import UnreachableError
from zhilu.messages import T
from zhilu.process import Birth
from zhilu.serving.facts import Launch

__all__ = ["EngineProcess", "log_path", "rotate", "tail"]


class EngineProcess:
    """A started engine. Its output goes straight to ``log``, so that its last words survive a kill of the gateway."""

    def __init__(self, process: asyncio.subprocess.Process, launch: Launch, log: Path) -> None:
        self._process = process
        self.launch = launch
        self.log = log
        self.id = Birth.of_new(process.pid)
        self.spawned = time.monotonic()

    @classmethod
    async def spawn(cls, launch: Launch, log: Path) -> EngineProcess:
        """Start the command in a session of its own: Ctrl+C in a terminal must reach the gateway only.

        Raises:
            UnreachableError: the command cannot be started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        rotate(log)
        with log.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *launch.argv,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **launch.env},
                    start_new_session=True,
                )
            except OSError as error:
                raise UnreachableError(
                    T(
                        f"The engine's command {launch.argv[0]!r} cannot be started: {error.strerror}.",
                        f"引擎命令 {launch.argv[0]!r} 无法启动：{error.strerror}。",
                    ),
                    fix="zhilu engine list",
                ) from error
        return cls(process, launch, log)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """The exit code; negative for the signal that ended it."""
        return await self._process.wait()

    async def wait_ready(self, http: httpx.AsyncClient, timeout: float) -> None:
        """Return once ``ready_path`` is answered with 200.

        Raises:
            UnreachableError: it ended first, or ``timeout`` seconds passed; the message holds the end of its log.
        """
        deadline = time.monotonic() + timeout
        while self.alive and time.monotonic() < deadline:
            if await self.answers(http, 5.0):
                # Another process may have been given the port meanwhile; then ours has ended with "address in use".
                await asyncio.sleep(0)
                if self.alive:
                    return
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._process.wait()), 0.05)
        last = tail(self.log)
        if self.alive:
            what = T(f"The engine was not ready after {timeout:g} s", f"引擎在 {timeout:g} 秒后仍未就绪")
        else:
            code = self._process.returncode
            what = T(f"The engine ended with code {code} while starting", f"引擎在启动时退出，代码 {code}")
        raise UnreachableError(T(f"{what.en}:\n{last}", f"{what.zh}：\n{last}"), fix="zhilu doctor")

    async def answers(self, http: httpx.AsyncClient, timeout: float) -> bool:
        """Whether ``ready_path`` is answered with 200 within ``timeout`` seconds."""
        launch = self.launch
        try:
            response = await http.get(f"{launch.url}{launch.ready_path}", headers=dict(launch.headers), timeout=timeout)
        except httpx.HTTPError:
            return False
        return response.status_code == 200

    async def models(self, http: httpx.AsyncClient) -> list[dict[str, Any]]:
        """What the engine lists at ``/v1/models``, empty where it has no such list."""
        try:
            response = await http.get(f"{self.launch.url}/v1/models", headers=dict(self.launch.headers), timeout=5.0)
            return [entry for entry in response.json()["data"] if isinstance(entry, dict)]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    def note(self, line: str) -> None:
        """A line of ours in its log."""
        with self.log.open("ab") as log:
            log.write(f"[zhilu] {line}\n".encode())

    def memory(self) -> int:
        """Bytes that come free when it ends: its own and its helpers', without what they share with others; 0 once gone."""
        if not self.alive:
            return 0
        total = 0
        with suppress(psutil.Error):
            first = psutil.Process(self.id.pid)
            for process in (first, *first.children(recursive=True)):
                with suppress(psutil.Error):
                    total += int(process.memory_full_info().uss)
        return total

    async def stop(self, grace: float = 5.0) -> None:
        """SIGTERM, and SIGKILL after ``grace`` seconds; returns when it is gone. Safe to call twice."""
        if not self.alive:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self._process.wait()), grace)
        except asyncio.TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # To the whole session: an engine may have started helpers of its own.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def log_path(folder: Path, model: str) -> Path:
    """``logs/engines/<model>.log``; a slash in the name does not make a folder."""
    return folder / "engines" / (model.replace("/", "--").replace("\\", "--").lstrip(".") + ".log")


def rotate(path: Path, max_bytes: int = 5_000_000, keep: int = 2) -> None:
    """Move a log that has grown past ``max_bytes`` to ``.1`` (and that to ``.2`` ...), and empty it.

    Copied and then truncated: the engine that writes to it, opened for appending, goes on in the same file.
    """
    if not path.exists() or path.stat().st_size <= max_bytes:
        return
    for number in range(keep, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)


def tail(path: Path, lines: int = 8, max_bytes: int = 16_384) -> str:
    """The last lines of a log, ``-`` where there are none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - max_bytes))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "-"
    return "\n".join(text.splitlines()[-lines:]) or "-"
