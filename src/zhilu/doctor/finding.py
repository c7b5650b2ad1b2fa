"""What a probe reports: one finding, with the command that fixes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from zhilu.messages import T

__all__ = ["Finding", "Severity"]


class Severity(IntEnum):
    """How much a finding matters; sorts from harmless to serious.

    ERROR: something of the roadmap's stage 0 or of Zhilu is broken until this is mended. WARNING: works today, will
    bite soon or is slow. INFO: an optional part is missing. OK: looked at and good.
    """

    OK = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        id: stable, ``probe.what`` (such as ``torch.cpu_build``): tests, the UI and scripts go by it.
        title: what it is about, in a few words.
        what: what was found on this machine, with its values.
        why: why it matters and, where it is not plain, where to type the fix.
        fix: commands to paste, in order; empty when there is nothing to do.
        docs: where the rule behind it is written.
    """

    id: str
    severity: Severity
    title: T
    what: T
    why: T | None = None
    fix: tuple[str, ...] = ()
    docs: str | None = None

    def data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "severity": self.severity.name.lower(),
            "title": self.title.data(),
            "what": self.what.data(),
            "why": self.why.data() if self.why else None,
            "fix": list(self.fix),
            "docs": self.docs,
        }


def ok(id: str, title: T, what: T) -> Finding:
    """A finding that says all is well."""
    return Finding(id, Severity.OK, title, what)
