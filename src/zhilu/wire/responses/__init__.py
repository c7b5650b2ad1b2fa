"""OpenAI's Responses API (``POST /v1/responses``), stateless, translated to a chat completion and back.

What needs a memory on the server (``store``, ``previous_response_id``, ``conversation``, ``background``) is refused by name, and
so are OpenAI's own tools (web search, computers) but for ``file_search`` (see ``search``). Source: OpenAI's API reference,
"Responses" and "Streaming events".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from zhilu.errors import UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.wire.doors import parse_request
from zhilu.wire.responses.answer import Answer
from zhilu.wire.responses.history import messages_of
from zhilu.wire.responses.request import Format, ResponsesRequest, refuse_beyond_us, refuse_memory
from zhilu.wire.responses.search import RESULTS, FileSearchTool, search_item

__all__ = ["ResponsesDialect", "ResponsesRequest"]

_PASSED_ON = (
    *(
        "temperature",
        "top_p",
        "parallel_tool_calls",
        "user",
        "cache_salt",
        "frequency_penalty",
        "ignore_eos",
        "logit_bias",
    ),
    *("min_p", "min_tokens", "presence_penalty", "repetition_penalty", "seed", "stop", "top_k", "chat_template_kwargs"),
)

# A field of the chat -> what it was told by.
_OWN_NAMES = {
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "top_logprobs",
}


class ResponsesDialect:
    """One request of the Responses API; see ``wire.dialect.Dialect``."""

    path = "/v1/responses"
    endpoint = "/v1/chat/completions"
    media_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    num_ctx: int | None = None

    def __init__(self, data: Mapping[str, Any]) -> None:
        refuse_beyond_us(data)
        self._request = request = parse_request(ResponsesRequest, data)
        refuse_memory(request)
        self.model = request.model
        self.stream = bool(request.stream)
        self._answer = Answer(request)
        self._places, self._messages = zip(*messages_of(request), strict=True)
        self.file_search: FileSearchTool | None = request.file_search

    @property
    def question(self) -> str:
        """The text of the last message that the user wrote; empty where there is none."""
        number = self._asked()
        content = self._messages[number]["content"] if number is not None else ""
        parts = [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]
        return "\n".join(parts).strip()

    def take_found(self, passages: Sequence[Mapping[str, Any]], content: str) -> None:
        """What ``file_search`` found, and the question with the passages before it, which the model is asked instead."""
        number, question = self._asked(), self.question
        assert number is not None, "there was a question to search for"
        asked = self._messages[number]["content"]
        if not isinstance(asked, str):
            content = [*(p for p in asked if p["type"] != "text"), {"type": "text", "text": content}]  # type: ignore[assignment]
        messages = list(self._messages)
        messages[number] = {**messages[number], "content": content}
        self._messages = tuple(messages)
        with_results = RESULTS in (self._request.include or ())
        self._answer.searched(search_item(question, passages, with_results), passages)

    def _asked(self) -> int | None:
        return next((n for n in reversed(range(len(self._messages))) if self._messages[n]["role"] == "user"), None)

    def body(self) -> dict[str, Any]:
        wish = self._request
        format = wish.text.format if wish.text else None
        chosen = {
            "max_completion_tokens": wish.max_output_tokens,
            "response_format": _response_format(format),
            **{name: getattr(wish, name) for name in _PASSED_ON},
        }
        body: dict[str, Any] = {
            "messages": list(self._messages),
            **{name: value for name, value in chosen.items() if value is not None},
        }
        if wish.functions:
            body["tools"] = [
                {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}
                for tool in wish.functions
            ]
        if wish.functions or (wish.tool_choice is not None and wish.file_search is None):
            body |= {} if wish.tool_choice is None else {"tool_choice": _tool_choice(wish.tool_choice)}
        if wish.reasoning and wish.reasoning.effort:
            body["reasoning_effort"] = wish.reasoning.effort
        if self._answer.wants_logprobs:
            body |= {"logprobs": True, "top_logprobs": wish.top_logprobs or 0}
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def whole(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        (choice,) = reply["choices"]
        message = choice["message"]
        for _ in self._answer.text(message.get("content") or "", _content(choice)):
            pass
        for number, call in enumerate(message.get("tool_calls") or []):
            for _ in self._answer.call({**call, "index": number}):
                pass
        self._answer.finish_reason = choice["finish_reason"]
        self._answer.usage = reply.get("usage")
        for _ in self._answer.close():
            pass
        return self._answer.response()

    def begin(self) -> bytes:
        answer = self._answer
        begun = ("response.created", "response.in_progress")
        opening = b"".join(answer.event(name, response=answer.response("in_progress")) for name in begun)
        return opening + b"".join(answer.tell_search())

    def piece(self, chunk: Mapping[str, Any]) -> bytes:
        answer = self._answer
        answer.usage = chunk.get("usage") or answer.usage
        out = b""
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            out += b"".join(answer.text(delta.get("content") or "", _content(choice)))
            for call in delta.get("tool_calls") or []:
                out += b"".join(answer.call(call))
            answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
        return out

    def end(self) -> bytes:
        closing = b"".join(self._answer.close())
        reply = self._answer.response()
        return closing + self._answer.event(f"response.{reply['status']}", response=reply)

    def broken(self, error: ZhiluError) -> bytes:
        reply = self._answer.response("failed")
        reply["error"] = {"code": "server_error", "message": f"{error.code}: {error.message.say()}"}
        return self._answer.event("response.failed", response=reply)

    @staticmethod
    def refusal(body: Mapping[str, Any]) -> dict[str, Any]:
        return dict(body)

    def own_name(self, param: str) -> str:
        """What stands for a field of the chat in this API: ``messages.1.content`` was perhaps ``input.0.content``."""
        head, *rest = param.split(".")
        if head == "messages":
            number = int(rest[0]) if rest and rest[0].isdigit() else len(self._places)
            place = self._places[number] if number < len(self._places) else "input"
            return ".".join([place, *rest[1:]]) if place.startswith("input.") else place
        if head == "tools":
            return ".".join([head, *(word for word in rest if word != "function")])
        return _OWN_NAMES.get(head, param)


def _content(choice: Mapping[str, Any]) -> list[Any]:
    return list((choice.get("logprobs") or {}).get("content") or [])


def _response_format(format: Format | None) -> dict[str, Any] | None:
    if format is None or format.type == "text":
        return None
    if format.type == "json_object":
        return {"type": "json_object"}
    wish = {"name": format.name or "answer", "schema": format.schema_}
    return {
        "type": "json_schema",
        "json_schema": {**wish, **({} if format.strict is None else {"strict": format.strict})},
    }


def _tool_choice(choice: str | dict[str, Any]) -> Any:
    if isinstance(choice, str):
        return choice
    if choice.get("type") == "function" and isinstance(choice.get("name"), str):
        return {"type": "function", "function": {"name": choice["name"]}}
    raise UnsupportedError(
        T(f"tool_choice={choice!r} is not supported", f"不支持 tool_choice={choice!r}"), param="tool_choice"
    )
