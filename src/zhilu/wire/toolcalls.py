"""Tool calls in whatever form a model writes them: ``<tool_call>`` marks, a fenced JSON block, or bare JSON.

Only whole JSON that names an offered tool is a call; anything else stays the text that the model wrote. No I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Call", "CallScanner", "calls_in", "calls_schema", "is_whole"]

_OPEN, _CLOSE, _FENCE = "<tool_call>", "</tool_call>", "```"
_ARGUMENTS = ("arguments", "parameters", "args")
_LANGUAGES = {"", "json", "tool_call", "tool_calls", "tool", "jsonc"}
# How JSON that can be a call begins; ``_BEGUN``: so much of it has come that it must match.
_CALL_LIKE = re.compile(r'\s*(\[\s*)?\{\s*(\{\s*)?"(name|function|tool_calls|type|arguments|parameters|id)"')
_BEGUN = re.compile(r'\s*(\[\s*)?(\{\s*(\{\s*)?"[^"]*"|\{\s*(\{\s*)?[^"{\s]|\[\s*[^{\s]|[^\[{\s])')
_decoder = json.JSONDecoder()


class Call(NamedTuple):
    """One call; ``arguments`` is the JSON text of an object."""

    name: str
    arguments: str


def calls_schema(tools: Sequence[Mapping[str, Any]], *, many: bool = False) -> dict[str, Any]:
    """A JSON schema that only a call of one of ``tools`` (OpenAI's function objects) fits, or a list of calls."""
    kinds = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool["name"]},
                "arguments": tool.get("parameters") or {"type": "object", "additionalProperties": True},
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    one: dict[str, Any] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {"type": "array", "items": one, "minItems": 1} if many else one


def is_whole(arguments: str) -> bool:
    """Whether a call's arguments are a JSON object."""
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def calls_in(text: str, names: Collection[str]) -> list[Call]:
    """The calls that make up ``text`` entirely, one JSON value behind another; empty where anything else stands there."""
    calls: list[Call] = []
    text = text.strip()
    while text:
        try:
            value, end = _value_of(text, is_all=True)
        except (ValueError, RecursionError):
            return []
        found = _calls_of(value, names)
        if not found:
            return []
        calls += found
        text = text[end:].lstrip().removeprefix(",").lstrip()
    return calls


def _value_of(text: str, *, is_all: bool) -> tuple[Any, int]:
    """A JSON value at the beginning, and where it ends. Double braces around an object count once: chat templates that show how a
    call is written escape theirs, and small models copy what they see. ``is_all``: nothing comes after ``text``.

    Raises:
        ValueError: there is none, or it is not whole. RecursionError: it is nested too deep.
    """
    inner = text.lstrip()
    before = len(text) - len(inner)
    if not inner.startswith("{{"):
        value, end = _decoder.raw_decode(inner)
        return value, before + end
    value, end = _decoder.raw_decode(inner[1:])
    end += 1
    if inner.startswith("}", end):
        end += 1
    elif end < len(inner) or not is_all:
        raise ValueError("the outer brace is open")
    return value, before + end


def _calls_of(value: Any, names: Collection[str]) -> list[Call]:
    if isinstance(value, list):
        several = [_calls_of(item, names) for item in value]
        return [call for calls in several for call in calls] if several and all(several) else []
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("tool_calls"), list):
        return _calls_of(value["tool_calls"], names)
    if isinstance(value.get("function"), dict):  # as OpenAI's API writes a call
        return _calls_of(value["function"], names)
    name = value.get("name") or value.get("function")
    key = next((key for key in _ARGUMENTS if key in value), None)
    if not isinstance(name, str) or name not in names or key is None:
        return []
    arguments = value[key]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return [Call(name, text)] if is_whole(text) else []


class CallScanner:
    """Splits text that comes in pieces into what may be shown and whole calls.

    Args:
        names: of the tools that are offered.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held = ""
        self._has_shown = False  # something that is no white space
        self._has_called = False
        self._in_code = False  # within a fence that holds no call

    def push(self, text: str) -> tuple[str, list[Call]]:
        """The text that may be shown now, and the calls that became whole."""
        self._held += text
        return self._go_on(is_end=False)

    def finish(self) -> tuple[str, list[Call]]:
        """The rest: a call without its closing mark counts if its JSON is whole; what was cut off is text."""
        return self._go_on(is_end=True)

    def _go_on(self, is_end: bool) -> tuple[str, list[Call]]:
        shown = ""
        calls: list[Call] = []
        while True:
            start = self._opening()
            if start is None:
                keep = 0 if is_end else _overlap(self._held)
                keep = len(self._held) if not is_end and not self._has_shown and not self._held.strip() else keep
                shown += self._show(len(self._held) - keep)
                return shown, calls
            shown += self._show(start)
            if self._in_code:  # its end
                shown += self._show(len(_FENCE))
                self._in_code = False
                continue
            taken = self._candidate(is_end)
            if taken is None:
                return shown, calls
            end, found = taken
            if found:
                calls += found
                self._held, self._has_called = self._held[end:], True
            else:
                self._in_code = self._held.startswith(_FENCE)
                shown += self._show(end)

    def _opening(self) -> int | None:
        """Where something begins that may be a call."""
        if self._in_code:
            place = self._held.find(_FENCE)
            return place if place >= 0 else None
        places = [place for mark in (_OPEN, _FENCE) if (place := self._held.find(mark)) >= 0]
        stripped = self._held.lstrip()
        if not self._has_shown and stripped[:1] in ("{", "["):
            places.append(len(self._held) - len(stripped))
        return min(places, default=None)

    def _candidate(self, is_end: bool) -> tuple[int, list[Call]] | None:
        """Length of what stands at the beginning and the calls in it; none: so much of it is text. None: not known yet."""
        held = self._held
        if held.startswith(_OPEN):
            return self._marked(len(_OPEN), _CLOSE, is_end)
        if not held.startswith(_FENCE):
            return self._bare(is_end)
        line = held.find("\n")
        header = held[len(_FENCE) : line if line >= 0 else None].strip()
        if line < 0 and not is_end and len(header) < 12:
            return None
        if line < 0 or header.lower() not in _LANGUAGES:
            return len(_FENCE), []
        if _BEGUN.match(held, line) and not _CALL_LIKE.match(held, line):
            return len(_FENCE), []
        return self._marked(line, _FENCE, is_end)

    def _marked(self, begin: int, close: str, is_end: bool) -> tuple[int, list[Call]] | None:
        held = self._held
        end = held.find(close, begin)
        while end >= 0:  # a mark within a JSON text is none
            calls = calls_in(held[begin:end], self._names)
            if calls:
                return end + len(close), calls
            end = held.find(close, end + 1)
        if is_end:
            return (len(held), calls) if (calls := calls_in(held[begin:], self._names)) else (begin, [])
        closed = held.find(close, begin)
        return (begin, []) if closed >= 0 and _is_closed(held[begin:closed]) else None

    def _bare(self, is_end: bool) -> tuple[int, list[Call]] | None:
        held = self._held
        if _BEGUN.match(held) and not _CALL_LIKE.match(held):
            return 1, []
        try:
            _, end = _value_of(held, is_all=is_end)
        except (ValueError, RecursionError):
            return (len(held), []) if is_end else None
        calls = calls_in(held[:end], self._names)
        return (end, calls) if calls else (1, [])

    def _show(self, count: int) -> str:
        """Take so many characters; white space around a call is layout, not an answer."""
        text, self._held = self._held[:count], self._held[count:]
        if self._has_called and not self._has_shown:
            text = text.lstrip()
        self._has_shown = self._has_shown or bool(text.strip())
        return text


def _is_closed(text: str) -> bool:
    """Whether no JSON text is open at its end."""
    return len(re.findall(r'(?<!\\)"', text)) % 2 == 0


def _overlap(text: str) -> int:
    """Length of the end of ``text`` that may be the beginning of a mark."""
    longest = max(len(_OPEN), len(_FENCE)) - 1
    return next(
        (
            n
            for n in range(min(longest, len(text)), 0, -1)
            if _OPEN.startswith(text[-n:]) or _FENCE.startswith(text[-n:])
        ),
        0,
    )
