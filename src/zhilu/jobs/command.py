"""A command inside a job: its output goes to the log and moves the bar, and it ends with the job, however that ends."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from zhilu.errors import UpstreamError
from zhilu.jobs import tether
from zhilu.jobs.base import JobContext
from zhilu.messages import T

__all__ = ["PATIENCE", "run_command"]

_PIP_PROGRESS = re.compile(r"Progress \d+ of \d+")
PATIENCE = 40  # lines after which half of a bar is full, for a command that never says how many there will be
_KEPT_LINES = 15  # of a command's output, shown where it fails


def run_command(
    job: JobContext,
    argv: Sequence[str],
    title: T,
    log: Path,
    *,
    at: float = 0.0,
    share: float = 0.0,
    fraction_of: Callable[[str], float | None] = lambda line: None,
    env: Mapping[str, str] | None = None,
    may_fail: bool = False,
) -> bool:
    """Whether the command ended well; ends it with all its children when the job is cancelled or dies.

    Args:
        log: a file that the command line and its output are added to.
        at, share: the part of the job's bar that this command fills, 0 to 1.
        fraction_of: how far the command is, read from one of its lines; None: the line does not say.

    Raises:
        UpstreamError: it failed; holds the end of its output. Not with ``may_fail``.
        CancelledByUser: as ``JobContext.check``.
    """
    process = subprocess.Popen(
        [sys.executable, str(Path(tether.__file__)), *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines.put), daemon=True)
    reader.start()
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    seen, fraction = 0, 0.0
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(argv)}\n")
            is_running = True
            while is_running:
                is_running = process.poll() is None
                if not is_running:
                    reader.join(2.0)  # its last words; not for ever, as a child of its own may hold the pipe open
                for line in _drained(lines):
                    file.write(line + "\n")
                    said = fraction_of(line)
                    if not _PIP_PROGRESS.match(line):  # a bar for programs, of no use to a reader
                        seen += 1
                        last.append(line)
                    if said is None:
                        said = seen / (seen + PATIENCE)
                    fraction = max(fraction, said)
                job.progress(at + share * fraction, title, last[-1][:120] if last else "")
                if is_running:
                    time.sleep(0.2)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        process.stdin.close()
        process.wait()
    if process.returncode and not may_fail:
        output = "\n".join(last)
        raise UpstreamError(
            T(f"{title.en} failed:\n{output}", f"{title.zh}失败：\n{output}"), fix=f"zhilu jobs retry {job.id}"
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
