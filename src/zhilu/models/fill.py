"""Whether a model can fill in the middle: its vocabulary says so, and nothing is guessed from its name."""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path

from zhilu.models.check import gguf_files
from zhilu.wire.fill import FILL_MARKS, FillMarks

__all__ = ["fill_marks_of"]

_HEAD = 64 << 20  # a GGUF file's vocabulary stands in its head


def fill_marks_of(path: Path | None) -> FillMarks | None:
    """The marks that a model of the store was taught; None where it was taught none, or nobody knows (it lives elsewhere)."""
    if path is None:
        return None
    found = gguf_files(path) if path.is_dir() else [path]
    file = found[0] if found else path / "tokenizer.json"
    try:
        return _marks_in(file, file.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _marks_in(file: Path, _changed: int) -> FillMarks | None:
    if file.stat().st_size == 0:
        return None
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for marks in FILL_MARKS:
            if all(text.find(mark.encode(), 0, _HEAD) >= 0 for mark in (marks.prefix, marks.suffix, marks.middle)):
                return marks
    return None
