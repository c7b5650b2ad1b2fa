"""Ollama's ``/api/chat`` and ``/api/generate``, translated to chat completions (``raw``: completions) and back.

``options`` are mapped by name. Options that are chosen when a model is loaded (``num_gpu``, ``num_thread`` ...) and those that no
engine here has (``mirostat`` ...) are refused.
"""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, ClassVar

from zhilu.errors import InputError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.wire.doors import parse_request
from zhilu.wire.ollama.history import messages_of, with_images
from zhilu.wire.ollama.request import SAME, ChatWish, GenerateWish, Generation, check_options
from zhilu.wire.ollama.store import read_context, write_context

__all__ = ["OllamaChat", "OllamaGenerate", "now", "ollama_error", "plain_name"]


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


class _Dialect(ABC):
    """What chat and generate share: options, format, timing, lines of JSON."""

    path = ""
    endpoint = "/v1/chat/completions"
    media_type: ClassVar[str] = "application/x-ndjson"
    _wish: Generation

    def _take(self, wish: Generation) -> None:
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
        if (
            in_content := re.match(r"messages\.(\d{1,6})\.content\.\d", param)
        ) is not None:  # only pictures make parts of it
            return self._images_at(int(in_content[1]))
        head = param.partition(".")[0]
        own = next((word for word, theirs in {**SAME, "num_predict": "max_tokens"}.items() if theirs == head), None)
        return f"options.{own}" if own else {"response_format": "format"}.get(head, param)

    @staticmethod
    def refusal(body: Mapping[str, Any]) -> dict[str, Any]:
        return ollama_error(body)

    def loaded(self) -> dict[str, Any]:
        """The answer where there was nothing to answer."""
        said = self._said("", None, None)
        return {**said, "done": True, "done_reason": "unload" if self.unloads else "load"}

    @abstractmethod
    def _images_at(self, number: int) -> str:
        """Where the pictures of a chat message stood in the request."""

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
    _wish: ChatWish

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._take(parse_request(ChatWish, data))

    @property
    def is_load_only(self) -> bool:
        return not self._wish.messages

    def body(self) -> dict[str, Any]:
        body = {"messages": list(messages_of(self._wish.messages)), **self._common()}
        if self._wish.tools:
            body["tools"] = self._wish.tools
        if self._wish.logprobs:
            body |= {"logprobs": True, "top_logprobs": self._wish.top_logprobs or 0}
        return body

    def _images_at(self, number: int) -> str:
        return f"messages.{number}.images"

    def _said(self, text: str, calls: Sequence[Any] | None, logprobs: Any) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
        return {**self._head(logprobs), "message": message}


class OllamaGenerate(_Dialect):
    """``POST /api/generate``; with ``raw`` the prompt goes to the model as it is, without a chat template."""

    path = "/api/generate"
    _wish: GenerateWish

    def __init__(self, data: Mapping[str, Any]) -> None:
        wish = parse_request(GenerateWish, data)
        for name in ("suffix", "template", "width", "height", "steps"):
            if getattr(wish, name):
                raise UnsupportedError(T(f"{name} is not supported", f"不支持 {name}"), param=name)
        beyond_raw = next((name for name in ("system", "logprobs", "context", "images") if getattr(wish, name)), None)
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
        return not self._wish.prompt and not self._wish.images

    def body(self) -> dict[str, Any]:
        wish = self._wish
        if wish.raw:
            # A completion's default limit is 16 tokens, and some engines refuse one beyond the context.
            return {"prompt": wish.prompt, "max_tokens": 128, **self._common()}
        *before, asked = self._history
        shown = {**asked, "content": with_images(asked["content"], wish.images, "images")}
        body = {"messages": [*before, shown], **self._common()}
        if wish.logprobs:
            body |= {"logprobs": True, "top_logprobs": wish.top_logprobs or 0}
        return body

    def _images_at(self, number: int) -> str:
        return "images"

    def _said(self, text: str, calls: Sequence[Any] | None, logprobs: Any) -> dict[str, Any]:
        return {**self._head(logprobs), "response": text}

    def _counts(self) -> dict[str, Any]:
        if self._wish.raw:
            return super()._counts()
        answer = {"role": "assistant", "content": self._text}
        return {**super()._counts(), "context": write_context([*self._history, answer])}


def _object(arguments: str) -> dict[str, Any]:
    """Ollama's arguments are an object; what is none (a model may write anything) is handed over under one key."""
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
