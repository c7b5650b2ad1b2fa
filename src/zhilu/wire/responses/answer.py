"""The answer of the Responses API as far as it has come: its items, and the events that report them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zhilu.wire.replies import sse
from zhilu.wire.responses.request import LOGPROBS, ResponsesRequest
from zhilu.wire.responses.search import citations

__all__ = ["Answer"]


class Answer:
    """The reply as far as it has come. Its items are made as text and calls arrive; each step tells its events."""

    def __init__(self, request: ResponsesRequest) -> None:
        self.request = request
        self.id = f"resp_{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.items: list[dict[str, Any]] = []
        self.usage: Mapping[str, Any] | None = None
        self.finish_reason: str | None = None
        self.wants_logprobs = request.top_logprobs is not None or LOGPROBS in (request.include or ())
        self._open: dict[str, Any] | None = None  # always the last item
        self._call_index: int | None = None
        self._sequence = 0
        self._passages: Sequence[Mapping[str, Any]] = ()  # what was found for it, in the order of their numbers

    def searched(self, item: dict[str, Any], passages: Sequence[Mapping[str, Any]]) -> None:
        """A search was made before the model was asked: the first item of the answer."""
        self.items.append(item)
        self._passages = passages

    def tell_search(self) -> Iterator[bytes]:
        for number, item in enumerate(self.items):
            place = {"item_id": item["id"], "output_index": number}
            begun = {**item, "status": "in_progress", "results": None}
            yield self.event("response.output_item.added", output_index=number, item=begun)
            for step in ("in_progress", "searching", "completed"):
                yield self.event(f"response.file_search_call.{step}", **place)
            yield self.event("response.output_item.done", output_index=number, item=item)

    def event(self, type: str, **data: Any) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return sse({"type": type, **data, "sequence_number": number}, type)

    def text(self, delta: str, logprobs: Sequence[Any]) -> Iterator[bytes]:
        if not delta and not logprobs:
            return
        if self._open is None or self._open["type"] != "message":
            yield from self._close_item()
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            self._open = {
                "type": "message", "id": f"msg_{uuid.uuid4().hex}", "status": "in_progress", "role": "assistant",
                "content": [part],
            }  # fmt: skip
            yield from self._added({**self._open, "content": []})
            yield self.event("response.content_part.added", **self._place(), content_index=0, part=part)
        part = self._open["content"][0]
        part["text"] += delta
        part["logprobs"] += logprobs
        place = {**self._place(), "content_index": 0}
        yield self.event("response.output_text.delta", **place, delta=delta, logprobs=list(logprobs))

    def call(self, piece: Mapping[str, Any]) -> Iterator[bytes]:
        """A tool call, or a further piece of the one that is open."""
        function = piece.get("function") or {}
        if self._call_index != piece.get("index") or self._open is None:
            yield from self._close_item()
            self._call_index = piece.get("index")
            self._open = {
                "type": "function_call", "id": f"fc_{uuid.uuid4().hex}", "call_id": piece.get("id"),
                "name": function.get("name") or "", "arguments": "", "status": "in_progress",
            }  # fmt: skip
            yield from self._added(dict(self._open))
        delta = function.get("arguments") or ""
        if delta:
            self._open["arguments"] += delta
            yield self.event("response.function_call_arguments.delta", **self._place(), delta=delta)

    def close(self) -> Iterator[bytes]:
        yield from self._close_item()

    def _close_item(self) -> Iterator[bytes]:
        item, self._open, self._call_index = self._open, None, None
        if item is None:
            return
        place = {"item_id": item["id"], "output_index": len(self.items) - 1}
        is_cut = self.finish_reason == "length"
        if item["type"] == "message":
            part = item["content"][0]
            part["annotations"] = citations(part["text"], self._passages)
            for number, annotation in enumerate(part["annotations"]):
                where = {**place, "content_index": 0, "annotation_index": number}
                yield self.event("response.output_text.annotation.added", **where, annotation=annotation)
            done = {"text": part["text"], "logprobs": part["logprobs"]}
            yield self.event("response.output_text.done", **place, content_index=0, **done)
            yield self.event("response.content_part.done", **place, content_index=0, part=part)
        else:
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield self.event("response.function_call_arguments.done", **place, **done)
        item["status"] = "incomplete" if is_cut else "completed"
        yield self.event("response.output_item.done", output_index=place["output_index"], item=item)

    def _added(self, item: Mapping[str, Any]) -> Iterator[bytes]:
        assert self._open is not None
        self.items.append(self._open)
        yield self.event("response.output_item.added", output_index=len(self.items) - 1, item=item)

    def _place(self) -> dict[str, Any]:
        assert self._open is not None
        return {"item_id": self._open["id"], "output_index": len(self.items) - 1}

    def response(self, status: str | None = None) -> dict[str, Any]:
        """The whole object; ``status`` None: as the engine ended it."""
        wish = self.request
        is_cut = self.finish_reason == "length"
        status = status or ("incomplete" if is_cut else "completed")
        tools = [
            {**({"strict": None, "description": None} if tool.type == "function" else {}), **tool.model_dump()}
            for tool in wish.tools or []
        ]
        format = wish.text.format if wish.text else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": wish.instructions,
            "max_output_tokens": wish.max_output_tokens,
            "max_tool_calls": None,
            "model": wish.model or "",
            "output": [] if status == "in_progress" else self.items,
            "parallel_tool_calls": wish.parallel_tool_calls is not False,
            "previous_response_id": None,
            "prompt_cache_key": wish.prompt_cache_key,
            "reasoning": {"effort": wish.reasoning.effort if wish.reasoning else None, "summary": None},
            "safety_identifier": wish.safety_identifier,
            "service_tier": "default",
            "store": False,
            "temperature": wish.temperature,
            "text": {"format": format.model_dump(by_alias=True, exclude_none=True) if format else {"type": "text"}},
            "tool_choice": wish.tool_choice or "auto",
            "tools": tools,
            "top_logprobs": wish.top_logprobs or 0,
            "top_p": wish.top_p,
            "truncation": "disabled",
            "usage": _usage(self.usage),
            "user": wish.user,
            "metadata": wish.metadata or {},
        }


def _usage(used: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not used:
        return None
    cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    thought = (used.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": used["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": used["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": used["total_tokens"],
    }
