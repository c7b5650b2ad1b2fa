"""OpenAI's ``system_fingerprint``: changes with whatever can change an answer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zhilu import __version__

__all__ = ["fingerprint"]

_END_BYTES = 64 * 1024
_ARITHMETIC = ("runner", "dtype", "precision")


def fingerprint(runner: Mapping[str, Any], model: Path) -> str:
    """Of our version, the model's files and the arithmetic, as ``Runner.describe`` tells it."""
    files = [model] if model.is_file() else sorted(path for path in model.iterdir() if path.is_file())
    arithmetic = {key: runner[key] for key in _ARITHMETIC if key in runner}
    told = repr((__version__, [(path.name, *_ends_of(path)) for path in files], arithmetic))
    return "fp_" + hashlib.sha256(told.encode()).hexdigest()[:12]


def _ends_of(path: Path) -> tuple[int, str]:
    """Size, and a digest of the first and last 64 KB: a model and its fine-tuned sibling have files of one size."""
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_END_BYTES))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return size, digest.hexdigest()
