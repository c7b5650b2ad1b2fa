"""The asking side of a worker process: starts it when first asked, and again after it ended."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from zhilu.errors import BusyError, InputError, UpstreamError, ZhiluError
from zhilu.media.found import Task
from zhilu.messages import T

__all__ = ["Worker", "worker_of"]

_SILENCE = 300.0  # seconds without a word after which the process is taken for hung
_MOST_WAITING = 8


class Worker:
    """One process for one task. Requests are answered one after the other; safe to ask from several threads."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._waiting = 0
        self._count = threading.Lock()

    def ask(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """What the process says, piece by piece; the last is its result. A caller who leaves early ends the process.

        Raises:
            ZhiluError: what the process raised, in its words.
            BusyError: too many wait already.
            InputError: the process died or hung over this request; the next one starts a new process.
        """
        with self._count:
            if self._waiting >= _MOST_WAITING:
                raise BusyError(
                    T(f"{self._waiting} requests wait already.", f"已有 {self._waiting} 个请求在等待。"),
                    retry_after=10,
                )
            self._waiting += 1
        try:
            with self._turn:
                yield from self._conversation(json.dumps(asked).encode() + b"\n")
        finally:
            with self._count:
                self._waiting -= 1

    def close(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            process.wait()

    def _conversation(self, line: bytes) -> Iterator[dict[str, Any]]:
        process = self._sent(line)
        assert process.stdout is not None
        whole = False
        try:
            while True:
                said = self._heard(process)
                if "said" in said:
                    yield said["said"]
                    continue
                whole = True
                if "error" in said:
                    raise _error(said["error"])
                yield said["done"]
                return
        finally:
            if not whole:
                self.close()

    def _sent(self, line: bytes) -> subprocess.Popen[bytes]:
        """The process, with the request written to it; a process that had ended of itself is replaced."""
        for _ in range(2):
            if self._process is None or self._process.poll() is not None:
                self.close()
                command = [sys.executable, "-m", "zhilu.media.worker.child", self.task]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):
                self._process.stdin.write(line)
                self._process.stdin.flush()
                return self._process
        raise _died(None)

    def _heard(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        guard = threading.Timer(_SILENCE, process.kill)
        guard.start()
        try:
            line = process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            raise _died(process.wait())
        said: dict[str, Any] = json.loads(line)
        return said


_workers: dict[Task, Worker] = {}
_making = threading.Lock()


def worker_of(task: Task) -> Worker:
    """This program's worker for ``task``; it ends with the program."""
    with _making:
        if task not in _workers:
            _workers[task] = Worker(task)
            atexit.register(_workers[task].close)
        return _workers[task]


def _error(told: dict[str, Any]) -> ZhiluError:
    kind = UpstreamError if told["code"] == "upstream_error" else InputError
    return kind(T.of(told["message"]), param=told["param"], code=told["code"], fix=told["fix"])


def _died(status: int | None) -> InputError:
    return InputError(
        T(
            f"The process that works on it ended ({status}); the file is probably damaged or made to do that.",
            f"处理它的进程异常结束（{status}），文件可能已损坏或是恶意构造的。",
        ),
        code="media_failed",
    )
