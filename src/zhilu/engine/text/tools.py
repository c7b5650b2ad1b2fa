"""Tool calls in Hermes format: ``<tool_call>\\n{"name": …, "arguments": {…}}\\n</tool_call>`` in the model's text.

The format is Nous Research's Hermes function calling, which Qwen2.5 and Qwen3 are trained on. What is no valid call stays
text: a reader sees what the model wrote rather than nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from zhilu import wire
from zhilu.engine.text.detokenizer import overlap

__all__ = ["ToolCallParser"]

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
# Everything before the arguments' object, once the name is certain.
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*(?P<name>"(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)')


class ToolCallParser:
    """Splits streamed text into plain text and tool calls. ``push`` as text comes, ``finish`` at the end.

    Calls come in OpenAI's shape of a streamed delta: the first of a call has ``id`` and ``name``, all of them ``index``
    and a piece of ``arguments``.

    Args:
        eager: tell a call as soon as its name is certain and its arguments as they come; they may then turn out broken
            or cut. Otherwise a call comes in one piece, and only if it is whole.
        max_calls: further calls are left out.
    """

    def __init__(self, eager: bool = False, max_calls: int | None = None) -> None:
        self.num_calls = 0
        self._eager = eager
        self._max_calls = max_calls
        self._held = ""  # from a possible opening mark on
        self._arguments: _ObjectScan | None = None  # of the call that is being told
        self._behind_call = False

    def push(self, text: str) -> tuple[str, list[dict[str, Any]]]:
        """Returns the text that may be shown and what is new of tool calls."""
        self._held += text
        shown = ""
        calls: list[dict[str, Any]] = []
        while True:
            if self._arguments is not None:
                if not self._go_on(self._arguments, calls):
                    return shown, calls
                continue
            start = self._held.find(_OPEN)
            if start < 0:
                keep = overlap(self._held, _OPEN)
                shown += self._visible(self._held[: len(self._held) - keep])
                self._held = self._held[len(self._held) - keep :]
                return shown, calls
            shown += self._visible(self._held[:start])
            self._held = self._held[start:]
            end = _end_of_call(self._held)
            if end is not None:
                whole, self._held = self._held[:end], self._held[end:]
                if not self._tell(_parse(whole[len(_OPEN) : -len(_CLOSE)]), calls):
                    shown += whole
            elif not (self._eager and self._begin(calls)):
                return shown, calls

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        """The rest. A last call without its closing mark counts if it is whole JSON: small models forget the mark."""
        held, self._held = self._held, ""
        if self._arguments is not None:
            return "", []
        calls: list[dict[str, Any]] = []
        if held.startswith(_OPEN) and self._tell(_parse(held.removeprefix(_OPEN)), calls):
            return "", calls
        return self._visible(held), []

    def _tell(self, call: tuple[str, str] | None, calls: list[dict[str, Any]]) -> bool:
        """A whole call; False if it is none."""
        if call is None:
            return False
        if self._may_call:
            calls.append(_delta(self.num_calls, *call))
        self.num_calls += 1
        self._behind_call = True
        return True

    def _begin(self, calls: list[dict[str, Any]]) -> bool:
        """Tell the name of the call at the beginning of what is held, if it is certain."""
        head = _HEAD.match(self._held, len(_OPEN))
        name = _loads(head["name"]) if head else None
        if head is None or not isinstance(name, str):
            return False
        if self._may_call:
            calls.append(_delta(self.num_calls, name, ""))
        self._held = self._held[head.end() :]
        self._arguments = _ObjectScan()
        return True

    def _go_on(self, arguments: _ObjectScan, calls: list[dict[str, Any]]) -> bool:
        """Tell more of the open call's arguments; False until its closing mark has come."""
        if not arguments.is_closed:
            length = arguments.push(self._held)
            piece, self._held = self._held[:length], self._held[length:]
            if piece and self._may_call:
                calls.append({"index": self.num_calls, "function": {"arguments": piece}})
        end = self._held.find(_CLOSE)
        if not arguments.is_closed or end < 0:
            return False
        self._held = self._held[end + len(_CLOSE) :]
        self._arguments = None
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
