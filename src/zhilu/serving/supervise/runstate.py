"""``run/engines.json``: which engine processes belong to which gateway, so that a later one can clean up after a kill.

A process is known by pid *and* creation time: a pid alone may long since belong to someone else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from zhilu.home import Home, atomic_write, file_lock
from zhilu.logs import get_logger

__all__ = ["ENGINES_FILE", "EngineRecord", "ProcessId", "RunState"]

log = get_logger(__name__)
ENGINES_FILE = "engines.json"


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be mistaken for another; ``created``: seconds since the epoch."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Of a process that was just started; one that has ended already is never found again."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return cls(pid, 0.0)

    def find(self) -> psutil.Process | None:
        """The live process, or None; a zombie is not alive."""
        try:
            process = psutil.Process(self.pid)
            # The boot time that creation times are computed from may shift by a second when the clock is set.
            same = abs(process.create_time() - self.created) < 2.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


@dataclass(frozen=True)
class EngineRecord:
    """One engine as it stands in the file, for whoever wants to know what runs (``zhilu model list``, a later gateway).

    Attributes:
        state: one of ``served.State``; ``detail`` says it in words.
        process: None where there is none: it failed to start, or the model lives behind a URL.
        owner: the gateway that started it.
    """

    model: str
    engine: str
    state: str
    detail: str
    process: ProcessId | None
    port: int | None
    owner: ProcessId


class RunState:
    """The file, shared by every gateway on this home. All methods block on a file lock: call them in a thread."""

    def __init__(self, home: Home) -> None:
        self.path: Path = home.run / ENGINES_FILE
        self._lock: Path = home.run / "engines.lock"
        self.owner = ProcessId.of(os.getpid())

    def write(self, mine: Iterable[EngineRecord]) -> None:
        """Replace this gateway's records and keep those of other live gateways."""
        with file_lock(self._lock):
            others = [r for r in self._read() if r.owner != self.owner and r.owner.find()]
            records = [*others, *mine]
            atomic_write(self.path, json.dumps([asdict(r) for r in records], indent=1))

    def read(self) -> list[EngineRecord]:
        with file_lock(self._lock):
            return self._read()

    def clear_orphans(self, grace: float = 3.0) -> list[EngineRecord]:
        """End engines whose gateway is dead, and forget them; returns those that were still alive.

        Engines watch their gateway and end by themselves; this is for one that hangs or could not.
        """
        with file_lock(self._lock):
            for half in self.path.parent.glob(f".{self.path.name}.*.tmp"):
                half.unlink(missing_ok=True)  # of a writer that was killed; whoever writes holds the lock
            records = self._read()
            lost = [r for r in records if not r.owner.find()]
            alive = [(r, found) for r in lost if r.process and (found := r.process.find()) is not None]
            for _, process in alive:
                with suppress(psutil.Error):
                    process.terminate()
            _, stubborn = psutil.wait_procs([process for _, process in alive], timeout=grace)
            for process in stubborn:
                with suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(stubborn, timeout=grace)
            if lost or self.path.exists():
                kept = [r for r in records if r not in lost]
                atomic_write(self.path, json.dumps([asdict(r) for r in kept], indent=1))
        for record, _ in alive:
            log.warning("orphan_engine_ended", model=record.model, process=record.process)
        return [record for record, _ in alive]

    def _read(self) -> list[EngineRecord]:
        try:
            return [_record(item) for item in json.loads(self.path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            # Written atomically, so only a foreign hand can have broken it. Engines end with their gateway anyway.
            log.warning("run_state_unreadable", path=str(self.path), error=str(error))
            return []


def _record(item: dict[str, Any]) -> EngineRecord:
    return EngineRecord(
        model=str(item["model"]),
        engine=str(item["engine"]),
        state=str(item["state"]),
        detail=str(item["detail"]),
        process=ProcessId(**item["process"]) if item["process"] else None,
        port=item["port"],
        owner=ProcessId(**item["owner"]),
    )
