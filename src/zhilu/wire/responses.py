"""OpenAI's Responses API (``POST /v1/responses``), stateless, told as a chat completion and back.

What needs a memory on the server (``store``, ``previous_response_id``, ``conversation``, ``background``) is refused by
name, and so are OpenAI's own tools (web search, files, computers). Source: OpenAI's API reference, "Responses" and
"Streaming events".
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from zhilu.errors import InputError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.wire.doors import parse_request
from zhilu.wire.replies import sse
from zhilu.wire.requests import Refusal, Request

__all__ = ["ResponsesDialect", "ResponsesRequest"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Part(_Strict):
    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


def _text_kind(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<str>"


_Text = Annotated[Annotated[str, Tag("<str>")] | Annotated[list[_Part], Tag("<list>")], Discriminator(_text_kind)]


class _Message(_Strict):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: _Text
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class _Call(_Strict):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None
    namespace: None = None


class _CallOutput(_Strict):
    type: Literal["function_call_output"]
    call_id: str
    output: _Text
    id: str | None = None
    status: str | None = None


class _Reasoning(_Strict):
    """An empty one, as clients send it back with a history; what says something is refused before (``_refuse_tools_of_openai``)."""

    type: Literal["reasoning"]
    id: str | None = None
    status: str | None = None
    summary: list[Any] = []
    content: list[Any] | None = None
    encrypted_content: str | None = None


_ITEM_KINDS = ("message", "function_call", "function_call_output", "reasoning")


def _item_kind(value: Any) -> str:
    """Which of them an item is; anything else fails as a message and is then named by its ``type``."""
    kind = value.get("type") if isinstance(value, dict) else None
    return f"<{kind}>" if kind in _ITEM_KINDS else "<message>"


_Item = Annotated[
    Annotated[_Message, Tag("<message>")]
    | Annotated[_Call, Tag("<function_call>")]
    | Annotated[_CallOutput, Tag("<function_call_output>")]
    | Annotated[_Reasoning, Tag("<reasoning>")],
    Discriminator(_item_kind),
]
_Input = Annotated[Annotated[str, Tag("<str>")] | Annotated[list[_Item], Tag("<list>")], Discriminator(_text_kind)]


class _Function(_Strict):
    type: Literal["function"]
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Format(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_a_schema(self) -> _Format:
        if (self.type == "json_schema") != (self.schema_ is not None):
            raise Refusal(
                "schema", T("belongs to, and is needed by, json_schema", "json_schema 必须且只有它可以带 schema")
            )
        return self


class _TextOptions(_Strict):
    format: _Format | None = None
    verbosity: Literal["medium"] | None = None


class _StreamOptions(_Strict):
    include_obfuscation: bool | None = None


class ResponsesRequest(Request):
    """``POST /v1/responses``, without what needs a memory on the server."""

    input: _Input
    instructions: str | None = None
    tools: list[_Function] | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: _TextOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    include: list[str] | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    # vLLM's extras, checked as those of a chat
    cache_salt: Any = None
    frequency_penalty: Any = None
    ignore_eos: Any = None
    logit_bias: Any = None
    min_p: Any = None
    min_tokens: Any = None
    presence_penalty: Any = None
    repetition_penalty: Any = None
    seed: Any = None
    stop: Any = None
    top_k: Any = None
    # known, refused by name with other values than these
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None
    reasoning: Any = None
    truncation: str | None = None
    service_tier: str | None = None
    max_tool_calls: int | None = None
    prompt: Any = None
    context_management: Any = None


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
    *("min_p", "min_tokens", "presence_penalty", "repetition_penalty", "seed", "stop", "top_k"),
)
# Known fields with the values that ask for nothing we lack.
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "store": (None, False),
    "previous_response_id": (None,),
    "conversation": (None,),
    "background": (None, False),
    "reasoning": (None, {}, {"effort": None, "summary": None}, {"effort": "none"}),
    "truncation": (None, "disabled"),
    "service_tier": (None, "auto", "default"),
    "max_tool_calls": (None,),
    "prompt": (None,),
    "context_management": (None,),
}
_LOGPROBS = "message.output_text.logprobs"
_NO_MEMORY = T(
    "This server keeps nothing between requests: send the whole conversation as input.",
    "这个服务器不在请求之间保存任何内容：请把完整对话放进 input。",
)


class ResponsesDialect:
    """One request of the Responses API; see ``wire.dialect.Dialect``."""

    path = "/v1/responses"
    endpoint = "/v1/chat/completions"
    media_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    num_ctx: int | None = None

    def __init__(self, data: Mapping[str, Any]) -> None:
        _refuse_tools_of_openai(data)
        self._request = request = parse_request(ResponsesRequest, data)
        _refuse(request)
        self.model = request.model
        self.stream = bool(request.stream)
        self._answer = _Answer(request)

    def body(self) -> dict[str, Any]:
        wish = self._request
        format = wish.text.format if wish.text else None
        chosen = {
            "max_completion_tokens": wish.max_output_tokens,
            "response_format": _response_format(format),
            **{name: getattr(wish, name) for name in _PASSED_ON},
        }
        body: dict[str, Any] = {
            "messages": list(_messages(wish)),
            **{name: value for name, value in chosen.items() if value is not None},
        }
        if wish.tools:
            body["tools"] = [
                {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}
                for tool in wish.tools
            ]
            body |= {} if wish.tool_choice is None else {"tool_choice": _tool_choice(wish.tool_choice)}
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
        return answer.event("response.created", response=answer.response("in_progress")) + answer.event(
            "response.in_progress", response=answer.response("in_progress")
        )

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


class _Answer:
    """The reply as far as it has come. Its items are made as text and calls arrive; each step tells its events."""

    def __init__(self, request: ResponsesRequest) -> None:
        self.request = request
        self.id = f"resp_{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.items: list[dict[str, Any]] = []
        self.usage: Mapping[str, Any] | None = None
        self.finish_reason: str | None = None
        self.wants_logprobs = request.top_logprobs is not None or _LOGPROBS in (request.include or ())
        self._open: dict[str, Any] | None = None  # always the last item
        self._call_index: int | None = None
        self._sequence = 0

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
        tools = [{"strict": None, "description": None, **tool.model_dump()} for tool in wish.tools or []]
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
            "reasoning": {"effort": None, "summary": None},
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


def _content(choice: Mapping[str, Any]) -> list[Any]:
    return list((choice.get("logprobs") or {}).get("content") or [])


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


def _refuse_tools_of_openai(data: Mapping[str, Any]) -> None:
    """Their names say more than "must be 'function'" would."""
    tools = data.get("tools")
    for number, tool in enumerate(tools if isinstance(tools, list) else []):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "function":
            raise UnsupportedError(
                T(
                    f"tools.{number}: the tool {kind!r} does not exist here; functions do.",
                    f"tools.{number}：这里没有工具 {kind!r}；只支持 function。",
                ),
                param=f"tools.{number}.type",
            )
    items = data.get("input")
    for number, item in enumerate(items if isinstance(items, list) else []):
        kind = item.get("type", "message") if isinstance(item, dict) else "message"
        is_empty = kind != "reasoning" or not any(
            item.get(name) for name in ("summary", "content", "encrypted_content")
        )
        if kind not in _ITEM_KINDS or not is_empty:
            raise UnsupportedError(
                T(
                    f"input.{number}: items of type {kind!r} are not supported.",
                    f"input.{number}：不支持类型为 {kind!r} 的输入项。",
                ),
                param=f"input.{number}.type",
            )


def _refuse(request: ResponsesRequest) -> None:
    for name in sorted(request.model_fields_set & _HARMLESS.keys()):
        value = getattr(request, name)
        if value in _HARMLESS[name]:
            continue
        memory = _NO_MEMORY if name in ("store", "previous_response_id", "conversation", "background") else T("", "")
        raise UnsupportedError(
            T(f"{name}={value!r} is not supported. {memory.en}", f"不支持 {name}={value!r}。{memory.zh}"), param=name
        )
    for wanted in request.include or ():
        if wanted != _LOGPROBS:
            raise UnsupportedError(
                T(
                    f"include {wanted!r} is not supported; {_LOGPROBS!r} is.",
                    f"include 不支持 {wanted!r}；可用 {_LOGPROBS!r}。",
                ),
                param="include",
            )
    if not request.input:
        raise InputError(T("input must not be empty", "input 不能为空"), param="input")


def _messages(request: ResponsesRequest) -> Iterator[dict[str, Any]]:
    """Chat messages. Calls join the assistant's message before them, as chat completions have it."""
    if request.instructions:
        yield {"role": "system", "content": request.instructions}
    if isinstance(request.input, str):
        yield {"role": "user", "content": request.input}
        return
    waiting: dict[str, Any] | None = None
    for item in request.input:
        if isinstance(item, _Reasoning):
            continue
        if isinstance(item, _Call):
            waiting = waiting or {"role": "assistant", "content": None}
            function = {"name": item.name, "arguments": item.arguments}
            waiting.setdefault("tool_calls", []).append({"id": item.call_id, "type": "function", "function": function})
            continue
        if waiting:
            yield waiting
            waiting = None
        if isinstance(item, _CallOutput):
            yield {"role": "tool", "tool_call_id": item.call_id, "content": _joined(item.output)}
        elif item.role == "assistant":
            waiting = {"role": "assistant", "content": _joined(item.content)}
        else:
            yield {"role": item.role, "content": _joined(item.content)}
    if waiting:
        yield waiting


def _joined(content: str | list[_Part]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _response_format(format: _Format | None) -> dict[str, Any] | None:
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
