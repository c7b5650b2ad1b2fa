"""An answer in Anthropic's words as far as it has come: its content blocks, and the events that report them."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zhilu.wire.anthropic.request import MessagesRequest
from zhilu.wire.replies import sse
from zhilu.wire.toolcalls import is_whole

__all__ = ["Answer"]

_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use", "content_filter": "refusal"}


class Answer:
    """Blocks are made as thoughts, text and calls arrive; each step gives its events.

    A tool's input is kept back until its JSON is whole: one that was cut off is what the model wrote, as text.
    """

    def __init__(self, request: MessagesRequest) -> None:
        self.request = request
        self.id = f"msg_{uuid.uuid4().hex}"
        self.blocks: list[dict[str, Any]] = []
        self.usage: Mapping[str, Any] | None = None
        self.num_input = 0  # tokens of the prompt, where they were counted before the engine was asked
        self.finish_reason: str | None = None
        self.stopped_by: Any = None
        self._is_refused = False
        self._is_hidden = bool(request.thinking and request.thinking.display == "omitted")
        self._open: str | None = None  # the kind of the last block while it grows
        self._pieces: list[str] = []  # of the open block
        self._calls: dict[int, dict[str, Any]] = {}  # that are not told yet

    # ---------------------------------------------------------------- what comes from the engine

    def begin(self) -> bytes:
        message = {**self._head(), "content": [], "stop_reason": None, "stop_sequence": None, "usage": self._used()}
        return _event("message_start", message=message) + self.ping()

    @staticmethod
    def ping() -> bytes:
        return _event("ping")

    def message(self, said: Mapping[str, Any]) -> Iterator[bytes]:
        """A whole message, or the delta of one."""
        if thought := said.get("reasoning_content"):
            yield from self._grow("thinking", str(thought))
        if text := said.get("content"):
            yield from self._grow("text", str(text))
        if refusal := said.get("refusal"):
            self._is_refused = True
            yield from self._grow("text", str(refusal))
        for place, piece in enumerate(said.get("tool_calls") or ()):
            yield from self._take_call(place, piece)

    def choice(self, choice: Mapping[str, Any]) -> None:
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        self.stopped_by = choice.get("stop_reason") or self.stopped_by

    def close(self) -> Iterator[bytes]:
        yield from self._tell_calls()
        yield from self._close_block()

    def end(self) -> bytes:
        delta = {"stop_reason": self._reason(), "stop_sequence": self._stop_sequence(), "stop_details": None}
        used = {key: value for key, value in self._used().items() if key != "service_tier"}
        return _event("message_delta", delta=delta, usage=used, **self._edits()) + _event("message_stop")

    def whole(self) -> dict[str, Any]:
        ends = {"stop_reason": self._reason(), "stop_sequence": self._stop_sequence(), "stop_details": None}
        return {**self._head(), "content": self.blocks, **ends, "usage": self._used(), **self._edits()}

    # ---------------------------------------------------------------- blocks

    def _grow(self, kind: str, text: str) -> Iterator[bytes]:
        yield from self._tell_calls()
        if self._open != kind:
            yield from self._close_block()
            empty = (
                {"type": "text", "text": ""}
                if kind == "text"
                else {"type": "thinking", "thinking": "", "signature": ""}
            )
            yield from self._start(kind, empty)
        self._pieces.append(text)
        if kind == "text" or not self._is_hidden:
            yield self._delta({"type": f"{kind}_delta", kind: text})

    def _take_call(self, place: int, piece: Mapping[str, Any]) -> Iterator[bytes]:
        index = piece.get("index")
        index = index if isinstance(index, int) else place
        if index not in self._calls:
            yield from self._tell_calls()
            self._calls[index] = {"id": "", "name": "", "arguments": []}
        call, function = self._calls[index], piece.get("function") or {}
        call["id"] = call["id"] or str(piece.get("id") or "")
        call["name"] += str(function.get("name") or "")
        call["arguments"].append(str(function.get("arguments") or ""))

    def _tell_calls(self) -> Iterator[bytes]:
        """The calls that are over: the engine has gone on to something else, or has ended."""
        calls, self._calls = self._calls, {}
        for _, call in sorted(calls.items()):
            arguments = "".join(call["arguments"]).strip() or "{}"
            if not call["name"] or not is_whole(arguments):
                written = json.dumps({"name": call["name"]}, ensure_ascii=False)[:-1] + f', "arguments": {arguments}'
                yield from self._grow("text", written)
                continue
            yield from self._close_block()
            id = call["id"] if _ID.fullmatch(call["id"]) else f"toolu_{uuid.uuid4().hex[:24]}"
            block = {"type": "tool_use", "id": id, "name": call["name"], "input": {}}
            yield from self._start("tool_use", block)
            self.blocks[-1]["input"] = json.loads(arguments)
            yield self._delta({"type": "input_json_delta", "partial_json": arguments})
            yield from self._close_block()

    def _start(self, kind: str, block: dict[str, Any]) -> Iterator[bytes]:
        self._open, self._pieces = kind, []
        self.blocks.append(dict(block))
        yield _event("content_block_start", index=len(self.blocks) - 1, content_block=block)

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return _event("content_block_delta", index=len(self.blocks) - 1, delta=delta)

    def _close_block(self) -> Iterator[bytes]:
        kind, self._open = self._open, None
        if kind is None:
            return
        text, block = "".join(self._pieces), self.blocks[-1]
        if kind == "text":
            block["text"] = text
        elif kind == "thinking":
            block["thinking"] = "" if self._is_hidden else text
            block["signature"] = _signature(text)
            yield self._delta({"type": "signature_delta", "signature": block["signature"]})
        yield _event("content_block_stop", index=len(self.blocks) - 1)

    # ---------------------------------------------------------------- how it ended, and what it took

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "type": "message", "role": "assistant", "model": self.request.model}

    def _stop_sequence(self) -> str | None:
        own: Sequence[str] = self.request.stop_sequences or ()
        return self.stopped_by if isinstance(self.stopped_by, str) and self.stopped_by in own else None

    def _reason(self) -> str:
        if self._is_refused:
            return "refusal"
        if self.finish_reason == "length":
            given = (self.usage or {}).get("completion_tokens")
            is_short = isinstance(given, int) and given < (self.request.max_tokens or 0)
            return "model_context_window_exceeded" if is_short else "max_tokens"
        if any(block["type"] == "tool_use" for block in self.blocks):
            return "tool_use"
        if self._stop_sequence() is not None:
            return "stop_sequence"
        reason = _REASONS.get(self.finish_reason or "", "end_turn")
        return "end_turn" if reason == "tool_use" else reason

    def _used(self) -> dict[str, Any]:
        """The prompt's tokens that were read anew, and those found in the engine's prefix cache: together all of them."""
        used = self.usage or {}
        total, cached = used.get("prompt_tokens"), (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        total = total if isinstance(total, int) else self.num_input
        thought = (used.get("completion_tokens_details") or {}).get("reasoning_tokens")
        return {
            "input_tokens": max(0, total - cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": used.get("completion_tokens") or 0,
            **({"output_tokens_details": {"thinking_tokens": thought}} if thought else {}),
            "service_tier": "standard",
        }

    def _edits(self) -> dict[str, Any]:
        return {"context_management": {"applied_edits": []}} if self.request.context_management else {}


def _signature(thought: str) -> str:
    """Clients send it back with the thought; it says where it came from, and nobody checks it."""
    return f"zhilu-{hashlib.sha256(thought.encode()).hexdigest()[:32]}"


def _event(type: str, **data: Any) -> bytes:
    return sse({"type": type, **data}, type)
