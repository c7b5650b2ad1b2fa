"""What a person serves that is not in the model store: models behind a URL, and adapters loaded by a request.

It is kept in ``engines/served.json``, so neither a restart nor a kill loses it. Keys are never written. After a restart, a
server that needs a key is asked without one unless ``OPENAI_API_KEY`` holds it, and the person sees that server's refusal.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from zhilu.home import Home, atomic_write, file_lock
from zhilu.logs import get_logger

__all__ = ["Remembered", "RememberedAdapter", "RemoteModel"]

log = get_logger(__name__)


@dataclass(frozen=True)
class RemoteModel:
    """A model behind a URL: its name here, the engine that reaches it, and its name there."""

    name: str
    engine: str
    base_url: str
    remote_model: str | None = None


@dataclass(frozen=True)
class RememberedAdapter:
    """A LoRA adapter: its name as a model, its folder, and the model that it changes."""

    name: str
    path: str
    parent: str


class Remembered:
    """The file. Reads it once; each change is written at once. Methods that change block on the disk for a moment."""

    def __init__(self, home: Home) -> None:
        self.path: Path = home.engines / "served.json"
        self._lock = home.run / "served.lock"
        self.remote: dict[str, RemoteModel] = {}
        self.adapters: dict[str, RememberedAdapter] = {}
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
            self.remote = {item["name"]: RemoteModel(**item) for item in data["remote"]}
            self.adapters = {item["name"]: RememberedAdapter(**item) for item in data["adapters"]}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            # Written atomically, so only a foreign hand can have broken it; it holds nothing that cannot be said again.
            log.warning("served_file_unreadable", path=str(self.path), error=str(error))

    def keep(self, item: RemoteModel | RememberedAdapter) -> None:
        if isinstance(item, RememberedAdapter):
            self.adapters[item.name] = item
        else:
            self.remote[item.name] = item
        self._write()

    def forget(self, name: str) -> None:
        if self.remote.pop(name, None) or self.adapters.pop(name, None):
            self._write()

    def _write(self) -> None:
        data = {
            "remote": [asdict(model) for model in self.remote.values()],
            "adapters": [asdict(adapter) for adapter in self.adapters.values()],
        }
        with file_lock(self._lock):
            atomic_write(self.path, json.dumps(data, indent=1, ensure_ascii=False))
