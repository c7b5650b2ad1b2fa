"""Refuses texts that are too long for a context whatever they contain, before their tokens are counted."""

from __future__ import annotations

from zhilu import wire
from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["LONGEST_TOKEN", "refuse_endless"]

# Characters of the longest token that a vocabulary is known to have (Qwen's 128 blanks): a text of more characters than
# this for each token of the context cannot fit, whatever it says. So it is refused before anybody counts its tokens.
LONGEST_TOKEN = 128


def refuse_endless(max_len: int | None, request: wire.Request, raw: bytes) -> None:
    """Raise InputError (``context_length_exceeded``) for a text that cannot fit, by its characters alone.

    ``max_len``: tokens of the engine's context, None where it does not say. ``raw``: the request as it was sent.
    """
    limit = (max_len or 0) * LONGEST_TOKEN
    if not limit or len(raw) <= limit:  # a character has a byte at least
        return
    prompts = getattr(request, "prompts", None)
    if prompts is None:
        chats, param = getattr(request, "chats", None) or [request], "messages"
        length = max(
            sum(len(message.text or "") for message in getattr(chat, "messages", None) or ()) for chat in chats
        )
    else:
        length, param = max((len(prompt) for prompt in prompts if isinstance(prompt, str)), default=0), "prompt"
        ids = max((len(prompt) for prompt in prompts if not isinstance(prompt, str)), default=0)
        if ids > (max_len or 0) and getattr(request, "truncate_prompt_tokens", None) is None:
            raise InputError(
                T(
                    f"The context holds {max_len} tokens; {param} has {ids}.",
                    f"上下文长度为 {max_len} 个 token；{param} 有 {ids} 个。",
                ),
                param=param,
                code="context_length_exceeded",
            )
    if length > limit:
        raise InputError(
            T(
                f"The context holds {max_len} tokens, which are never more than {limit} characters; {param} has {length}.",
                f"上下文长度为 {max_len} 个 token，最多相当于 {limit} 个字符；{param} 有 {length} 个字符。",
            ),
            param=param,
            code="context_length_exceeded",
        )
