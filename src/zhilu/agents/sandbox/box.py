"""Runs a command in the sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from zhilu.agents.sandbox.limits import Limits
from zhilu.agents.sandbox.wall import WORK, can_wall, packages, walled
from zhilu.errors import MissingComponentError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Ran", "Sandbox"]


@dataclass(frozen=True)
class Ran:
    """``code``: the exit status, negative for a signal; outputs are clipped to the limit. ``timed_out``: it was stopped by its
    limits of time or processes."""

    code: int
    stdout: str
    stderr: str
    timed_out: bool = False


class Sandbox:
    """One scratch folder and what may run in it. A folder is for one run of an agent: what it leaves there stays until that goes.

    Args:
        readable: folders that it may also read, under their own names.

    Raises:
        MissingComponentError: there are no walls here, and the setting ``code_unwalled`` does not allow to go without.
    """

    def __init__(
        self, context: Context, scratch: Path, *, limits: Limits = Limits(), readable: Sequence[Path] = ()
    ) -> None:
        self.scratch, self.limits = scratch.resolve(), limits
        self._readable = [path.resolve() for path in readable]
        self.is_walled, self.reason = can_wall()
        if not self.is_walled and not context.settings.code_unwalled:
            raise MissingComponentError(
                T(
                    f"Code is not run here: {self.reason.en}. Without walls it could read and change all that you can; the setting "
                    "code_unwalled allows that.",
                    f"这里不运行代码：{self.reason.zh}。没有隔离时，代码可以读写你能访问的一切；设置 code_unwalled 可以允许这样做。",
                ),
                fix="sudo apt install bubblewrap",
            )

    async def python(self, code: str) -> Ran:
        """Run a Python program (this interpreter, with the packages that are installed beside it)."""
        name = "program.py"
        target = self.scratch / name
        target.unlink(missing_ok=True)  # whatever the last program left under this name, a link too
        target.write_text(code, encoding="utf-8")
        place = f"{WORK}/{name}" if self.is_walled else str(target)
        # The interpreter itself: a link to it may lead through a folder that is not inside.
        return await self.run([os.path.realpath(sys.executable), "-s", "-X", "utf8", place])

    async def run(self, argv: Sequence[str]) -> Ran:
        """Run a command in the scratch folder. Every process that it started is gone when this returns."""
        command = walled(self.scratch, argv, self.limits.processes, self._readable) if self.is_walled else list(argv)
        env = {"PATH": os.defpath, "HOME": str(self.scratch), "LANG": "C.UTF-8", "PYTHONPATH": packages()}
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self.scratch, env=env, start_new_session=True, preexec_fn=self.limits.apply(),
        )  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        reading = asyncio.gather(_head(process.stdout, self.limits.output), _head(process.stderr, self.limits.output))
        try:
            timed_out = not await self._watch(process.pid, reading)
            if timed_out:
                _kill(process)
            stdout, stderr = await reading
        except BaseException:
            _kill(process)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await process.communicate()  # to the end of what is left: a pipe that nobody reads to its end stays open
            raise
        _kill(process)  # what it left in the background holds no pipe and is in its group
        code = await process.wait()
        return Ran(code, stdout, stderr, timed_out)

    async def _watch(self, pid: int, reading: asyncio.Future[tuple[str, str]]) -> bool:
        """Wait for the end of the output. False: out of time, or it has more processes than it may (the kernel's own limit does
        not hold for root)."""
        deadline = asyncio.get_running_loop().time() + self.limits.seconds
        while asyncio.get_running_loop().time() < deadline:
            done, _ = await asyncio.wait([reading], timeout=0.2)
            if done:
                return True
            if _num_below(pid) > self.limits.processes:
                return False
        return False


def _num_below(pid: int) -> int:
    """Processes that a process started, and those started."""
    with suppress(psutil.Error):
        return len(psutil.Process(pid).children(recursive=True))
    return 0


def _kill(process: asyncio.subprocess.Process) -> None:
    """The whole group; behind walls the end of the first process ends its namespace with all in it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _head(stream: asyncio.StreamReader, most: int) -> str:
    """The beginning of an output; the rest is read and thrown away, so that nobody fills our memory."""
    kept = bytearray()
    while block := await stream.read(1 << 16):
        kept += block[: max(4 * most - len(kept), 0)]
    text = kept.decode("utf-8", errors="replace")
    return text if len(text) <= most else f"{text[:most]}\n[… more was left out …]"
