"""The prompt, fitted to the model's context. What does not fit is left out from the end, and the trace says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zhilu.client import ModelClient
from zhilu.errors import InputError, ZhiluError
from zhilu.messages import T
from zhilu.prompts import Message, Passage, direct_messages, grounded_messages
from zhilu.rag.answer.layout import readable
from zhilu.rag.answer.manner import COPIES, Manner
from zhilu.rag.records import Hit
from zhilu.rag.retrieve.followup import about
from zhilu.text.sentences import token_ends

__all__ = ["Prompt", "fit"]

_UNKNOWN_CONTEXT = 4096  # assumed where a server does not say; too much is answered by its 400, never by a silent cut
_AT_LEAST = 2  # passages, however long the prompt becomes
_PER_ESTIMATE = 1.5  # tokens per token of our own measure, at most, over the vocabularies tried


@dataclass
class Prompt:
    """Messages with the passages that fit; ``dropped`` is how many of the lowest ones did not."""

    messages: list[Message]
    hits: list[Hit]
    dropped: int
    num_tokens: int
    context: int
    counted_by: str
    max_tokens: int = COPIES.answer_tokens
    notes: list[str] = field(default_factory=list)


async def fit(
    question: str,
    hits: Sequence[Hit],
    client: ModelClient,
    model: str,
    manner: Manner = COPIES,
    before: str | None = None,
    answered: str | None = None,
) -> Prompt:
    """The manner's prompt with as many of the best passages as it takes and the context holds beside the answer.

    ``before`` is the question that a follow-up goes on from, ``answered`` what was answered to it; a prompt to copy from knows it
    only in the question.

    Raises:
        InputError: not even the first passage fits (code ``context_length_exceeded``).
    """
    context = await _context_of(client, model)
    longest = manner.answer_tokens
    room = max(context - min(longest, context // 4), 1)
    hits = hits[: manner.passages]
    for kept in range(len(hits), 0, -1):
        passages = [as_passage(h, manner) for h in hits[:kept]]
        messages = (
            direct_messages(
                question, passages, before=before, answered=answered, about=about(question) if before else None
            )
            if manner.reads
            else grounded_messages(question, passages)
        )
        tokens, by = await _count(client, model, messages)
        is_long = kept > _AT_LEAST and manner.prompt_tokens is not None and tokens > manner.prompt_tokens
        if tokens <= room and not is_long:
            return Prompt(messages, list(hits[:kept]), len(hits) - kept, tokens, context, by,
                          max_tokens=min(longest, context - tokens))  # fmt: skip
    raise InputError(
        T(
            en=f"The question and one passage need more than the {context} tokens that {model!r} reads.",
            zh=f"问题加一个段落已超过 {model!r} 能读取的 {context} 个 token。",
        ),
        code="context_length_exceeded",
        fix="zhilu settings set model MODEL-WITH-A-LONGER-CONTEXT",
    )


def as_passage(hit: Hit, manner: Manner = COPIES) -> Passage:
    """How a model sees a passage: under its headings, or its document's name where there are none; for one that reads, the
    rows of tables with their headers' words."""
    return {"title": hit.heading or hit.doc_name, "text": readable(hit.text) if manner.reads else hit.text}


def narrowed(prompt: Prompt, question: str, number: int, sentence: str, before: str | None) -> Prompt:
    """The question once more with nothing but the one sentence, or row, of ``hits[number]`` that it is about."""
    hit = prompt.hits[number]
    passage: Passage = {"title": hit.heading or hit.doc_name, "text": sentence}
    it = about(question) if before else None
    messages = direct_messages(question, [passage], before=before, about=it)
    return replace(prompt, messages=messages)


async def _context_of(client: ModelClient, model: str) -> int:
    """The model's context in tokens, as the server's model list says (vLLM's field)."""
    for entry in await client.models():
        if entry.get("id") == model:
            return int(entry.get("max_model_len") or entry.get("context_length") or _UNKNOWN_CONTEXT)
    return _UNKNOWN_CONTEXT


async def _count(client: ModelClient, model: str, messages: Sequence[Message]) -> tuple[int, str]:
    """Tokens of a prompt, by the server if it counts, else estimated from above."""
    try:
        counted: dict[str, Any] | None = await client.tokenize(model=model, messages=list(messages))
    except ZhiluError:
        counted = None
    if counted is not None and "count" in counted:
        return int(counted["count"]), "tokenize"
    return int(_PER_ESTIMATE * sum(len(token_ends(m["content"] or "")) + 8 for m in messages)), "estimate"
