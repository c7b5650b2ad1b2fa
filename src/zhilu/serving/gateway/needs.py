"""What a request asks of an engine, as data: a wish beyond its facts is refused by name before the engine is asked.

A server reached by its URL is asked anyway: what it can do only it knows, and it refuses for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zhilu import wire
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T
from zhilu.serving.facts import FEATURES, EngineFacts

__all__ = ["NEEDS", "refuse_beyond", "refuse_endless", "refuse_endpoint"]

# Characters of the longest token that a vocabulary is known to have (Qwen's 128 blanks): a text of more characters than
# this for each token of the context cannot fit, whatever it says. So it is refused before anybody counts its tokens.
_LONGEST_TOKEN = 128
_JSON = ("json_object", "json_schema")
# feature -> the field that asks for it, and when it does. A feature that no engine is said to have or lack is not asked.
NEEDS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("stream", "stream", lambda r: bool(getattr(r, "stream", False))),
    ("tools", "tools", lambda r: bool(getattr(r, "tools", None)) and getattr(r, "tool_choice", None) != "none"),
    ("json_schema", "response_format", lambda r: (getattr(r, "response_format", None) or {}).get("type") in _JSON),
    ("logprobs", "logprobs", lambda r: getattr(r, "logprobs", None) not in (None, False)),
    ("seed", "seed", lambda r: getattr(r, "seed", None) is not None),
    ("logit_bias", "logit_bias", lambda r: bool(getattr(r, "logit_bias", None))),
    ("n", "n", lambda r: getattr(r, "n", 1) > 1),
    ("beam_search", "use_beam_search", lambda r: bool(getattr(r, "use_beam_search", None))),
    ("echo", "echo", lambda r: bool(getattr(r, "echo", None))),
)
_ENDPOINTS = {
    "/v1/chat/completions": "chat",
    "/v1/chat/completions/batch": "batch",
    "/v1/completions": "completions",
    "/tokenize": "tokenize",
    "/detokenize": "tokenize",
    "/tokenizer_info": "tokenize",
    "/v1/load_lora_adapter": "lora",
    "/v1/unload_lora_adapter": "lora",
}


def refuse_beyond(facts: EngineFacts, endpoint: str, request: wire.Request) -> None:
    """Raise UnsupportedError for the first wish that ``facts`` do not hold."""
    refuse_endpoint(facts, endpoint)
    if not facts.is_process:
        return
    for feature, field, asks in NEEDS:
        if feature in FEATURES and feature not in facts.can and field in request.model_fields_set and asks(request):
            raise UnsupportedError(
                T(
                    f"The engine {facts.name!r} has no {FEATURES[feature].en}: {field} cannot be used with it.",
                    f"引擎 {facts.name!r} 不支持{FEATURES[feature].zh}：不能使用 {field}。",
                ),
                param=field,
                fix="zhilu engine list",
            )


def refuse_endless(max_len: int | None, request: wire.Request, raw: bytes) -> None:
    """Raise InputError (``context_length_exceeded``) for a text that cannot fit, by its characters alone.

    ``max_len``: tokens of the engine's context, None where it does not say. ``raw``: the request as it was sent.
    """
    limit = (max_len or 0) * _LONGEST_TOKEN
    if not limit or len(raw) <= limit:  # a character has a byte at least
        return
    prompts = getattr(request, "prompts", None)
    if prompts is None:
        chats, param = getattr(request, "chats", None) or [request], "messages"
        length = max(sum(len(message.text or "") for message in chat.messages) for chat in chats)
    else:
        length, param = max((len(prompt) for prompt in prompts if isinstance(prompt, str)), default=0), "prompt"
    if length > limit:
        raise InputError(
            T(
                f"The context holds {max_len} tokens, which are never more than {limit} characters; {param} has {length}.",
                f"上下文长度为 {max_len} 个 token，最多相当于 {limit} 个字符；{param} 有 {length} 个字符。",
            ),
            param=param,
            code="context_length_exceeded",
        )


def refuse_endpoint(facts: EngineFacts, endpoint: str) -> None:
    """Raise UnsupportedError where the engine has nothing at ``endpoint``."""
    feature = _ENDPOINTS.get(endpoint, "chat")
    if facts.is_process and feature in FEATURES and feature not in facts.can:
        raise UnsupportedError(
            T(
                f"The engine {facts.name!r} has no {endpoint} ({FEATURES[feature].en}).",
                f"引擎 {facts.name!r} 没有 {endpoint}（{FEATURES[feature].zh}）。",
            ),
            param="model",
            code="unsupported_endpoint",
            fix="zhilu engine list",
        )
