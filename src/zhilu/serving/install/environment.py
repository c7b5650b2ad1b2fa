"""Where an engine's own environment is, and whether it is whole: the last step writes a note into it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from zhilu.messages import T

__all__ = ["NOTE", "environment", "installed_note", "python_of", "state_of"]

NOTE = "zhilu-engine.json"  # version, packages, proof; an environment without it is half-made


def environment(name: str, home: Path | None = None) -> Path:
    """``engines/NAME`` of the data home; ``home`` None: what ``ZHILU_HOME`` says."""
    root = home or Path(os.environ.get("ZHILU_HOME") or "~/.zhilu").expanduser().absolute()
    return root / "engines" / name


def python_of(name: str, home: Path | None = None) -> Path:
    """The environment's interpreter, whether it is there or not."""
    return environment(name, home) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed_note(name: str, home: Path | None = None) -> dict[str, Any] | None:
    """What the installation noted when it was whole; None where there is no whole one."""
    try:
        note = json.loads((environment(name, home) / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) and "version" in note else None


def state_of(name: str, home: Path | None = None) -> tuple[bool, T]:
    """Whether there is a whole environment, and which, or what to do."""
    note = installed_note(name, home)
    if note is not None:
        return True, T(f"{note['version']}, in its own environment", f"{note['version']}，位于独立环境")
    command = f"zhilu engine install {name}"
    if environment(name, home).is_dir():
        return False, T(f"its installation did not finish: {command}", f"安装没有完成：{command}")
    return False, T(f"not installed: {command}", f"未安装：{command}")
