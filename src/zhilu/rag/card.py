"""A knowledge base's card: its name and what it was made with, kept beside the database in case that is damaged.

``kbs/<id>/card.json``, and the name of each original in ``files/<doc_id>/name``. The database is what counts. These files are
read only if the database cannot be read: to show which knowledge base is damaged, and to rebuild it from the originals.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from zhilu.home import atomic_write

__all__ = ["note_name", "read_card", "read_name", "write_card"]

_FILE = "card.json"


def write_card(folder: Path, meta: dict[str, str]) -> None:
    """Note ``meta`` if it is not what stands there. A card that cannot be written stops nothing."""
    if read_card(folder) != meta:
        with suppress(OSError):
            atomic_write(folder / _FILE, json.dumps(meta, ensure_ascii=False, indent=1))


def read_card(folder: Path) -> dict[str, str]:
    """What the card says; empty where there is none that can be read."""
    try:
        data = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in data.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def note_name(original: Path, name: str, series: str, version: int) -> None:
    """Note what the file was called by its owner, and which version of which document it is (a second line, where it is not
    the first of its own)."""
    text = name if series == original.parent.name and version == 1 else f"{name}\n{series} {version}"
    with suppress(OSError):
        if not original.with_name("name").exists():
            atomic_write(original.with_name("name"), text)


def read_name(original: Path) -> tuple[str, str, int] | None:
    """``(name, series, version)`` as ``note_name`` wrote them; None where nothing is noted."""
    try:
        name, _, place = original.with_name("name").read_text(encoding="utf-8").partition("\n")
        series, version = place.split() if place else (original.parent.name, "1")
        return (name, series, int(version)) if name else None
    except (OSError, ValueError):
        return None
