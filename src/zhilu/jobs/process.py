"""Workers as processes: started independently of this one, ended together with everything they started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from zhilu.process import Birth

__all__ = ["JOB_MARK", "kill_marked", "spawn", "terminate"]

# Set in a worker's environment and inherited by all it starts: the way to find them when the worker is dead.
# It does not begin with ZHILU_, which is reserved for settings.
JOB_MARK = "_ZHILU_JOB"


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
    birth = Birth.of_new(process.pid)

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
