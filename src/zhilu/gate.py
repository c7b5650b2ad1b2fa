"""What a gate is: run the thing, measure a number, apply a pass rule, store the evidence.

A capability folder lists its gates in ``gates.py`` as ``GATES``. ``roadmap`` finds them, runs them and keeps what they return.
A gate never passes because of a claim, an import or the existence of a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Artefact", "Because", "Figure", "Gate", "Status", "Verdict"]


class Status(str, Enum):
    """The four verdicts of ROADMAP."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_YET = "not_yet"
    CANNOT_RUN_HERE = "cannot_run_here"


class Because(str, Enum):
    """Why a gate could not give its verdict here. Only a machine that forbids it is out of a person's hands."""

    MACHINE = "machine"  # the hardware or the system forbids it
    COMPONENT = "component"  # something is not installed; ``fix`` installs it
    SETTING = "setting"  # not as things are set up now; ``fix`` changes that
    MISSED = "missed"  # it ran and fell short of the bar, where nothing here claims to reach it


@dataclass(frozen=True)
class Figure:
    """One measured value; ``unit`` is empty for counts and names."""

    name: T
    value: float | int | str
    unit: str = ""

    def data(self) -> dict[str, Any]:
        return {"name": self.name.data(), "value": self.value, "unit": self.unit}


@dataclass(frozen=True)
class Artefact:
    """What was checked, by content: a later reader can tell whether it is still the same thing."""

    name: str
    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path, name: str | None = None) -> Artefact:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return cls(name or path.name, digest.hexdigest(), path.stat().st_size)

    @classmethod
    def of_bytes(cls, name: str, content: bytes) -> Artefact:
        return cls(name, hashlib.sha256(content).hexdigest(), len(content))

    def data(self) -> dict[str, Any]:
        return {"name": self.name, "sha256": self.sha256, "size": self.size}


@dataclass(frozen=True)
class Verdict:
    """The outcome of a gate. ``why`` explains in words; ``fix`` is the next command where there is one; ``because`` goes
    with ``cannot_run_here``."""

    status: Status
    why: T
    figures: list[Figure] = field(default_factory=list)
    artefacts: list[Artefact] = field(default_factory=list)
    fix: str | None = None
    because: Because | None = None

    @classmethod
    def passed(cls, why: T, *figures: Figure, artefacts: list[Artefact] | None = None) -> Verdict:
        return cls(Status.PASSED, why, list(figures), artefacts or [])

    @classmethod
    def failed(
        cls, why: T, *figures: Figure, fix: str | None = None, artefacts: list[Artefact] | None = None
    ) -> Verdict:
        return cls(Status.FAILED, why, list(figures), artefacts or [], fix)

    @classmethod
    def not_yet(cls, why: T, *, fix: str | None = None) -> Verdict:
        return cls(Status.NOT_YET, why, fix=fix)

    @classmethod
    def cannot_run_here(
        cls, why: T, *figures: Figure, fix: str | None = None, because: Because = Because.MACHINE
    ) -> Verdict:
        return cls(Status.CANNOT_RUN_HERE, why, list(figures), fix=fix, because=because)

    def data(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "why": self.why.data(),
            "figures": [f.data() for f in self.figures],
            "artefacts": [a.data() for a in self.artefacts],
            "fix": self.fix,
            "because": self.because.value if self.because else None,
        }


@dataclass(frozen=True)
class Gate:
    """A check of one roadmap task.

    Attributes:
        task: the task's number in ROADMAP, such as ``"4.1"``.
        title: what is checked, in a few words.
        run: does it; may raise a ZhiluError, which counts as ``failed`` with its message and fix.
        needs: tasks whose gates should have passed first (shown, not enforced).
        slow: takes more than about ten seconds; ``zhilu check`` says so before it starts.
    """

    task: str
    title: T
    run: Callable[[Context], Verdict]
    needs: tuple[str, ...] = ()
    slow: bool = False
