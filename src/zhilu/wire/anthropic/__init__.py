"""Anthropic's Messages API (``POST /v1/messages``), translated to a chat completion and back.

What needs Anthropic's own servers is refused by name: their tools (web search, code execution), containers, files by id, citations.
Hints that nothing here can follow are taken without effect; the documentation lists them. Source: Anthropic's API reference,
"Messages" and "Streaming messages", and its Python SDK's types.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from zhilu.errors import InputError, ZhiluError, error_body
from zhilu.messages import T
from zhilu.wire.anthropic.answer import Answer
from zhilu.wire.anthropic.errors import anthropic_error, body_as_asked, is_anthropic, refused
from zhilu.wire.anthropic.history import conversation
from zhilu.wire.anthropic.listing import anthropic_model, anthropic_page
from zhilu.wire.anthropic.request import MessagesRequest, refuse_elsewhere
from zhilu.wire.anthropic.tools import function_of, offered_tools
from zhilu.wire.doors import parse_request
from zhilu.wire.replies import sse

__all__ = [
    "MessagesDialect",
    "MessagesRequest",
    "anthropic_error",
    "anthropic_model",
    "anthropic_page",
    "body_as_asked",
    "is_anthropic",
]

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# A field of the chat -> what it was told by.
_OWN_NAMES = {
    "stop": "stop_sequences",
    "prompt": "messages",
    "response_format": "output_config.format",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "chat_template_kwargs": "thinking",
    "reasoning_effort": "output_config.effort",
}


class MessagesDialect:
    """One request of the Messages API; see ``wire.dialect.Dialect``. ``only_counts``: its tokens are counted, nothing is answered."""

    path = "/v1/messages"
    endpoint = "/v1/chat/completions"
    media_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    num_ctx: int | None = None

    def __init__(self, data: Mapping[str, Any], only_counts: bool = False) -> None:
        self._request = request = parse_request(MessagesRequest, refuse_elsewhere(data))
        if request.max_tokens is None and not only_counts:
            raise InputError(T("max_tokens is required", "max_tokens 不能缺少"), param="max_tokens", code="missing")
        self.model: str | None = request.model
        self.stream = bool(request.stream)
        self._answer = Answer(request)
        self._spoken = conversation(request)
        if (last := self._spoken[-1]).role == "assistant" and last.calls:
            raise refused(
                last.place, "the last message calls tools and has no results", "最后一条消息调用了工具，但没有结果"
            )
        self._tools = offered_tools(request)
        self._thinking: str | None = None
        self._can: Collection[str] = ()

    def meet(self, can: Collection[str], thinking: str | None) -> None:
        """What the engine is told depends on it: ``can``, words of ``wire.CAPABILITIES``; ``thinking``: ``switch`` where the model
        can be kept from thinking, ``always`` where it cannot, None where it does not think or nobody knows."""
        self._can, self._thinking = can, thinking

    def counted(self, num_tokens: int) -> None:
        """The prompt's tokens, known before the engine was asked."""
        self._answer.num_input = num_tokens

    def body(self) -> dict[str, Any]:
        wish = self._request
        chosen = {
            "max_tokens": wish.max_tokens,
            "stop": wish.stop_sequences or None,
            "temperature": wish.temperature,
            "top_p": wish.top_p,
            "top_k": wish.top_k or None,
        }
        body: dict[str, Any] = {
            "messages": [spoken.message() for spoken in self._spoken],
            **{name: value for name, value in chosen.items() if value is not None},
        }
        if self._tools:
            body["tools"] = [function_of(tool) for _, tool in self._tools]
        if (choice := wish.tool_choice) is not None and (self._tools or choice.type in ("any", "tool")):
            named = {"type": "function", "function": {"name": choice.name}}
            body["tool_choice"] = named if choice.type == "tool" else _CHOICES[choice.type]
            if choice.disable_parallel_tool_use:
                body["parallel_tool_calls"] = False
        if wish.schema_wanted is not None:
            wanted = {"name": "answer", "schema": wish.schema_wanted, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        if self._spoken[-1].role == "assistant":  # the answer goes on with it
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        body |= self._thoughts()
        return body | ({"stream": True, "stream_options": {"include_usage": True}} if self.stream else {})

    def _thoughts(self) -> dict[str, Any]:
        """Whether and how much to think, for a model that can be told; to any other it says nothing."""
        wish = self._request
        told: dict[str, Any] = {}
        kind = wish.thinking.type if wish.thinking else None
        if self._thinking == "switch" and kind in ("enabled", "disabled") and "template_kwargs" in self._can:
            told["chat_template_kwargs"] = {"enable_thinking": kind == "enabled"}
        elif self._thinking == "switch" and kind == "disabled" and "reasoning_effort" in self._can:
            return {"reasoning_effort": "none"}
        effort = wish.output_config.effort if wish.output_config else None
        if effort and self._thinking is not None and "reasoning_effort" in self._can:
            told["reasoning_effort"] = effort
        return told

    def whole(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        choice = reply["choices"][0]
        answer = self._answer
        answer.usage = reply.get("usage")
        answer.choice(choice)
        for _ in (*answer.message(choice.get("message") or {}), *answer.close()):
            pass
        return answer.whole()

    def begin(self) -> bytes:
        return self._answer.begin()

    def ping(self) -> bytes:
        """What keeps a connection alive while nothing comes."""
        return self._answer.ping()

    def piece(self, chunk: Mapping[str, Any]) -> bytes:
        answer = self._answer
        answer.usage = chunk.get("usage") or answer.usage
        out = b""
        for choice in chunk.get("choices") or []:
            answer.choice(choice)
            out += b"".join(answer.message(choice.get("delta") or {}))
        return out

    def end(self) -> bytes:
        return b"".join(self._answer.close()) + self._answer.end()

    def broken(self, error: ZhiluError) -> bytes:
        said = anthropic_error(error_body(error), error.http_status)
        return sse(said, "error")

    @staticmethod
    def refusal(body: Mapping[str, Any]) -> dict[str, Any]:
        return anthropic_error(body, 400)

    def own_name(self, param: str) -> str:
        """What stands for a field of the chat in this API: ``messages.1.content.0`` was perhaps ``messages.0.content.2``."""
        head, *rest = param.split(".")
        number = int(rest[0]) if rest and rest[0].isascii() and rest[0].isdigit() else None
        if head == "messages" and number is not None and number < len(self._spoken):
            return _place(self._spoken[number], rest[1:])
        if head == "tools" and number is not None and number < len(self._tools):
            inner = ["input_schema" if word == "parameters" else word for word in rest[1:] if word != "function"]
            return ".".join(["tools", str(self._tools[number][0]), *inner])
        if head in ("continue_final_message", "add_generation_prompt"):
            return self._spoken[-1].place
        return _OWN_NAMES.get(head, param)


def _place(spoken: Any, rest: list[str]) -> str:
    if rest[:1] == ["content"] and len(rest) > 1 and rest[1].isascii() and rest[1].isdigit():
        places = spoken.places
        if int(rest[1]) < len(places):
            return str(places[int(rest[1])])
    return ".".join([spoken.place, *rest])
