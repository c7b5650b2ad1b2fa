"""``suffix`` of a completion, for engines that have no such field: the prompt is written with the model's own marks.
Its vocabulary says whether it has any; nothing is guessed from its name."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from zhilu import wire
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T
from zhilu.models.check import gguf_files
from zhilu.prompts.fill import FILL_MARKS, FillMarks
from zhilu.serving.served import Served

__all__ = ["fill_marks_of", "filled"]

_HEAD = 64 << 20  # a GGUF file's vocabulary stands in its head


def filled(served: Served, data: Mapping[str, Any], body: wire.Request) -> dict[str, Any] | None:
    """The request as the engine takes it; None where nothing is to be filled in, or the engine does it itself.

    Raises:
        UnsupportedError: the model was not taught to fill in. InputError: several prompts, or ``echo`` beside it.
    """
    if not isinstance(body, wire.CompletionRequest) or not body.suffix or "suffix" in served.facts.can:
        return None
    marks = fill_marks_of(served.model.path)
    if marks is None:
        raise UnsupportedError(
            T(
                f"{served.model.name!r} has no tokens to fill in the middle with: suffix is not supported.",
                f"{served.model.name!r} 没有用于中间填充的 token：不支持 suffix。",
            ),
            param="suffix",
            fix="zhilu model pull qwen2.5-coder-1.5b",
        )
    if not isinstance(body.prompt, str) or body.echo:
        raise InputError(
            T(
                "suffix goes with one prompt of text, and without echo.",
                "suffix 只能与一个文本 prompt 一起使用，且不带 echo。",
            ),
            param="suffix",
        )
    given = data.get("stop")
    stops = [given] if isinstance(given, str) else list(given or ())
    changed = {**data, "prompt": marks.prompt(body.prompt, body.suffix)}
    del changed["suffix"]
    if "special_tokens" in served.facts.can:  # the marks of an end are seen as text, and end it
        changed |= {"skip_special_tokens": False, "stop": [*stops, *marks.ends]}
    return changed


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
