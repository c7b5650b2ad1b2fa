"""Ollama's ``/api/chat`` and ``/api/generate``, translated to chat completions (``raw``: completions) and back.

Source: Ollama's API documentation (docs/api.md) and its Python client's types. ``options`` are mapped by name. Options that are
chosen when a model is loaded (``num_gpu``, ``num_thread`` ...) and those that no engine here has (``mirostat`` ...) are refused.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from zhilu.errors import InputError, UnsupportedError, ZhiluError, nearest
from zhilu.messages import T
from zhilu.wire.doors import parse_request
from zhilu.wire.ollama_store import read_context, write_context
from zhilu.wire.requests import Request

__all__ = [
    "OllamaChat",
    "OllamaEmbedRequest",
    "OllamaEmbeddingsRequest",
    "OllamaGenerate",
    "now",
    "ollama_error",
    "plain_name",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Function(_Strict):
    name: str
    arguments: dict[str, Any] = {}
    description: str | None = None
    index: int | None = None


class _Call(_Strict):
    id: str | None = None
    type: Literal["function"] | None = None
    function: _Function


class _Message(_Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    name: str | None = None


class _Generation(Request):
    """Fields of both. ``keep_alive`` 0 unloads after the answer; other times change nothing (see the documentation)."""

    model: str
    options: dict[str, Any] | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    stream: bool | None = None
    keep_alive: float | str | None = None
    think: bool | str | None = None
    truncate: Literal[False] | None = None  # a conversation is never cut, nor moved out of the context, in silence
    shift: Literal[False] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class _ChatRequest(_Generation):
    messages: list[_Message] = Field(default_factory=list)
    tools: list[dict[str, Any]] | None = None


class _GenerateRequest(_Generation):
    prompt: str | None = None
    system: str | None = None
    raw: bool | None = None
    # known, refused by name
    suffix: str | None = None
    template: str | None = None
    context: list[int] | None = None
    images: Annotated[list[Any], Field(max_length=0)] | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None


class OllamaEmbedRequest(Request):
    """``POST /api/embed``."""

    model: str
    input: str | list[str]
    truncate: bool | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    options: dict[str, Any] | None = None
    keep_alive: float | str | None = None


class OllamaEmbeddingsRequest(Request):
    """``POST /api/embeddings``, the older one: one text, one vector."""

    model: str
    prompt: str
    options: dict[str, Any] | None = None
    keep_alive: float | str | None = None


# Ollama's word -> OpenAI's (or vLLM's extra), where only the name differs.
_SAME = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "repeat_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
# Values that ask for nothing; every other value is refused by name.
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "mirostat": (0,),
    "mirostat_tau": (),
    "mirostat_eta": (),
    "tfs_z": (1, 1.0),
    "typical_p": (1, 1.0),
    "repeat_last_n": (-1,),  # over the whole context, which is how engines here do it
    "penalize_newline": (True,),
    "num_keep": (),
    "num_batch": (),
    "num_gpu": (),
    "main_gpu": (),
    "num_thread": (),
    "use_mmap": (),
    "use_mlock": (False,),
    "numa": (False,),
    "low_vram": (False,),
    "f16_kv": (True,),
    "vocab_only": (False,),
    "logits_all": (False,),
    "embedding_only": (False,),
}


def plain_name(name: str) -> str:
    """``zhilu-nano:latest`` is ``zhilu-nano``, ``qwen2.5:0.5b`` is ``qwen2.5-0.5b``: names here have no tags."""
    return name.removesuffix(":latest").replace(":", "-")


def now() -> str:
    """RFC 3339 with nanoseconds' place, in UTC, as Ollama writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def ollama_error(body: Mapping[str, Any]) -> dict[str, Any]:
    """Ollama's errors are one sentence."""
    error = body.get("error")
    return {"error": str(error.get("message") if isinstance(error, Mapping) else error or body)}


def check_options(options: Mapping[str, Any] | None) -> tuple[dict[str, Any], int | None]:
    """OpenAI's parameters for Ollama's, and the context length that was asked for.

    Raises:
        UnsupportedError: names the option that is unknown or cannot be had here.
    """
    chosen: dict[str, Any] = {}
    num_ctx = None
    for name, value in (options or {}).items():
        param = f"options.{name}"
        if value is None:
            continue
        if name in _SAME:
            chosen[_SAME[name]] = value
        elif name in ("num_predict", "num_ctx"):
            if not isinstance(value, int) or isinstance(value, bool):
                raise InputError(
                    T(f"{param} must be an integer, given {value!r}", f"{param} 必须是整数，给出的是 {value!r}"),
                    param=param,
                )
            if name == "num_ctx":
                num_ctx = value
            elif value > 0:
                chosen["max_tokens"] = value
            elif value not in (-1, -2):  # without end, or until the context is full: both end there
                raise InputError(
                    T(f"{param} must be positive or -1, given {value}", f"{param} 必须为正数或 -1，给出的是 {value}"),
                    param=param,
                )
        elif name not in _HARMLESS:
            meant = nearest(name, [*_SAME, *_HARMLESS, "num_predict", "num_ctx"])
            hint = T(f"; did you mean {meant!r}?", f"；是不是 {meant!r}？") if meant else T("", "")
            raise UnsupportedError(T(f"unknown option {name!r}{hint.en}", f"未知选项 {name!r}{hint.zh}"), param=param)
        elif value not in _HARMLESS[name]:
            raise UnsupportedError(
                T(f"option {name}={value!r} is not supported", f"不支持选项 {name}={value!r}"), param=param
            )
    return chosen, num_ctx


class _Dialect(ABC):
    """What chat and generate share: options, format, timing, lines of JSON."""

    path = ""
    endpoint = "/v1/chat/completions"
    media_type: ClassVar[str] = "application/x-ndjson"
    _wish: _Generation

    def _take(self, wish: _Generation) -> None:
        self._wish = wish
        self.model: str | None = plain_name(wish.model)
        self.stream = wish.stream is not False  # Ollama streams unless told otherwise
        self._options, self.num_ctx = check_options(wish.options)
        if wish.think:
            raise UnsupportedError(
                T(
                    "think is not supported: thoughts are part of the answer here",
                    "不支持 think：思考内容不会被单独返回",
                ),
                param="think",
            )
        if wish.top_logprobs is not None and not wish.logprobs:
            raise InputError(
                T("top_logprobs: only with logprobs", "top_logprobs：只能与 logprobs 一起使用"), param="top_logprobs"
            )
        self._arrived = time.monotonic_ns()
        self._asked: int | None = None  # when the engine was asked
        self._first: int | None = None  # when its first piece came
        self._usage: Mapping[str, Any] = {}
        self._reason: str | None = None
        self._calls: dict[int, dict[str, Any]] = {}
        self._text = ""
        self._logprobs: list[Any] = []

    @property
    @abstractmethod
    def is_load_only(self) -> bool:
        """Nothing to answer: the client wants the model loaded, or unloaded."""

    @property
    def unloads(self) -> bool:
        return self._wish.keep_alive in (0, "0", "0s", "0m")

    def _common(self) -> dict[str, Any]:
        self._asked = time.monotonic_ns()
        body: dict[str, Any] = dict(self._options)
        format = self._wish.format
        if format == "json":
            body["response_format"] = {"type": "json_object"}
        elif format:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "format", "schema": format}}
        # Always: only a stream tells the reading of the prompt from the writing of the answer, which Ollama reports.
        return body | {"stream": True, "stream_options": {"include_usage": True}}

    def collected(self) -> dict[str, Any]:
        """The whole answer, once all pieces have come."""
        return {**self._said(self._text, self._finished_calls(), self._logprobs or None), **self._counts()}

    def whole(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        (choice,) = reply["choices"]
        self._usage, self._reason = reply.get("usage") or {}, choice["finish_reason"]
        message = choice.get("message") or {"content": choice.get("text")}
        self._text = message.get("content") or ""
        self._collect(message.get("tool_calls") or [])
        logprobs = (choice.get("logprobs") or {}).get("content")
        return {**self._said(message.get("content") or "", self._finished_calls(), logprobs), **self._counts()}

    def begin(self) -> bytes:
        return b""

    def piece(self, chunk: Mapping[str, Any]) -> bytes:
        self._usage = chunk.get("usage") or self._usage
        out = b""
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {"content": choice.get("text")}
            self._collect(delta.get("tool_calls") or [])
            self._reason = choice.get("finish_reason") or self._reason
            calls = self._finished_calls() if choice.get("finish_reason") else None
            text, logprobs = delta.get("content") or "", (choice.get("logprobs") or {}).get("content")
            self._text += text
            self._logprobs += logprobs or []
            if text or calls or logprobs:
                self._first = self._first or time.monotonic_ns()
                out += _line({**self._said(text, calls, logprobs), "done": False})
        return out

    def end(self) -> bytes:
        return _line({**self._said("", None, None), **self._counts()})

    def broken(self, error: ZhiluError) -> bytes:
        return _line({"error": error.message.say()})

    def own_name(self, param: str) -> str:
        head = param.partition(".")[0]
        own = next((word for word, theirs in {**_SAME, "num_predict": "max_tokens"}.items() if theirs == head), None)
        return f"options.{own}" if own else {"response_format": "format"}.get(head, param)

    @staticmethod
    def refusal(body: Mapping[str, Any]) -> dict[str, Any]:
        return ollama_error(body)

    def loaded(self) -> dict[str, Any]:
        """The answer where there was nothing to answer."""
        said = self._said("", None, None)
        return {**said, "done": True, "done_reason": "unload" if self.unloads else "load"}

    @abstractmethod
    def _said(self, text: str, calls: Sequence[Any] | None, logprobs: Any) -> dict[str, Any]:
        """One line of the answer, as chat or generate writes it."""

    def _head(self, logprobs: Any) -> dict[str, Any]:
        return {"model": self._wish.model, "created_at": now(), **({"logprobs": logprobs} if logprobs else {})}

    def _counts(self) -> dict[str, Any]:
        """Durations in nanoseconds, measured here; a whole answer cannot tell reading from writing."""
        done = time.monotonic_ns()
        asked = self._asked or self._arrived
        first = self._first or done
        return {
            "done": True,
            "done_reason": "length" if self._reason == "length" else "stop",
            "total_duration": done - self._arrived,
            "load_duration": asked - self._arrived,
            "prompt_eval_count": self._usage.get("prompt_tokens", 0),
            "prompt_eval_duration": first - asked if self._first else 0,
            "eval_count": self._usage.get("completion_tokens", 0),
            "eval_duration": done - first if self._first else done - asked,
        }

    def _collect(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        for number, piece in enumerate(pieces):
            call = self._calls.setdefault(piece.get("index", number), {"id": None, "name": "", "arguments": ""})
            function = piece.get("function") or {}
            call["id"] = piece.get("id") or call["id"]
            call["name"] += function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""

    def _finished_calls(self) -> list[dict[str, Any]]:
        return [
            {
                "id": call["id"],
                "function": {"index": index, "name": call["name"], "arguments": _object(call["arguments"])},
            }
            for index, call in sorted(self._calls.items())
        ]


class OllamaChat(_Dialect):
    """``POST /api/chat``; see ``wire.dialect.Dialect``."""

    path = "/api/chat"
    _wish: _ChatRequest

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._take(parse_request(_ChatRequest, data))

    @property
    def is_load_only(self) -> bool:
        return not self._wish.messages

    def body(self) -> dict[str, Any]:
        body = {"messages": list(_messages(self._wish.messages)), **self._common()}
        if self._wish.tools:
            body["tools"] = self._wish.tools
        if self._wish.logprobs:
            body |= {"logprobs": True, "top_logprobs": self._wish.top_logprobs or 0}
        return body

    def _said(self, text: str, calls: Sequence[Any] | None, logprobs: Any) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
        return {**self._head(logprobs), "message": message}


class OllamaGenerate(_Dialect):
    """``POST /api/generate``; with ``raw`` the prompt goes to the model as it is, without a chat template."""

    path = "/api/generate"
    _wish: _GenerateRequest

    def __init__(self, data: Mapping[str, Any]) -> None:
        wish = parse_request(_GenerateRequest, data)
        for name in ("suffix", "template", "width", "height", "steps"):
            if getattr(wish, name):
                raise UnsupportedError(T(f"{name} is not supported", f"不支持 {name}"), param=name)
        beyond_raw = next((name for name in ("system", "logprobs", "context") if getattr(wish, name)), None)
        if wish.raw and beyond_raw:
            name = beyond_raw
            raise UnsupportedError(T(f"{name}: not together with raw", f"{name}：不能与 raw 一起使用"), param=name)
        self._take(wish)
        self._history = read_context(wish.context) if wish.context else []
        if wish.system:
            others = (message for message in self._history if message["role"] != "system")
            self._history = [{"role": "system", "content": wish.system}, *others]
        self._history = [*self._history, {"role": "user", "content": wish.prompt or ""}]
        self.endpoint = "/v1/completions" if wish.raw else "/v1/chat/completions"

    @property
    def is_load_only(self) -> bool:
        return not self._wish.prompt

    def body(self) -> dict[str, Any]:
        wish = self._wish
        if wish.raw:
            # A completion's default limit is 16 tokens, and some engines refuse one beyond the context.
            return {"prompt": wish.prompt, "max_tokens": 128, **self._common()}
        body = {"messages": self._history, **self._common()}
        if wish.logprobs:
            body |= {"logprobs": True, "top_logprobs": wish.top_logprobs or 0}
        return body

    def _said(self, text: str, calls: Sequence[Any] | None, logprobs: Any) -> dict[str, Any]:
        return {**self._head(logprobs), "response": text}

    def _counts(self) -> dict[str, Any]:
        if self._wish.raw:
            return super()._counts()
        answer = {"role": "assistant", "content": self._text}
        return {**super()._counts(), "context": write_context([*self._history, answer])}


def _messages(messages: Sequence[_Message]) -> Iterator[dict[str, Any]]:
    """OpenAI's messages. Ollama's calls need no ids: ours are numbered, and results take them in order, or by name."""
    open_calls: list[tuple[str, str]] = []  # (id, name) of calls that have no result yet
    num_calls = 0
    for message in messages:
        content = message.content or ""
        if message.role == "tool":
            wanted = message.tool_name or message.name
            match = next((call for call in open_calls if call[1] == wanted or call[0] == message.tool_call_id), None)
            match = match or (open_calls[0] if open_calls else None)
            if match in open_calls:
                open_calls.remove(match)
            id = message.tool_call_id or (match[0] if match else f"call_{num_calls}")
            yield {"role": "tool", "tool_call_id": id, "content": content}
        elif message.tool_calls:
            calls = []
            for call in message.tool_calls:
                id = call.id or f"call_{num_calls}"
                num_calls += 1
                open_calls.append((id, call.function.name))
                arguments = json.dumps(call.function.arguments, ensure_ascii=False)
                calls.append(
                    {"id": id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}}
                )
            yield {"role": "assistant", "content": content or None, "tool_calls": calls}
        else:
            yield {"role": message.role, "content": content}


def _object(arguments: str) -> dict[str, Any]:
    """Ollama's arguments are an object; what is none (a model may write anything) is handed over under one key."""
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
