"""Which models are loaded right now. ``serving`` notes it in a file in the home, because nothing here imports serving."""

from __future__ import annotations

import json
from typing import Any

from zhilu.home import Home
from zhilu.process import Birth

__all__ = ["engine_states"]

_STATES = ("ready", "starting", "failed", "stopped")


def engine_states(home: Home) -> dict[str, dict[str, Any]]:
    """``state``, ``engine`` and ``detail`` by model name, from ``run/engines.json``.

    What a gateway that is gone has noted does not count, nor a running model whose process is gone.
    """
    try:
        noted = json.loads((home.run / "engines.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: dict[str, dict[str, Any]] = {}
    for entry in noted if isinstance(noted, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("model"), str) and _counts(entry):
            found[entry["model"]] = {
                "state": entry["state"],
                "engine": entry.get("engine"),
                "detail": str(entry.get("detail") or ""),
            }
    return found


def _counts(entry: dict[str, Any]) -> bool:
    if entry.get("state") not in _STATES or not _is_alive(entry.get("owner")):
        return False
    runs = entry["state"] in ("ready", "starting") and entry.get("process") is not None  # none: it lives behind a URL
    return not runs or _is_alive(entry["process"])


def _is_alive(process: Any) -> bool:
    """A process as serving notes it."""
    try:
        return Birth.read(process).is_alive()
    except (KeyError, TypeError, ValueError):
        return False
