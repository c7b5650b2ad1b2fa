"""Processes named so that they cannot be mistaken: a pid alone is used again by the system, pid and birth are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["JOB_MARK", "Birth", "kill_marked", "mine", "spawn", "terminate"]

# Set in a worker's environment and inherited by all it starts: the way to find them when the worker is dead.
# It does not begin with ZHILU_, which is reserved for settings.
JOB_MARK = "_ZHILU_JOB"


class Birth(NamedTuple):
    """A process: its number and when it was born, in seconds (since boot on Linux, since the epoch elsewhere)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Birth | None:
        """None if no such process runs; one that is dead and only waits for its parent does not run."""
        if sys.platform == "linux":
            return _from_proc(pid)
        import psutil

        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else cls(pid, process.create_time())
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool:
        now = Birth.of(self.pid)
        return now is not None and abs(now.started - self.started) < 0.02


def _from_proc(pid: int) -> Birth | None:
    # Field 22 counts clock ticks since boot. psutil adds the boot time to it, which moves when the clock is set
    # (WSL2 does so after every sleep of the laptop), and a living worker would look like another process.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name in parentheses may hold spaces
    if fields[0] in "ZX":
        return None
    return Birth(pid, int(fields[19]) / os.sysconf("SC_CLK_TCK"))


def mine() -> Birth:
    """This process."""
    birth = Birth.of(os.getpid())
    assert birth is not None
    return birth


def spawn(argv: list[str], *, env: Mapping[str, str], log: Path, on_exit: Callable[[], None] | None = None) -> Birth:
    """Start a process in a session of its own: it outlives us, and the terminal's Ctrl-C does not reach it.

    Its output is appended to ``log``. ``on_exit`` is called in a thread when it ends while we live. A process that ended
    before we could look at it gets a birth that is not alive.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    birth = Birth.of(process.pid) or Birth(process.pid, -1.0)

    def reap() -> None:
        process.wait()
        if on_exit is not None:
            on_exit()

    threading.Thread(target=reap, name=f"reap-{process.pid}", daemon=True).start()
    return birth


def terminate(birth: Birth) -> None:
    """SIGTERM, if it is still that process."""
    if birth.is_alive():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(birth.pid, signal.SIGTERM)


def kill_marked(job_id: str) -> int:
    """SIGKILL every other process of ours that carries ``job_id`` in its environment: the worker and what it started.

    A process group would be missed by a child that made its own session, and after the worker's death its number
    could come to mean somebody else's group. Returns how many were killed.
    """
    import psutil

    killed = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(JOB_MARK) == job_id:
                process.kill()
                killed += 1
    return killed
