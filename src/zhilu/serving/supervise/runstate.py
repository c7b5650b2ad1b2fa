"""``run/engines.json``: which engine processes belong to which gateway, so that a later one can clean up after a kill.

A process is identified by pid *and* birth (``zhilu.process``): a pid alone may long since belong to another process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from zhilu.home import Home, atomic_write, file_lock
from zhilu.logs import get_logger
from zhilu.process import Birth, mine

__all__ = ["ENGINES_FILE", "EngineRecord", "RunState"]

log = get_logger(__name__)
ENGINES_FILE = "engines.json"


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
    process: Birth | None
    port: int | None
    owner: Birth


class RunState:
    """The file, shared by every gateway on this home. All methods block on a file lock: call them in a thread."""

    def __init__(self, home: Home) -> None:
        self.path: Path = home.run / ENGINES_FILE
        self._lock: Path = home.run / "engines.lock"
        self.owner = mine()

    def write(self, ours: Iterable[EngineRecord]) -> None:
        """Replace this gateway's records and keep those of other live gateways."""
        with file_lock(self._lock):
            others = [r for r in self._read() if r.owner != self.owner and r.owner.is_alive()]
            records = [*others, *ours]
            self._keep(records)

    def _keep(self, records: Iterable[EngineRecord]) -> None:
        """A full disk ends no engine, no watch over one, and no start: what is not noted is only found later."""
        try:
            atomic_write(self.path, json.dumps([_noted(r) for r in records], indent=1))
        except OSError as error:
            log.warning("engines_not_recorded", error=str(error))

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
            lost = [r for r in records if not r.owner.is_alive()]
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
                self._keep(r for r in records if r not in lost)
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


def _noted(record: EngineRecord) -> dict[str, Any]:
    process = record.process and record.process.note()
    return {**asdict(record), "process": process, "owner": record.owner.note()}


def _record(item: dict[str, Any]) -> EngineRecord:
    return EngineRecord(
        model=str(item["model"]),
        engine=str(item["engine"]),
        state=str(item["state"]),
        detail=str(item["detail"]),
        process=Birth.read(item["process"]) if item["process"] else None,
        port=item["port"],
        owner=Birth.read(item["owner"]),
    )
