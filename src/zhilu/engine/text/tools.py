"""Tool calls in Hermes format: ``<tool_call>\\n{"name": …, "arguments": {…}}\\n</tool_call>`` in the model's text.

The format is Nous Research's Hermes function calling, which Qwen2.5 and Qwen3 are trained on. What is no valid call stays
text: a reader sees what the model wrote rather than nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from zhilu import wire
from zhilu.engine.text.detokenizer import overlap

__all__ = ["ToolCallParser"]

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
# Everything before the arguments' object, once the name is certain.
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*(?P<name>"(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')


class ToolCallParser:
    """Splits streamed text into plain text and tool calls. ``push`` as text comes, ``finish`` at the end.

    A call comes in one piece, and only if it is whole: one that a limit or a stop string cuts cannot be taken back once its
    beginning is out, and half of a JSON text is of no use to anybody. Calls have OpenAI's shape of a streamed delta.

    Args:
        max_calls: further calls are left out.
        names: of the tools that were offered; a call of any other is no call. None: any name.
    """

    def __init__(self, max_calls: int | None = None, names: Collection[str] | None = None) -> None:
        self.num_calls = 0
        self._max_calls = max_calls
        self._names = names
        self._held = ""  # from a possible opening mark on
        self._behind_call = False

    def push(self, text: str) -> tuple[str, list[dict[str, Any]]]:
        """Returns the text that may be shown and what is new of tool calls."""
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
            end = _end_of_call(self._held)
            if end is None:
                return shown, calls
            whole, self._held = self._held[:end], self._held[end:]
            if not self._tell(_parse(whole[len(_OPEN) : -len(_CLOSE)]), calls):
                shown += whole

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        """The rest. A last call without its closing mark counts if it is whole JSON: small models forget the mark."""
        held, self._held = self._held, ""
        calls: list[dict[str, Any]] = []
        if held.startswith(_OPEN) and self._tell(_parse(held.removeprefix(_OPEN)), calls):
            return "", calls
        return self._visible(held), []

    def _tell(self, call: tuple[str, str] | None, calls: list[dict[str, Any]]) -> bool:
        """A whole call; False if it is none, or of a tool that was not offered."""
        if call is None or (self._names is not None and call[0] not in self._names):
            return False
        if self._may_call:
            calls.append(_delta(self.num_calls, *call))
        self.num_calls += 1
        self._behind_call = True
        return True

    @property
    def _may_call(self) -> bool:
        return self._max_calls is None or self.num_calls < self._max_calls

    def _visible(self, text: str) -> str:
        """White space behind a call is layout, not an answer."""
        if self._behind_call:
            text = text.lstrip()
            self._behind_call = not text
        return text


class _ObjectScan:
    """Finds where a JSON object that comes in pieces ends."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = False
        self.is_closed = False
        self._escaped = False

    def push(self, text: str) -> int:
        """How many characters of ``text`` belong to the object."""
        for position, character in enumerate(text):
            if self.in_string:
                if self._escaped or character == "\\":
                    self._escaped = not self._escaped
                elif character == '"':
                    self.in_string = False
            elif character == '"':
                self.in_string = True
            elif character in "{[":
                self.depth += 1
            elif character in "}]":
                self.depth -= 1
                if self.depth <= 0:
                    self.is_closed = True
                    return position + 1
        return len(text)


def _end_of_call(text: str) -> int | None:
    """The position behind the closing mark of the call that ``text`` begins with; a mark within a JSON text is none."""
    end = text.find(_CLOSE)
    while end >= 0:
        scan = _ObjectScan()
        scan.push(text[len(_OPEN) : end])
        if not scan.in_string:
            return end + len(_CLOSE)
        end = text.find(_CLOSE, end + 1)
    return None


def _parse(text: str) -> tuple[str, str] | None:
    """Name and arguments (JSON text) of a whole call."""
    data = _loads(text)
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        return None
    head = _HEAD.match(text)
    if head:  # as the model wrote them, and as a stream would have told them
        return data["name"], text[head.end() : head.end() + _ObjectScan().push(text[head.end() :])]
    arguments = data.get("arguments", data.get("parameters", {}))
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return data["name"], arguments


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _delta(index: int, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": wire.new_id("call"), "type": "function", "function": function}
