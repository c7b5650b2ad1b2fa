"""``suffix`` of a completion, for engines that have no such field: the prompt is written with the model's own marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zhilu import wire
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T
from zhilu.models.fill import fill_marks_of
from zhilu.serving.served import Served

__all__ = ["filled"]


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
