"""The process that reads a job's files: ``python -m zhilu.rag.load.server``. It forks a limited child for each file.

Python and the parsers are imported once instead of once per file (5 ms per file instead of half a second or more). Each file
still gets a process of its own, with its own limits, in which nothing is left of the previous file. The server itself never
looks into a file. It learns which parsers to import for later files from the loader that a child has used.

Standard input: one JSON object per line, ``{"path", "name", "limits"}``. Standard output, for each: a line with the child's exit
status (negative: the signal that ended it) and the lengths in bytes of its answer and of its error output; then both.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from zhilu.rag.load.base import Limits
from zhilu.rag.load.worker import read_file

__all__ = ["GRACE_SECONDS", "main"]

GRACE_SECONDS = 5.0  # beyond the limit of processor time, for parsers that sleep


def main() -> int:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints must not mix with the answers
    for line in sys.stdin:
        asked = json.loads(line)
        status, answer, complaint = _in_a_child(Path(asked["path"]), asked["name"], Limits(**asked["limits"]))
        out.write(f"{status} {len(answer)} {len(complaint)}\n".encode() + answer + complaint)
        out.flush()
        _import_for_the_next(answer)
    return 0


def _in_a_child(path: Path, name: str, limits: Limits) -> tuple[int, bytes, bytes]:
    """Read one file in a fork of this process: its exit status, its answer and the end of what it complained."""
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile() as complaints:
        child = os.fork()
        if child == 0:
            os.close(ours)
            os.dup2(complaints.fileno(), 2)
            os.dup2(2, 1)
            _be_the_child(theirs, path, name, limits)
        os.close(theirs)
        answer = _receive(ours, child, time.monotonic() + limits.seconds + GRACE_SECONDS)
        os.close(ours)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        complaints.seek(max(complaints.seek(0, os.SEEK_END) - 4000, 0))
        return status, answer, complaints.read()


def _be_the_child(pipe: int, path: Path, name: str, limits: Limits) -> None:
    """Never returns."""
    status = 1
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        status = read_file(path, name, limits, pipe)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _receive(pipe: int, child: int, deadline: float) -> bytes:
    """All that the child writes; it is killed at the deadline."""
    parts: list[bytes] = []
    while True:
        ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            os.kill(child, signal.SIGKILL)
            return b""
        part = os.read(pipe, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _import_for_the_next(answer: bytes) -> None:
    """Import what the loader of an answer imports, so that the children to come find it there."""
    try:
        head: dict[str, Any] = json.loads(answer[: answer.index(b"\n")])
        for module in head.get("modules", []):
            importlib.import_module(module)
    except (ValueError, ImportError):
        return  # no answer, or a parser that is missing: its child will say so


if __name__ == "__main__":
    raise SystemExit(main())
