"""An engine's answers to a request with tools: calls in any form become ``tool_calls``, and nothing else does.

A call is sent when it is whole, in one piece. A call that was cut, or that names no offered tool, stays text. No I/O.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from zhilu.wire.replies import new_id
from zhilu.wire.toolcalls import Call, CallScanner, is_whole

__all__ = ["ToolReplies"]


class ToolReplies:
    """One request's answer; ``whole`` for a reply, ``chunk`` for each chunk of a stream.

    Args:
        names: of the tools that are offered.
        max_calls: of each choice; further ones are left out.
        hold: keep the engine's own calls back until they are whole. Otherwise they pass as they come: from an engine that
            makes none but offered ones.
    """

    def __init__(self, names: Collection[str], max_calls: int | None = None, hold: bool = True) -> None:
        self._names = names
        self._max_calls = max_calls
        self._hold = hold
        self._choices: dict[int, _Choice] = {}

    def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, "choices": [self._whole(choice) for choice in reply.get("choices") or ()]}

    def _whole(self, choice: dict[str, Any]) -> dict[str, Any]:
        message = dict(choice.get("message") or {})
        told = _Choice(self._names, self._max_calls, self._hold)
        text, calls = told.take(message.pop("content", None), message.pop("tool_calls", None))
        more, further = told.finish()
        text, calls = text + more, calls + further
        message["content"] = text if text or not calls else None
        if calls:
            message["tool_calls"] = [{key: value for key, value in call.items() if key != "index"} for call in calls]
        return {**choice, "message": message, "finish_reason": told.reason(choice.get("finish_reason"))}

    def chunk(self, chunk: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks to send for this one; none where all of it is held back."""
        sent: list[dict[str, Any]] = []
        kept = []
        for choice in chunk.get("choices") or ():
            told = self._choices.setdefault(choice.get("index", 0), _Choice(self._names, self._max_calls, self._hold))
            delta = dict(choice.get("delta") or {})
            had_text = bool(delta.get("content"))
            text, calls = told.take(delta.pop("content", None), delta.pop("tool_calls", None))
            ended = choice.get("finish_reason")
            if ended:
                more, further = told.finish()
                text, calls = text + more, calls + further
            said = {**delta, **({"content": text} if text or (delta and not calls) else {})}
            if calls:
                said["tool_calls"] = calls
            if ended and (text or calls):  # the end is told by itself
                sent.append(
                    {**chunk, "choices": [{**choice, "delta": said, "finish_reason": None}], **_no_usage(chunk)}
                )
                said = {}
            if ended or said or (choice.get("logprobs") and had_text):
                kept.append({**choice, "delta": said, "finish_reason": told.reason(ended)})
        if kept or chunk.get("usage") or not chunk.get("choices"):
            sent.append({**chunk, "choices": kept})
        return sent


class _Choice:
    """One of the answers: the text that is held back, and the engine's own calls until they are whole."""

    def __init__(self, names: Collection[str], max_calls: int | None, hold: bool) -> None:
        self._names, self._max_calls, self._hold = names, max_calls, hold
        self._scanner = CallScanner(names)
        self._open: dict[int, dict[str, str]] = {}
        self.num_calls = 0

    def take(self, text: str | None, deltas: list[dict[str, Any]] | None) -> tuple[str, list[dict[str, Any]]]:
        shown, found = self._scanner.push(text) if text else ("", [])
        calls = [self._told(call) for call in found]
        if deltas and not self._hold:
            self.num_calls = max(self.num_calls, *(delta.get("index", place) + 1 for place, delta in enumerate(deltas)))
            return shown, [call for call in calls if call] + deltas
        for place, delta in enumerate(deltas or ()):
            index = delta.get("index", place)
            before = self._settle([i for i in self._open if i < index])
            shown, calls = shown + before[0], calls + before[1]
            mine = self._open.setdefault(index, {"id": "", "name": "", "arguments": ""})
            function = delta.get("function") or {}
            mine["id"] = mine["id"] or delta.get("id") or ""
            mine["name"] += function.get("name") or ""
            mine["arguments"] += function.get("arguments") or ""
        return shown, [call for call in calls if call]

    def finish(self) -> tuple[str, list[dict[str, Any]]]:
        shown, found = self._scanner.finish()
        calls = [self._told(call) for call in found]
        text, more = self._settle(list(self._open))
        return shown + text, [call for call in (*calls, *more) if call]

    def reason(self, given: str | None) -> str | None:
        if self.num_calls and given == "stop":
            return "tool_calls"
        return "stop" if given == "tool_calls" and not self.num_calls else given

    def _settle(self, indexes: list[int]) -> tuple[str, list[dict[str, Any]]]:
        """The engine's own calls that are over: as calls, or as what the model wrote."""
        text, calls = "", []
        for index in sorted(indexes):
            call = self._open.pop(index)
            arguments = call["arguments"] or "{}"
            if call["name"] in self._names and is_whole(arguments):
                calls.append(self._told(Call(call["name"], arguments), call["id"]))
            else:
                text += (
                    json.dumps({"name": call["name"]}, ensure_ascii=False)[:-1] + f', "arguments": {call["arguments"]}'
                )
                text += "}" if is_whole(arguments) else ""
        return text, calls

    def _told(self, call: Call, call_id: str = "") -> dict[str, Any]:
        if self._max_calls is not None and self.num_calls >= self._max_calls:
            return {}
        self.num_calls += 1
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": self.num_calls - 1, "id": call_id or new_id("call"), "type": "function", "function": function}


def _no_usage(chunk: dict[str, Any]) -> dict[str, Any]:
    return {"usage": None} if "usage" in chunk else {}
