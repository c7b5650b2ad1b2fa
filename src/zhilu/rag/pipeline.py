"""A question to an answer with citations: the whole of stage 4 in one loop.

``answer`` yields events as the wire sends them: ``retrieved`` {passages}, ``delta`` {text}, ``done`` {answer, refused,
citations, trace_id, usage, verdict}. No word leaves before it was found in the passages (``ground``): an answer that they do
not support is replaced by the sentence that fits best, labelled as the quotation it is, or by the refusal.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, cast

from zhilu.client import ModelClient
from zhilu.prompts import REFUSAL, is_refusal, language_of
from zhilu.rag.embedding import Embedder
from zhilu.rag.evidence import Evidence, quotation
from zhilu.rag.fit import ANSWER_TOKENS, Prompt, fit
from zhilu.rag.followup import stand_alone
from zhilu.rag.ground import Grounded, Located, ground, split_answer
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import Citation, Hit, utc_now
from zhilu.rag.retrieve import Retrieved, retrieve

__all__ = ["PASSAGES", "Event", "Settled", "answer"]

PASSAGES = 4  # passages in the prompt by default

# Share of the question's words, rare ones counting more, that the best passage must hold for it to be asked at all, and
# for a quotation to stand in for an answer. Calibrated by benchmarks/rag_questions.py --calibrate; the figures stand there.
MIN_COVERAGE = 0.4
MIN_COVERAGE_QUOTE = 0.5

Outcome = Literal["grounded", "quoted", "refused_by_retrieval", "refused_by_model", "refused_unsupported"]


class Event(NamedTuple):
    name: str
    data: dict[str, Any]


@dataclass
class Settled:
    """The answer that is shown, how it came about, and the passages it rests on with the words quoted in them."""

    text: str
    outcome: Outcome
    quotes: dict[int, Located | None] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        return self.outcome.startswith("refused")


@dataclass
class _Reply:
    """What the model said, as it comes in; ``shown`` are the sentences that went out."""

    raw: str = ""
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None
    done: list[Grounded] = field(default_factory=list)
    shown: list[Grounded] = field(default_factory=list)


async def answer(
    kb: KnowledgeBase,
    question: str,
    *,
    client: ModelClient,
    model: str,
    embedder: Embedder | None,
    history: Sequence[Mapping[str, Any]] = (),
    k: int = PASSAGES,
) -> AsyncGenerator[Event, None]:
    """Ask ``question`` of ``kb``. Closing the iterator stops the model. Every question leaves a trace in the kb.

    Raises:
        ZhiluError: from the model's server, or because not even one passage fits its context.
    """
    started, reply, prompt = time.perf_counter(), _Reply(), None
    query, rewrite = await stand_alone(question, history, client, model)
    found = await asyncio.to_thread(retrieve, kb, query, embedder, k=k)
    retrieved_s = time.perf_counter() - started
    yield Event("retrieved", {"passages": [c.model_dump() for c in _citations(found.hits, None)]})
    if found.hits and found.coverage >= MIN_COVERAGE:
        prompt = await fit(query, found.hits, client, model)
        async with aclosing(_speak(prompt, reply, query, client, model)) as pieces:
            async for text in pieces:
                yield Event("delta", {"text": text})
    settled = settle(query, found, prompt, reply)
    if not reply.shown:
        yield Event("delta", {"text": settled.text})
    citations = _citations(found.hits, settled)
    trace = _trace(question, rewrite, found, prompt, reply, settled, citations, model, started, retrieved_s)
    await asyncio.to_thread(kb.add_trace, trace)
    yield Event(
        "done",
        {key: trace[key] for key in ("answer", "refused", "citations", "usage", "verdict")} | {"trace_id": trace["id"]},
    )


async def _speak(
    prompt: Prompt, reply: _Reply, question: str, client: ModelClient, model: str
) -> AsyncGenerator[str, None]:
    """Stream the model; hand out each sentence once it is whole and found in the passages."""
    evidence = Evidence(question, [h.text for h in prompt.hits], [h.score for h in prompt.hits])
    parameters = {"temperature": 0, "max_tokens": min(prompt.max_tokens, ANSWER_TOKENS)}
    stream = cast(
        "AsyncGenerator[dict[str, Any], None]", client.chat_stream(prompt.messages, model=model, **parameters)
    )
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            reply.usage = chunk.get("usage") or reply.usage
            for choice in chunk.get("choices", []):
                reply.raw += choice.get("delta", {}).get("content") or ""
                reply.finish_reason = choice.get("finish_reason") or reply.finish_reason
            # the last sentence may go on, and its citation may still come
            for piece in _next_sentences(reply, evidence, keep=1):
                yield piece
    for piece in _next_sentences(reply, evidence, keep=0):
        yield piece


def _next_sentences(reply: _Reply, evidence: Evidence, keep: int) -> list[str]:
    """Ground the sentences that became whole; those that may be shown, with a space before all but the first."""
    if is_refusal(reply.raw):
        return []
    pieces = split_answer(_without_thinking(reply.raw))
    out = []
    for sentence, claimed in pieces[len(reply.done) : len(pieces) - keep]:
        grounded = ground(sentence, claimed, evidence.passages, evidence.question)
        reply.done.append(grounded)
        # the first sentence must stand where the question is spoken of; what follows it, anywhere in the passages
        if not reply.shown:
            grounded = reply.done[-1] = _where_it_belongs(grounded, evidence)
        # words without content ("Yes.") are shown only where something supported stands before them
        if grounded.support in ("exact", "overlap") or (grounded.support == "neutral" and reply.shown):
            out.append((" " if reply.shown else "") + grounded.shown())
            reply.shown.append(grounded)
    return out


def _where_it_belongs(grounded: Grounded, evidence: Evidence) -> Grounded:
    """Move an exact answer to the sentence that fits the question, or mark what only stands beside it."""
    if grounded.support == "exact" and (place := evidence.place(grounded.text)) is not None:
        return replace(grounded, passages=(place.passage,), quote=place)
    if grounded.support == "overlap" and evidence.supports(grounded.text, grounded.quote):
        return grounded
    return replace(grounded, support="beside") if grounded.support in ("exact", "overlap") else grounded


def _without_thinking(raw: str) -> str:
    """A reasoning model's thoughts are not its answer."""
    head, closed, tail = raw.partition("</think>")
    return tail if closed else ("" if head.lstrip().startswith("<think>") else head)


def settle(question: str, found: Retrieved, prompt: Prompt | None, reply: _Reply) -> Settled:
    """Choose what is shown: what the model said if it is supported, else a quotation if one fits, else the refusal."""
    lang = language_of(question)
    if reply.shown:
        quotes: dict[int, Located | None] = {}
        for grounded in reply.shown:
            for p in grounded.passages:
                quotes[p] = quotes.get(p) or grounded.quote
        return Settled(" ".join(g.shown() for g in reply.shown), "grounded", quotes)
    refusal = REFUSAL.say(lang)
    if prompt is None:
        return Settled(refusal, "refused_by_retrieval")
    if is_refusal(_without_thinking(reply.raw).strip()):
        return Settled(refusal, "refused_by_model")
    texts = [h.text for h in prompt.hits]
    evidence = Evidence(question, texts, [h.score for h in prompt.hits])
    best = evidence.best() if found.coverage >= MIN_COVERAGE_QUOTE else None
    if best is None:
        return Settled(refusal, "refused_unsupported")
    return Settled(
        quotation(texts[best.passage][best.start : best.end], best.passage + 1, lang), "quoted", {best.passage: best}
    )


def _citations(hits: Sequence[Hit], settled: Settled | None) -> list[Citation]:
    """All passages, numbered as in the prompt; those the answer rests on are ``cited``, with the quoted words."""
    made = []
    for index, hit in enumerate(hits):
        quote = settled.quotes.get(index) if settled is not None else None
        made.append(
            Citation(
                n=index + 1,
                cited=settled is not None and index in settled.quotes,
                quote_start=hit.start + quote.start if quote else None,
                quote_end=hit.start + quote.end if quote else None,
                **hit.model_dump(include=set(Citation.model_fields)),
            )
        )
    return made


def _trace(
    question: str, rewrite: dict[str, Any] | None, found: Retrieved, prompt: Prompt | None, reply: _Reply,
    settled: Settled, citations: Sequence[Citation], model: str, started: float, retrieved_s: float,
) -> dict[str, Any]:  # fmt: skip
    """All that led to the answer, in the order it happened."""
    return {
        "id": secrets.token_hex(8),
        "created_at": utc_now(),
        "question": question,
        "model": model,
        "rewrite": rewrite,
        "retrieval": {
            "lang": found.lang, "dense_weight": found.weight, "num_lexical": found.num_lexical,
            "num_dense": found.num_dense, "coverage": round(found.coverage, 4), "min_coverage": MIN_COVERAGE,
            "candidates": found.candidates, "seconds": round(retrieved_s, 4),
        },
        "prompt": None if prompt is None else {
            "messages": prompt.messages, "num_tokens": prompt.num_tokens, "counted_by": prompt.counted_by,
            "context": prompt.context, "dropped_passages": prompt.dropped,
        },
        "raw": reply.raw,
        "finish_reason": reply.finish_reason,
        "usage": reply.usage,
        "sentences": [
            {"text": g.text, "support": g.support, "claimed": [c + 1 for c in g.claimed],
             "passages": [p + 1 for p in g.passages], "shown": g in reply.shown}
            for g in reply.done
        ],
        "verdict": settled.outcome,
        "answer": settled.text,
        "refused": settled.refused,
        "citations": [c.model_dump() for c in citations],
        "seconds": round(time.perf_counter() - started, 4),
    }  # fmt: skip
