"""The APIs that can be added by name, read from ``presets.toml``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from zhilu.messages import T

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - 3.10 only
    import tomli as tomllib

__all__ = ["Preset", "first_of", "presets"]

_FILE = Path(__file__).with_name("presets.toml")


class Preset(BaseModel):
    """One API as its maker documents it; ``first``: patterns of the models to try first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    en: str
    zh: str
    base_url: str = Field(pattern=r"^https?://")
    keys: str | None = None
    needs_key: bool = True
    first: tuple[str, ...] = ()

    @property
    def title(self) -> T:
        return T(self.en, self.zh)


@cache
def presets() -> dict[str, Preset]:
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {name: Preset(name=name, **entry) for name, entry in data.items()}


def first_of(models: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """``models``, those that match an earlier pattern before the others; within a pattern the newest name, else as given."""
    order: list[str] = []
    for pattern in patterns:
        order += sorted((name for name in models if fnmatch(name, pattern) and name not in order), reverse=True)
    return order + [name for name in models if name not in order]
