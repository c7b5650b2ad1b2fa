"""Small scripts that an examined interpreter runs on itself. Each prints one line of JSON.

They import nothing of Zhilu, so that any interpreter can run them by path: the one that runs Zhilu, or the one in another
engine's environment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zhilu.doctor.runner import TIMED_OUT, Machine

__all__ = ["look", "script"]


def script(name: str) -> str:
    """The path of a script of this folder."""
    return str(Path(__file__).with_name(f"look_{name}.py"))


def look(runner: Machine, python: str, name: str, *args: str, timeout: float = 3.0) -> dict[str, Any]:
    """Run a script in ``python``.

    Returns:
        its answer; or ``{"failed": <last words>}``; or ``{"timed_out": True}``.
    """
    done = runner.run([python, script(name), *args], timeout=timeout)
    if done.code == TIMED_OUT:
        return {"timed_out": True}
    lines = [line for line in done.out.splitlines() if line.startswith("{")]
    if not lines:
        return {"failed": (done.err.strip().splitlines() or [f"exit status {done.code}"])[-1]}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer
