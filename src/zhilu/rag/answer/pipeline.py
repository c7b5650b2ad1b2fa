"""From a question to an answer with citations: the whole of stage 4 in one loop.

``answer`` yields events as they are sent to the client: ``retrieved`` {passages, likely: the sentence in which an answer most
likely stands, before any model is asked}, ``delta`` {text}, ``done`` {answer, refused, citations, trace_id, usage, verdict,
thought, thought_seconds, why: of a refusal before the model was asked, en and zh}. No word leaves before it was found in the
passages (``ground``). An answer that they do not support is replaced by the sentence that fits best, labelled as a quotation, or
by the refusal.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, cast

from zhilu.client import ModelClient
from zhilu.errors import InputError
from zhilu.events import Event
from zhilu.messages import T
from zhilu.prompts import draft_messages
from zhilu.rag.answer.decide import holds_answer, identified_first, needs_claims, read_first
from zhilu.rag.answer.evidence import PassageEvidence
from zhilu.rag.answer.fit import Prompt, fit, narrowed
from zhilu.rag.answer.manner import COPIES, Manner
from zhilu.rag.answer.meaning import Caution, Meaning
from zhilu.rag.answer.settle import (
    MIN_COVERAGE,
    Reply,
    Settled,
    evidence_of,
    is_worth_asking,
    meant_by,
    next_sentences,
    settle,
)
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import Citation, Hit, utc_now
from zhilu.rag.retrieve.followup import about, earlier_answer, stand_alone
from zhilu.rag.retrieve.in_turn import retrieve_in_turn, ways_to_ask
from zhilu.rag.retrieve.options import Searching
from zhilu.rag.retrieve.search import Retrieved, retrieve
from zhilu.rag.retrieve.several import Several
from zhilu.trace import AnswerTrace

__all__ = ["PASSAGES", "answer", "search"]

PASSAGES = 4  # passages in the prompt by default
THOUGHTS = 1024  # tokens, beside the answer's, for a model that cannot be kept from thinking


async def answer(
    kb: KnowledgeBase | Several,
    question: str,
    *,
    client: ModelClient,
    model: str,
    embedder: TextEmbedder | None,
    history: Sequence[Mapping[str, Any]] = (),
    k: int = PASSAGES,
    manner: Manner = COPIES,
    caution: Caution = "balanced",
    searching: Searching = Searching(),
    record: Callable[[AnswerTrace], object] | None = None,
) -> AsyncGenerator[Event, None]:
    """Ask ``question`` of ``kb``, in the ``manner`` that the model is good for. Closing the iterator stops the model.

    Every question leaves a trace in the kb; where ``record`` is given, it gets the trace instead: what is asked to measure is
    none of a person's questions, and what is asked of several belongs to none of them.

    Raises:
        ZhiluError: from the model's server, or because not even one passage fits its context.
    """
    started, reply, prompt, evidence = time.perf_counter(), Reply(), None, None
    sought = await _seek(kb, question, history, client, model, embedder, k, manner, caution, searching)
    found, query = sought.found, sought.query
    if sought.is_worth_asking:
        evidence = await asyncio.to_thread(_evidence, sought, found.hits[: sought.passages], manner, caution)
    retrieved_s = time.perf_counter() - started
    passages = [c.model_dump() for c in _citations(found.hits, None)]
    yield Event("retrieved", {"passages": passages, "likely": evidence.likely() if evidence else None})
    if evidence is not None:
        asked = question if manner.reads else query
        said = earlier_answer(sought.opening, history) if sought.opening else None
        prompt = await fit(asked, found.hits[: sought.passages], client, model, manner, sought.opening, said)
        if len(prompt.hits) < len(evidence.passages):
            evidence = await asyncio.to_thread(_evidence, sought, prompt.hits, manner, caution)
        async with aclosing(_speak(prompt, evidence, reply, client, model, manner)) as pieces:
            async for text in pieces:
                yield Event("delta", {"text": text})
        if (meant := meant_by(reply, manner)) is not None:
            prompt = narrowed(prompt, asked, meant.passage, evidence.words_at(meant), sought.opening)
            reply = Reply(before=f"{reply.raw}\n\n")
            async with aclosing(_speak(prompt, evidence, reply, client, model, manner)) as pieces:
                async for text in pieces:
                    yield Event("delta", {"text": text})
    settled = settle(query, found, evidence, reply, manner)
    if rest := settled.text.removeprefix(" ".join(g.shown() for g in reply.shown)):
        yield Event("delta", {"text": rest})
    citations = _citations(found.hits, settled)
    trace = _trace(question, sought, prompt, reply, settled, citations, model, started, retrieved_s)
    if record is None and not isinstance(kb, Several):
        await asyncio.to_thread(kb.add_trace, trace.model_dump())
    elif record is not None:
        record(trace)
    yield Event(
        "done",
        trace.model_dump(include={"answer", "refused", "citations", "usage", "verdict", "thought", "thought_seconds"})
        | {"trace_id": trace.id, "why": sought.why.data() if evidence is None and sought.why is not None else None},
    )


@dataclass(frozen=True)
class _Sought:
    """What was searched for and found: ``query`` is the question on its own, ``opening`` the one that it goes on from."""

    query: str
    found: Retrieved
    is_worth_asking: bool
    passages: int | None = None  # how many of them the model is given
    meaning: Meaning | None = None
    why: T | None = None
    opening: str | None = None
    rewrite: dict[str, Any] | None = None
    asked: tuple[str, ...] = ()


async def _seek(
    kb: KnowledgeBase | Several, question: str, history: Sequence[Mapping[str, Any]], client: ModelClient, model: str,
    embedder: TextEmbedder | None, k: int, manner: Manner, caution: Caution, searching: Searching,
) -> _Sought:  # fmt: skip
    """The passages, and whether they are worth asking a model about."""
    if not manner.reads:
        query, rewrite = await stand_alone(question, history, client, model)
        found = await asyncio.to_thread(retrieve, kb, query, embedder, k=k, weight=searching.meaning)
        return _Sought(query, found, is_worth_asking(found), meaning=_meaning(embedder, found), rewrite=rewrite)
    found, opening = await asyncio.to_thread(
        retrieve_in_turn, kb, question, history, embedder, k=k, weight=searching.meaning
    )
    if searching.draft:
        found = await _with_draft(kb, question, found, client, model, embedder, k, searching)
    query = f"{opening} {question}" if opening else question
    found = identified_first(found, question)
    meaning = _meaning(embedder, found)
    passages, asked = manner.passages, ways_to_ask(question, opening)
    if searching.rerank:
        found, passages = await asyncio.to_thread(read_first, query, found, meaning, passages, k, asked, opening)
    worth, why = await asyncio.to_thread(holds_answer, question, found, meaning, manner.passages, caution, opening)
    if opening and about(question) and found.hits:
        # asked about "the meat ones" alone, a model takes whatever document has meat in it
        same = [h for h in found.hits if (h.kb_id, h.doc_id) == (found.hits[0].kb_id, found.hits[0].doc_id)]
        found = replace(found, hits=[*same, *(h for h in found.hits if h not in same)])
        passages = min(passages or len(same), len(same))
    rewrite = {"rewritten": query, "by": "rule"} if opening else None
    return _Sought(query, found, worth, passages, meaning, why, opening, rewrite, asked)


async def search(
    kb: KnowledgeBase | Several, question: str, *, client: ModelClient | None, model: str, embedder: TextEmbedder | None, k: int,
    manner: Manner, searching: Searching,
) -> Retrieved:  # fmt: skip
    """The passages in the order in which ``answer`` would read them; ``client`` is asked for a draft alone."""
    found = await asyncio.to_thread(retrieve, kb, question, embedder, k=k, weight=searching.meaning)
    if not manner.reads:
        return found
    if searching.draft and client is not None:
        found = await _with_draft(kb, question, found, client, model, embedder, k, searching)
    found = identified_first(found, question)
    if searching.rerank:
        found, _ = await asyncio.to_thread(read_first, question, found, _meaning(embedder, found), manner.passages, k)
    return found


async def _with_draft(
    kb: KnowledgeBase | Several, question: str, found: Retrieved, client: ModelClient, model: str, embedder: TextEmbedder | None,
    k: int, searching: Searching,
) -> Retrieved:  # fmt: skip
    """The passages found with a made-up answer beside the question; what they cover is still measured by the question alone."""
    reply = await client.chat(draft_messages(question), model=model, temperature=0, max_tokens=80)
    draft = str(reply["choices"][0]["message"].get("content") or "").rpartition("</think>")[2].strip()
    wider = await asyncio.to_thread(retrieve, kb, f"{question} {draft}", embedder, k=k, weight=searching.meaning)
    return replace(found, hits=wider.hits, candidates=wider.candidates, pool=wider.pool)


def _evidence(sought: _Sought, hits: Sequence[Hit], manner: Manner, caution: Caution) -> PassageEvidence:
    evidence = evidence_of(sought.query, hits, sought.found, sought.meaning, manner, sought.asked)
    evidence.needs_claims = manner.reads and needs_claims(evidence.nearest, sought.meaning, caution)
    return evidence


def _meaning(embedder: TextEmbedder | None, found: Retrieved) -> Meaning | None:
    return Meaning(embedder, found.lang) if embedder is not None and found.weight > 0 else None


async def _speak(
    prompt: Prompt, evidence: PassageEvidence, reply: Reply, client: ModelClient, model: str, manner: Manner
) -> AsyncGenerator[str, None]:
    """Stream the model; hand out each sentence once it is whole and found in the passages."""
    async with aclosing(_stream(prompt, client, model, manner)) as chunks:
        async for chunk in chunks:
            reply.take(chunk)
            # the last sentence may go on, and its citation may still come
            for piece in next_sentences(reply, evidence, keep=1, manner=manner):
                yield piece
    for piece in next_sentences(reply, evidence, keep=0, manner=manner):
        yield piece


async def _stream(
    prompt: Prompt, client: ModelClient, model: str, manner: Manner
) -> AsyncGenerator[dict[str, Any], None]:
    """The model's chunks, with the probabilities of its tokens where the server gives them."""
    parameters: dict[str, Any] = {"temperature": 0, "max_tokens": prompt.max_tokens}
    if manner.thinking == "switch":
        parameters["chat_template_kwargs"] = {"enable_thinking": False}
    elif manner.thinking == "always":
        left = prompt.context - prompt.num_tokens - prompt.max_tokens
        parameters["max_tokens"] += max(0, min(THOUGHTS, left))
    for extra in ({"logprobs": True}, {}):
        chunks = client.chat_stream(prompt.messages, model=model, **parameters, **extra)
        begun = False
        try:
            async with aclosing(cast("AsyncGenerator[dict[str, Any], None]", chunks)) as stream:
                async for chunk in stream:
                    begun = True
                    yield chunk
            return
        except InputError:  # a server that knows no logprobs refuses them before it begins
            if begun or not extra:
                raise


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
    question: str, sought: _Sought, prompt: Prompt | None, reply: Reply,
    settled: Settled, citations: Sequence[Citation], model: str, started: float, retrieved_s: float,
) -> AnswerTrace:  # fmt: skip
    """All that led to the answer, in the order it happened."""
    found = sought.found
    return AnswerTrace.model_validate({
        "id": secrets.token_hex(8),
        "created_at": utc_now(),
        "question": question,
        "model": model,
        "rewrite": sought.rewrite,
        "retrieval": {
            "lang": found.lang, "dense_weight": found.weight, "num_lexical": found.num_lexical,
            "num_dense": found.num_dense, "coverage": round(found.coverage, 4), "min_coverage": MIN_COVERAGE,
            "top_dense": found.top_dense, "decision": sought.why.data() if sought.why is not None else None,
            "candidates": found.candidates, "seconds": round(retrieved_s, 4),
        },
        "prompt": None if prompt is None else {
            "messages": prompt.messages, "num_tokens": prompt.num_tokens, "counted_by": prompt.counted_by,
            "context": prompt.context, "dropped_passages": prompt.dropped,
        },
        "raw": reply.before + reply.raw, "thought": reply.thought, "thought_seconds": reply.thought_seconds,
        "finish_reason": reply.finish_reason,
        "confidence": reply.confidence,
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
    })  # fmt: skip
