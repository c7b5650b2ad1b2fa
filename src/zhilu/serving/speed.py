"""How fast engines were with a model on this machine, as ``zhilu bench serve`` measured: ``cache/speeds.json`` of the data home.

``--engine auto`` goes by these figures once two engines have them. They are of a processor and of files as they were: on
another machine, or with a changed file, they count no more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from zhilu.engine.processor import processor
from zhilu.home import atomic_write, file_lock
from zhilu.messages import T

__all__ = ["Speed", "fastest", "keep_speed", "model_key", "read_speeds"]

# A question over documents, as one person waits for it: tokens read and written.
_READ, _WRITTEN = 500, 100
_KEPT_MODELS = 200
_NAME = "speeds.json"


@dataclass(frozen=True)
class Speed:
    """Tokens a second; None: not measured.

    Attributes:
        read: of a prompt, with one request. write: of an answer, with one request.
        many: of all answers together, with ``streams`` requests at a time.
        at: when (ISO, UTC).
    """

    read: float | None = None
    write: float | None = None
    many: float | None = None
    streams: int | None = None
    at: str = ""

    def seconds(self, many: bool) -> float | None:
        """What is compared: of a usual question, or of a token where many ask; None where that was not measured."""
        if many:
            return 1 / self.many if self.many else None
        return _READ / self.read + _WRITTEN / self.write if self.read and self.write else None

    def say(self, many: bool) -> T:
        if many:
            return T(f"{self.many:.0f} tok/s with {self.streams} streams", f"{self.streams} 路共 {self.many:.0f} tok/s")
        return T(
            f"reads {self.read:.0f} and writes {self.write:.0f} tok/s",
            f"读 {self.read:.0f}、写 {self.write:.0f} tok/s",
        )


def model_key(path: Path) -> str:
    """Of a file, or of a folder's weights and configuration, by place, size and time."""
    files = [path] if path.is_file() else sorted((*path.glob("*.safetensors"), path / "config.json"))
    seen = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:24]


def read_speeds(home: Path, path: Path) -> dict[str, Speed]:
    """Those of each engine with this model on this machine; none where nothing was measured or the file is damaged."""
    try:
        kept = json.loads((home / "cache" / _NAME).read_text(encoding="utf-8"))
        own = kept["models"][model_key(path)] if kept["processor"] == processor().name else {}
        return {str(engine): Speed(**figures) for engine, figures in own.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep_speed(home: Path, path: Path, engine: str, measured: Speed) -> None:
    """Add figures to what is known; those that ``measured`` has not stay as they were."""
    place = home / "cache" / _NAME
    place.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(home / "run" / "speeds.lock"):
        known = read_speeds(home, path)
        figures = {name: value for name, value in asdict(measured).items() if value is not None}
        figures["at"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        known[engine] = replace(known.get(engine, Speed()), **figures)
        models = _models(place)
        models.pop(key := model_key(path), None)
        models[key] = {name: asdict(speed) for name, speed in known.items()}
        kept = dict(list(models.items())[-_KEPT_MODELS:])
        atomic_write(place, json.dumps({"processor": processor().name, "models": kept}, indent=1) + "\n")


def fastest(speeds: dict[str, Speed], engines: Sequence[str], many: bool) -> tuple[str, T] | None:
    """Of those of ``engines`` that were measured, if at least two were, and what was measured of each."""
    times = {name: seconds for name in engines if name in speeds and (seconds := speeds[name].seconds(many))}
    if len(times) < 2:
        return None
    said = {name: speeds[name].say(many) for name in sorted(times, key=lambda name: times[name])}
    return next(iter(said)), T(
        "measured here: " + "; ".join(f"{name} {text.en}" for name, text in said.items()),
        "在本机测得：" + "；".join(f"{name} {text.zh}" for name, text in said.items()),
    )


def _models(place: Path) -> dict[str, Any]:
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
        return dict(kept["models"]) if kept["processor"] == processor().name else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
