"""Tool calls in Hermes format: ``<tool_call>\\n{"name": …, "arguments": {…}}\\n</tool_call>`` in the model's text.

The format is Nous Research's Hermes function calling, which Qwen2.5 and Qwen3 are trained on. What is no valid call stays
text: a reader sees what the model wrote rather than nothing.
"""

from __future__ import annotations

import json
from typing import Any

from zhilu import wire
from zhilu.engine.detokenizer import overlap

__all__ = ["ToolCallParser"]

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


class ToolCallParser:
    """Splits streamed text into plain text and finished calls. ``push`` as text comes, ``finish`` at the end."""

    def __init__(self) -> None:
        self.num_calls = 0
        self._held = ""  # from a possible opening mark on
        self._behind_call = False

    def push(self, text: str) -> tuple[str, list[dict[str, Any]]]:
        """Returns the text that may be shown and the tool calls that became complete (OpenAI's shape)."""
        self._held += text
        shown = ""
        calls: list[dict[str, Any]] = []
        while True:
            start = self._held.find(_OPEN)
            if start < 0:
                keep = overlap(self._held, _OPEN)
                shown += self._visible(self._held[: len(self._held) - keep])
                self._held = self._held[len(self._held) - keep :]
                return shown, calls
            shown += self._visible(self._held[:start])
            self._held = self._held[start:]
            end = self._held.find(_CLOSE)
            if end < 0:
                return shown, calls
            whole, self._held = self._held[: end + len(_CLOSE)], self._held[end + len(_CLOSE) :]
            call = _parse(whole[len(_OPEN) : -len(_CLOSE)])
            if call is None:
                shown += whole
            else:
                calls.append(call)
                self.num_calls += 1
                self._behind_call = True

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        """The rest. A last call without its closing mark counts if it is whole JSON: small models forget the mark."""
        held, self._held = self._held, ""
        call = _parse(held.removeprefix(_OPEN)) if held.startswith(_OPEN) else None
        if call is None:
            return self._visible(held), []
        self.num_calls += 1
        return "", [call]

    def _visible(self, text: str) -> str:
        """White space behind a call is layout, not an answer."""
        if self._behind_call:
            text = text.lstrip()
            self._behind_call = not text
        return text


def _parse(text: str) -> dict[str, Any] | None:
    try:
        data = json.loads(text)
    except ValueError:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        return None
    arguments = data.get("arguments", data.get("parameters", {}))
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return {"id": wire.new_id("call"), "type": "function", "function": {"name": data["name"], "arguments": arguments}}
