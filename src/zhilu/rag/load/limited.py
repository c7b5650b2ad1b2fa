"""Runs a parser in a process of its own: a hanging or exploding parser kills only itself.

The kernel limits the child's CPU time, address space and file size (``resource``; on systems without it, only the wall clock
limits it). The child has no standard input and returns its result as JSON through a pipe. ``Reader`` keeps a server that forks
these children, for a job with many files. Where forking is impossible, each file starts a Python of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.rag.load.base import Limits, Loaded

__all__ = ["Reader", "load_limited"]

_GRACE_SECONDS = 5.0  # beyond the CPU limit, for starting Python and for parsers that sleep


class Reader:
    """Reads files one after the other, each in a limited process. Not for several threads at once."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, path: Path, name: str, limits: Limits | None = None) -> Loaded:
        """As ``load_limited``.

        Raises:
            InputError: the file cannot be used; one message says why. ``TooLargeError`` where size is the reason.
        """
        if not hasattr(os, "fork"):  # pragma: no cover - native Windows; the product supports WSL2
            return load_limited(path, name, limits)
        limits = limits or Limits()
        asked = json.dumps({"path": str(path), "name": name, "limits": asdict(limits)})
        try:
            status, answer, complaint = self._ask(asked)
        except (OSError, ValueError):  # the server itself was killed, perhaps for want of memory: this file starts anew
            self.close()
            return load_limited(path, name, limits)
        return _outcome(status, answer, complaint, limits)

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.kill()
            for stream in (server.stdin, server.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):  # what it was not told any more
                        stream.close()
            server.wait()

    def _ask(self, line: str) -> tuple[int, bytes, bytes]:
        if self._server is None:
            command = [sys.executable, "-m", "zhilu.rag.load.server"]
            self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None and stdout is not None
        stdin.write(line.encode() + b"\n")
        stdin.flush()
        status, *sizes = (int(n) for n in stdout.readline().split())
        return status, _exactly(stdout, sizes[0]), _exactly(stdout, sizes[1])


def load_limited(path: Path, name: str, limits: Limits | None = None) -> Loaded:
    """Tell the format of the file at ``path`` (named ``name`` by its owner) and read it in a Python of its own.

    Raises:
        InputError: the file cannot be used; one message says why. ``TooLargeError`` where size is the reason.
    """
    limits = limits or Limits()
    command = [sys.executable, "-m", "zhilu.rag.load.worker", str(path), name, json.dumps(asdict(limits))]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limits.seconds + _GRACE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _took_too_long(limits) from error
    return _outcome(done.returncode, done.stdout, done.stderr, limits)


def _outcome(status: int, answer: bytes, complaint: bytes, limits: Limits) -> Loaded:
    """The document, or the refusal that a child's end means."""
    if status == 0:
        found = json.loads(answer.partition(b"\n")[2])
        if "error" not in found:
            return Loaded.of(found)
        kind = TooLargeError if found["error"]["too_large"] else InputError
        raise kind(T.of(found["error"]["message"]), code=found["error"]["code"])
    if status in (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM):
        raise _took_too_long(limits)
    raise _crashed(status, complaint.decode("utf-8", "replace"))


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) != size:
        raise ValueError("the answer was cut off")
    return found


def _took_too_long(limits: Limits) -> InputError:
    return InputError(
        T(
            en=f"Reading this file took more than {limits.seconds} s of processor time and was stopped; it is probably "
            "damaged or made to do that.",
            zh=f"读取这个文件用了超过 {limits.seconds} 秒处理器时间，已停止；文件可能已损坏或是恶意构造的。",
        ),
        code="parse_timeout",
    )


def _crashed(returncode: int, stderr: str) -> InputError:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    reason = lines[-1][:160] if lines else f"exit {returncode}"
    return InputError(
        T(
            en=f"The parser failed on this file ({reason}); it is probably damaged.",
            zh=f"解析器无法读取这个文件（{reason}），文件可能已损坏。",
        ),
        code="parse_failed",
    )
