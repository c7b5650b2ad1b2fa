"""The evidence of gates: one JSON file a run, ``<home>/evidence/<task>/<time>.json``, written once and never again.

    {"schema_version": 1, "task": "4.3", "checked_at": "2026-11-23T20:15:02.123456Z", "seconds": 3.2,
     "verdict": {"status", "why", "figures": [{"name", "value", "unit"}], "artefacts": [{"name", "sha256", "size"}], "fix",
                 "because"},
     "versions": {"zhilu": "0.1.0", "python": "3.12.4", ...}, "machine": {...}}

Texts are ``{"en", "zh"}``. A later schema reads the older ones; an unreadable file is skipped, never mended.
"""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from zhilu import __version__
from zhilu.errors import InputError, mask_passwords
from zhilu.gate import Artefact, Because, Figure, Status, Verdict
from zhilu.home import Home
from zhilu.messages import T

__all__ = ["SCHEMA_VERSION", "Evidence", "EvidenceStore", "versions"]

SCHEMA_VERSION = 1
# What the product computes with: a figure without these versions cannot be compared.
PACKAGES = ("torch", "openvino", "transformers", "tokenizers", "numpy", "openai", "fastapi", "sqlalchemy")


@dataclass(frozen=True)
class Evidence:
    """One run of one gate."""

    task: str
    checked_at: str  # UTC, ISO 8601, microseconds
    seconds: float
    verdict: Verdict
    versions: Mapping[str, str]
    machine: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "task": self.task,
            "checked_at": self.checked_at,
            "seconds": round(self.seconds, 3),
            "verdict": self.verdict.data(),
            "versions": dict(self.versions),
            "machine": dict(self.machine),
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Evidence:
        """Read back what ``data`` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is not evidence of a schema we know.
        """
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {data['schema_version']!r}")
        verdict = data["verdict"]
        return cls(
            task=str(data["task"]),
            checked_at=str(data["checked_at"]),
            seconds=float(data["seconds"]),
            verdict=Verdict(
                Status(verdict["status"]),
                T.of(verdict["why"]),
                [Figure(T.of(f["name"]), f["value"], f["unit"]) for f in verdict["figures"]],
                [Artefact(a["name"], a["sha256"], a["size"]) for a in verdict["artefacts"]],
                verdict["fix"],
                Because(verdict["because"]) if verdict.get("because") else None,  # older evidence does not say
            ),
            versions=dict(data["versions"]),
            machine=dict(data["machine"]),
        )


class EvidenceStore:
    """The evidence of one home. Appends; nothing here changes or removes a file."""

    def __init__(self, home: Home) -> None:
        self.folder = home.evidence

    def append(self, evidence: Evidence) -> Path:
        """Write a new file; a name that is taken gets a number, so that two runs in one microsecond both stay."""
        folder = self._folder(evidence.task)
        folder.mkdir(parents=True, exist_ok=True)
        stem = evidence.checked_at.replace(":", "-")  # a colon is no file name on a Windows disk
        content = mask_passwords(json.dumps(evidence.data(), ensure_ascii=False, indent=1)).encode()
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{stem}.", suffix=".tmp")
        draft = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            for number in range(1000):
                path = folder / (f"{stem}.json" if number == 0 else f"{stem}~{number}.json")
                if _place(draft, path):
                    return path
            raise FileExistsError(str(folder / stem))
        finally:
            draft.unlink(missing_ok=True)

    def history(self, task: str) -> list[Evidence]:
        """Every run of a task's gate, the newest first."""
        return list(self._read(task))

    def latest(self, task: str) -> Evidence | None:
        """The newest run of a task's gate that can be read."""
        return next(self._read(task), None)

    def _read(self, task: str) -> Iterator[Evidence]:
        paths = sorted(self._folder(task).glob("*.json"), key=_age, reverse=True)
        return (evidence for path in paths if (evidence := _parse(path)) is not None)

    def _folder(self, task: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", task):
            raise InputError(T(f"{task!r} is no task.", f"{task!r} 不是任务编号。"), param="task", fix="zhilu learn")
        return self.folder / task


def _place(draft: Path, path: Path) -> bool:
    """Give ``draft`` its final name; False where the name is taken."""
    try:
        os.link(draft, path)  # unlike rename, it never replaces
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links (exFAT)
        if path.exists():
            return False
        os.rename(draft, path)
    return True


def _parse(path: Path) -> Evidence | None:
    try:
        return Evidence.of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _age(path: Path) -> tuple[str, int]:
    stem, _, number = path.stem.partition("~")
    return stem, int(number or 0)


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Zhilu, Python and the libraries that figures depend on; what is not installed is left out."""
    installed = {name: version for name in PACKAGES if (version := _version_of(name))}
    return {"zhilu": __version__, "python": platform.python_version(), **installed}


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
