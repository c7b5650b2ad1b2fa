"""How much a model reads at once, and whether it read all that it was sent.

Some servers cut a prompt that is too long and say nothing. They do say how many tokens they read: a prompt of which far fewer were
read than it must have was cut. How many it must have is measured on samples of the same text, which are short enough to be whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zhilu.client import ModelClient
from zhilu.errors import InputError, ZhiluError
from zhilu.longtext.pieces import own_tokens
from zhilu.messages import T
from zhilu.prompts import Message

__all__ = ["ANSWER_TOKENS", "Room", "measure_room", "was_cut"]

ANSWER_TOKENS = 128
_UNKNOWN_CONTEXT = 4096  # where a server does not say
_SAMPLE = 600  # characters
_FRAME = 160  # tokens of the words around a piece, and of the chat template
_SAFE = 0.92  # of the room is used: other parts of the text may have more tokens than the samples
_LOST = 0.8  # of the tokens expected; fewer, and the prompt was cut


@dataclass(frozen=True)
class Room:
    """``context``: tokens that the model reads and writes in one call. ``rate``: its tokens for one by our own measure."""

    model: str
    context: int
    rate: float

    def piece(self, question: str = "", most: int | None = None) -> int:
        """Own tokens of a piece of the text that fit beside the question and the answer; at most ``most`` of the model's.

        Raises:
            InputError: there is no room for a piece.
        """
        free = (self.context - ANSWER_TOKENS - _FRAME) * _SAFE - self.tokens(question)
        size = int(min(free, most or free) / self.rate)
        if size < 50:
            raise InputError(
                T(
                    f"{self.model!r} reads {self.context} tokens at once: too few for the question and a piece of the text.",
                    f"{self.model!r} 一次能读 {self.context} 个 token：放不下问题和一段文字。",
                ),
                param="model",
                code="context_length_exceeded",
                fix="zhilu model list",
            )
        return size

    def tokens(self, text: str) -> float:
        """Tokens of a text, estimated."""
        return self.rate * own_tokens(text)


async def measure_room(client: ModelClient, model: str, text: str) -> Room:
    """Ask the server how much it reads, and how it counts this text."""
    context = _UNKNOWN_CONTEXT
    for entry in await client.models():
        if entry.get("id") == model:
            context = int(entry.get("max_model_len") or entry.get("context_length") or context)
    middle = len(text) // 2
    sample = text[:_SAMPLE] + text[middle : middle + _SAMPLE] + text[-_SAMPLE:]
    return Room(model, context, await _tokens_of(client, model, sample) / max(own_tokens(sample), 1))


def was_cut(room: Room, messages: Sequence[Message], usage: dict[str, Any]) -> bool | None:
    """Whether the server read much less than it was sent; None: it does not say."""
    read = usage.get("prompt_tokens")
    if not isinstance(read, int) or read <= 0:
        return None
    return read < _LOST * sum(room.tokens(str(message["content"])) for message in messages)


async def _tokens_of(client: ModelClient, model: str, sample: str) -> float:
    try:
        counted = await client.tokenize(model=model, prompt=sample)
    except ZhiluError:
        counted = None
    if counted is not None and "count" in counted:
        return float(counted["count"])
    # A server that counts for nobody counts what it reads: the same prompt with the sample and without.
    read = []
    for content in (sample, "."):
        reply = await client.chat([{"role": "user", "content": content}], model=model, max_tokens=1, temperature=0)
        read.append(int((reply.get("usage") or {}).get("prompt_tokens") or 0))
    return float(max(read[0] - read[1], 1)) if read[0] else 1.5 * own_tokens(sample)
