"""Which models are loaded right now, as ``serving`` notes it in the home: a file, because nothing here imports serving."""

from __future__ import annotations

import json
from typing import Any

from zhilu.home import Home

__all__ = ["engine_states"]

_STATES = ("ready", "starting", "failed", "stopped")


def engine_states(home: Home) -> dict[str, dict[str, Any]]:
    """``state``, ``engine`` and ``detail`` by model name. An entry whose process is gone does not count."""
    try:
        noted = json.loads((home.run / "engines.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    entries = noted.get("engines", []) if isinstance(noted, dict) else noted
    found = {}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
            continue
        state = entry.get("state") if entry.get("state") in _STATES else "ready"
        if state in ("ready", "starting") and not _is_alive(entry):
            continue
        found[entry["model"]] = {
            "state": state, "engine": entry.get("engine"), "detail": str(entry.get("detail") or "")
        }  # fmt: skip
    return found


def _is_alive(entry: dict[str, Any]) -> bool:
    import psutil

    process: Any = entry.get("process", entry)
    try:
        found = psutil.Process(int(process["pid"]))
        same = "created" not in process or abs(found.create_time() - float(process["created"])) < 2.0
        return same and found.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
