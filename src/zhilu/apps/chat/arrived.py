"""What has arrived of an answer so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Arrived"]


@dataclass
class Arrived:
    """``fields``: of ``store.Message``, as far as they are known. ``goes_on``: its work outlives this process, so that it is not
    over when this process ends."""

    text: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    thinking_since: float | None = None
    goes_on: bool = False

    def think(self, text: str) -> None:
        self.thinking_since = self.thinking_since or time.monotonic()
        self.fields["thought"] = self.fields.get("thought", "") + text
        self.fields["thought_seconds"] = round(time.monotonic() - self.thinking_since, 2)

    def note(self, en: str, zh: str) -> None:
        """Something that a person must know of how the answer came about."""
        notes = self.fields.setdefault("notes", [])
        if {"en": en, "zh": zh} not in notes:
            notes.append({"en": en, "zh": zh})
