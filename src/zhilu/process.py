"""The identity of a process: its pid together with its birth.

The system gives a pid to another process after the first has ended, so a pid alone is not an identity.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import psutil

__all__ = ["Birth", "mine"]

# Births are read twice from the same counter: only the rounding to a clock tick (10 ms) may differ.
_TOLERANCE_SECONDS = 0.02
# Files of Zhilu 0.1 hold seconds since the epoch, which psutil computes from the boot time: that moves when the clock is set.
_EPOCH_TOLERANCE_SECONDS = 2.0


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

    @classmethod
    def of_new(cls, pid: int) -> Birth:
        """Of a process that was just started; one that has ended already is never alive."""
        return cls.of(pid) or cls(pid, -1.0)

    @classmethod
    def read(cls, noted: Mapping[str, Any]) -> Birth:
        """As ``note`` wrote it, or as Zhilu 0.1 did (``created`` or ``pid_started``, since the epoch).

        Raises:
            KeyError, TypeError, ValueError: it is neither.
        """
        pid = int(noted["pid"])
        if "started" in noted:
            return cls(pid, float(noted["started"]))
        created = float(noted["created"] if "created" in noted else noted["pid_started"])
        now = _created(pid)
        same = now is not None and abs(now - created) < _EPOCH_TOLERANCE_SECONDS
        return cls.of_new(pid) if same else cls(pid, -1.0)

    def note(self) -> dict[str, Any]:
        """For a file that another process reads."""
        return {"pid": self.pid, "started": self.started}

    def is_alive(self) -> bool:
        now = Birth.of(self.pid)
        return now is not None and abs(now.started - self.started) < _TOLERANCE_SECONDS

    def find(self) -> psutil.Process | None:
        """The live process, or None."""
        import psutil

        try:
            return psutil.Process(self.pid) if self.is_alive() else None
        except psutil.Error:
            return None


def mine() -> Birth:
    """This process."""
    birth = Birth.of(os.getpid())
    assert birth is not None
    return birth


def _from_proc(pid: int) -> Birth | None:
    # Field 22 counts clock ticks since boot. psutil adds the boot time to it, which moves when the clock is set
    # (WSL2 does so after every sleep of the laptop), and a living process would look like another one.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name in parentheses may hold spaces
    if fields[0] in "ZX":
        return None
    return Birth(pid, int(fields[19]) / os.sysconf("SC_CLK_TCK"))


def _created(pid: int) -> float | None:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None
