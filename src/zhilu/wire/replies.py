"""What is answered: OpenAI's reply and chunk shapes as plain dictionaries, and server-sent events."""

from __future__ import annotations

import time
import uuid
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from zhilu import events
from zhilu.errors import ZhiluError, error_body

__all__ = [
    "HOLE",
    "SSE_DONE",
    "FinishReason",
    "TextOffsets",
    "TokenLogprob",
    "chat_chunk",
    "chat_completion",
    "chat_logprobs",
    "embedding_list",
    "model_list",
    "new_id",
    "sse",
    "sse_error",
    "sse_frame",
    "text_completion",
    "text_logprobs",
    "usage",
]

FinishReason = Literal["stop", "length", "tool_calls"]


def new_id(kind: str) -> str:
    """``chatcmpl-…``, ``cmpl-…``, ``call_…`` (tool calls use an underscore, as OpenAI does)."""
    return f"{kind}{'_' if kind == 'call' else '-'}{uuid.uuid4().hex[:24]}"


def usage(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """Token counts. ``cached``: prompt tokens whose keys and values were found in the prefix cache."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def chat_completion(
    id: str,
    model: str,
    choices: Sequence[Mapping[str, Any]],
    used: Mapping[str, Any],
    created: int | None = None,
    **extras: Any,
) -> dict[str, Any]:
    """The whole reply. Each choice: ``{"content", "tool_calls", "finish_reason", "logprobs"}`` and vLLM's extras.

    ``extras``: further keys of the reply, such as ``system_fingerprint`` and ``prompt_logprobs``.
    """
    return {
        "id": id,
        "object": "chat.completion",
        "created": created or int(time.time()),
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": choice["content"],
                    "refusal": None,
                    "annotations": None,
                    "audio": None,
                    "function_call": None,
                    "tool_calls": choice.get("tool_calls") or None,
                },
                "logprobs": choice.get("logprobs"),
                "finish_reason": choice["finish_reason"],
                **_choice_extras(choice),
            }
            for index, choice in enumerate(choices)
        ],
        "usage": dict(used),
        "service_tier": None,
        **extras,
    }


def chat_chunk(
    id: str,
    model: str,
    created: int,
    *,
    index: int | None = 0,
    delta: Mapping[str, Any] | None = None,
    finish_reason: FinishReason | None = None,
    logprobs: Mapping[str, Any] | None = None,
    used: Mapping[str, Any] | None = None,
    include_usage: bool = False,
    choice_extras: Mapping[str, Any] | None = None,
    **extras: Any,
) -> dict[str, Any]:
    """One streamed piece; ``index=None`` makes the last one, which has no choice and carries ``used``."""
    choice = {"index": index, "delta": dict(delta or {}), "logprobs": logprobs, "finish_reason": finish_reason}
    chunk: dict[str, Any] = {
        "id": id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [] if index is None else [{**choice, **(choice_extras or {})}],
        **extras,
    }
    if include_usage:
        chunk["usage"] = dict(used) if used else None
    return chunk


def text_completion(
    id: str,
    model: str,
    created: int,
    choices: Sequence[Mapping[str, Any]],
    used: Mapping[str, Any] | None = None,
    include_usage: bool = True,
    **extras: Any,
) -> dict[str, Any]:
    """A reply of ``/v1/completions``, whole or streamed piece: both have the same shape.

    Each choice: ``{"index", "text", "finish_reason", "logprobs"}`` and vLLM's extras.
    """
    reply: dict[str, Any] = {
        "id": id,
        "object": "text_completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": choice["index"],
                "text": choice["text"],
                "logprobs": choice.get("logprobs"),
                "finish_reason": choice.get("finish_reason"),
                **_choice_extras(choice),
            }
            for choice in choices
        ],
        **extras,
    }
    if include_usage:
        reply["usage"] = dict(used) if used else None
    return reply


def _choice_extras(choice: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's additions: what ended the text, and token ids where they were asked for."""
    names = ("stop_reason", "token_ids", "prompt_token_ids", "prompt_logprobs")
    return {name: choice[name] for name in names if name in choice}


# One token with its alternatives: (text, bytes, logprob, [(text, bytes, logprob), ...]); a prompt's first has no logprob.
TokenLogprob = tuple[str, bytes, "float | None", Sequence[tuple[str, bytes, float]]]


def chat_logprobs(tokens: Iterable[TokenLogprob]) -> dict[str, Any]:
    def entry(text: str, raw: bytes, logprob: float | None) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(raw)}

    content = [{**entry(text, raw, lp), "top_logprobs": [entry(*alt) for alt in top]} for text, raw, lp, top in tokens]
    return {"content": content, "refusal": None}


class TextOffsets:
    """Where each token of an answer begins in its text, in characters. A token that is a part of a character begins where
    that character does, as its first part did."""

    def __init__(self) -> None:
        self._num_chars = 0
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def take(self, raw: bytes) -> int:
        """The place of the next token, whose bytes are ``raw``."""
        place = self._num_chars
        self._num_chars += len(self._decoder.decode(raw))
        return place


def text_logprobs(tokens: Iterable[TokenLogprob], offsets: TextOffsets | None = None) -> dict[str, Any]:
    """The older shape of ``/v1/completions``; ``offsets``: of the answer, which goes on after these tokens."""
    offsets = offsets or TextOffsets()
    out: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for text, raw, logprob, top in tokens:
        out["tokens"].append(_label(text, raw))
        out["token_logprobs"].append(logprob)
        ranked = () if logprob is None else (*top, (text, raw, logprob))
        out["top_logprobs"].append({_label(word, its): value for word, its, value in ranked} or None)
        out["text_offset"].append(offsets.take(raw))
    return out


def _label(text: str, raw: bytes) -> str:
    """A token that is no whole character is spelled in bytes, as OpenAI does: as text, all of these look alike."""
    if "\ufffd" in text and text.encode() != raw:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
    return text


def embedding_list(model: str, data: Sequence[Any], num_tokens: int) -> dict[str, Any]:
    """``data``: one vector (list of floats, or base64 text of little-endian float32) per input."""
    return {
        "id": new_id("embd"),
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(data)],
        "usage": {"prompt_tokens": num_tokens, "completion_tokens": 0, "total_tokens": num_tokens},
    }


def model_list(models: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``GET /v1/models``; each entry needs ``id``, other keys (``max_model_len``, ``owned_by`` …) are passed on."""
    return {
        "object": "list",
        "data": [{"object": "model", "created": 0, "owned_by": "zhilu", **model} for model in models],
    }


SSE_DONE = b"data: [DONE]\n\n"


# Stands for the text that changes in ``sse_frame``; no name or id holds a NUL.
HOLE = "\0"


def sse(data: Mapping[str, Any], event: str | None = None) -> bytes:
    """One event; see ``zhilu.events``."""
    return events.frame(data, event)


def sse_frame(data: Mapping[str, Any]) -> Callable[[str], bytes]:
    """``sse`` for events that differ in one text only: ``data`` has ``HOLE`` in its place.

    Of a stream nearly all events are of this kind, and writing the rest of them anew takes longer than the text.
    """
    head, tail = sse(data).split(events.one_line(HOLE).encode())
    return lambda text: head + events.one_line(text).encode() + tail


def sse_error(error: ZhiluError, lang: str | None = None, event: str | None = None) -> bytes:
    """An error after streaming began: the body an HTTP error would have had, as an event."""
    return sse(error_body(error, lang), event)
