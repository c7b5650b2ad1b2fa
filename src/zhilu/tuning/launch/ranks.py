"""The processes of a run, as the job sees them: started, watched, and all ended when one of them is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zhilu.errors import InputError, UpstreamError, ZhiluError
from zhilu.jobs import JobContext
from zhilu.messages import T
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.launch.rank import DONE, SAID
from zhilu.tuning.runs import RunFolder

__all__ = ["Ended", "clear_ranks", "run_ranks"]

_POLL = 0.1  # seconds
_LINES = 12  # of a dead process's output, in the error


@dataclass(frozen=True)
class Ended:
    """What the processes left beside the weights: the run's counters, whether it ended early, and the first's most memory."""

    counters: dict[str, Any]
    stopped_early: bool
    peak_mb: int


def run_ranks(job: JobContext, run: RunFolder, config: TuneConfig) -> Ended:
    """Train in ``config.num_processes`` processes, as they tell of it.

    Raises:
        UpstreamError: one of them died; names it, with its last lines.
        ZhiluError: what one of them raised. CancelledByUser: see ``JobContext.check``; all are ended then.
    """
    folder = run.path / "ranks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / SAID).touch()
    count = config.num_processes
    home = {"ZHILU_HOME": str(job.context.home.path)}
    with ExitStack() as started:
        if config.launch == "ray":
            argv = [sys.executable, "-m", "zhilu.tuning.launch.ray", run.path.name]
            processes = [started.enter_context(_process(argv, folder / "driver.log", home))]
        else:
            argv = [sys.executable, "-m", "zhilu.tuning.launch.rank", run.path.name]
            port = str(_free_port())
            processes = [
                started.enter_context(_process(argv, folder / f"{rank}.log", {**home, **_torchruns(rank, count, port)}))
                for rank in range(count)
            ]
        _watch(job, folder, processes)
    done = json.loads((folder / DONE).read_text(encoding="utf-8"))
    return Ended(done["counters"], done["stopped"], done["peak_mb"])


def clear_ranks(run: RunFolder) -> None:
    """Delete what only a run that goes on needs; the processes' logs stay."""
    for name in ("zero", "ray"):
        shutil.rmtree(run.path / name, ignore_errors=True)


def _torchruns(rank: int, count: int, port: str) -> dict[str, str]:
    """The variables that torchrun sets. Loopback alone: processes of one machine need no other way to each other."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "GROUP_RANK": 0}
    found = {name: str(value) for name, value in names.items()}
    found |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    threads = str(max(1, (os.cpu_count() or 1) // count))
    found |= {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    return found | ({"GLOO_SOCKET_IFNAME": loopback} if loopback else {})


class _process:
    """A child that ends when its standard input closes, which it does however this process ends."""

    def __init__(self, argv: Sequence[str], log: Path, env: dict[str, str]) -> None:
        self.argv, self.log, self.env = argv, log, env

    def __enter__(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as out:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=out, stderr=out, env={**os.environ, **self.env}
            )
        return self.child

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
        assert self.child.stdin is not None
        with suppress(OSError):
            self.child.stdin.close()


def _watch(job: JobContext, folder: Path, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    with (folder / SAID).open(encoding="utf-8") as said:
        rest = ""
        while True:
            codes = [process.poll() for process in processes]
            rest = _pass_on(job, rest + said.read())
            errors = sorted(folder.glob("*.error.json"), key=lambda path: path.stat().st_mtime_ns)
            if errors or any(codes):
                _raise(folder, codes, errors)
            if all(code == 0 for code in codes):
                return
            job.check()
            time.sleep(_POLL)


def _pass_on(job: JobContext, text: str) -> str:
    """Say what the first process said; returns a line that is not whole yet."""
    *lines, rest = text.split("\n")
    for line in lines:
        what = json.loads(line)
        if "log" in what:
            job.log(what["log"])
        else:
            job.progress(what["progress"], T.of(what["stage"]), what["detail"])
    return rest


def _raise(folder: Path, codes: Sequence[int | None], errors: Sequence[Path]) -> None:
    """One error for all processes: of the one that was killed, or of the first that failed; the others fail because of it."""
    killed = next((rank for rank, code in enumerate(codes) if code is not None and code < 0), None)
    silent = next(
        (rank for rank, code in enumerate(codes) if code and not (folder / f"{rank}.error.json").exists()), None
    )
    dead = killed if killed is not None else silent
    if dead is None:
        dead = int(errors[0].name.partition(".")[0])
    note = folder / f"{dead}.error.json"
    found = json.loads(note.read_text(encoding="utf-8")) if note.exists() and killed is None else {}
    if "error" in found:
        raise _same(found["error"])
    code = codes[dead] if dead < len(codes) else None
    how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit {code if code else 1}"
    if found:
        lines = found["text"].strip().splitlines()[-_LINES:]
    else:
        logs = [folder / f"{dead}.log", folder / "driver.log"]
        text = next((log.read_text(errors="replace") for log in logs if log.exists()), "")
        lines = text.strip().splitlines()[-_LINES:]
    last = "\n".join(line[:300] for line in lines)
    raise UpstreamError(
        T(f"Process {dead} of the run ended ({how}), and the run with it. Its last lines:\n{last}",
          f"训练的第 {dead} 号进程结束（{how}），训练随之终止。它的最后几行：\n{last}"),
        code="rank_died", fix="zhilu jobs retry ID (zhilu jobs list)",
    )  # fmt: skip


def _same(body: dict[str, Any]) -> ZhiluError:
    kind = InputError if body["type"] == "invalid_request_error" else UpstreamError
    return kind(T.of(body["messages"]), param=body["param"], code=body["code"], fix=body["fix"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
