"""What is shown: the model's sentences that hold, else a quotation that fits, else the refusal; and whether to ask at all."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zhilu.messages import T
from zhilu.prompts import REFUSAL, is_refusal, language_of
from zhilu.rag.answer.claims import claims_of, identifiers
from zhilu.rag.answer.decide import SLACK
from zhilu.rag.answer.evidence import PassageEvidence, quotation
from zhilu.rag.answer.ground import Grounded, Located, ground, split_answer
from zhilu.rag.answer.judge import judge
from zhilu.rag.answer.layout import title_set
from zhilu.rag.answer.manner import COPIES, Manner
from zhilu.rag.answer.meaning import CAUTION, Meaning
from zhilu.rag.records import Hit
from zhilu.rag.retrieve.search import Retrieved
from zhilu.trace import Outcome

__all__ = [
    "MIN_COVERAGE",
    "Reply",
    "Settled",
    "evidence_of",
    "is_doubtful",
    "is_worth_asking",
    "meant_by",
    "next_sentences",
    "settle",
]

# Share of the question's words, rare ones counting more, that the best passage must hold for the model to be asked at
# all, and for a quotation to stand in for its answer. Calibrated by benchmarks/rag_questions.py --calibrate, where the
# figures stand.
MIN_COVERAGE = 0.4
MIN_COVERAGE_QUOTE = 0.5

# A model that copies a few words out of a sentence shows by its first tokens whether it knew which; below this the whole
# sentence is quoted instead. The same of a refusal: zhilu-nano's are all below 0.4 on XQuAD and hit answerable questions
# as often as others; a model that knows is above 0.9.
MIN_CONFIDENCE = 0.6

SHOWN = ("exact", "overlap", "unjudged")
CAVEAT = T(en=" (The model's own words: compare them with the passage.)", zh="（这是模型自己的说法，请对照原文。）")
_SAYS_NOT = re.compile(
    r"\b(?:does|do|is|are|was)(?: not|n['’]t) (?:mention|say|provide|specif|state|contain|include|give)\w*"
    r"|\bno (?:information|mention)\b|没有(?:提到|提及|说明|提供|相关|明确)|未(?:提到|提及|说明|提供)|无法(?:确定|回答|得知)",
    re.IGNORECASE,
)


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
class Reply:
    """What the model said, as it comes in; ``shown`` are the sentences that went out."""

    raw: str = ""
    thought: str = ""
    thought_seconds: float | None = None
    thinking_since: float | None = None
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None
    logprobs: list[float] = field(default_factory=list)
    done: list[Grounded] = field(default_factory=list)
    shown: list[Grounded] = field(default_factory=list)
    before: str = ""  # what it said first, where it was asked again

    def take(self, chunk: dict[str, Any]) -> None:
        """Add a chunk of the stream."""
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices", []):
            delta = choice.get("delta", {})
            if thought := delta.get("reasoning_content"):
                self.thinking_since = self.thinking_since or time.monotonic()
                self.thought += thought
                self.thought_seconds = round(time.monotonic() - self.thinking_since, 2)
            self.raw += delta.get("content") or ""
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            if thought:
                continue  # how sure it was of its thoughts says nothing of the answer
            self.logprobs += [t["logprob"] for t in (choice.get("logprobs") or {}).get("content") or []]

    @property
    def confidence(self) -> float | None:
        """How sure the model was where it chose its answer: the mean probability of the first two tokens, 0 to 1 (their
        geometric mean). None where the server gave none."""
        first = self.logprobs[:2]
        return round(math.exp(sum(first) / len(first)), 4) if first else None


def is_worth_asking(found: Retrieved) -> bool:
    """False where no passage speaks of the question: it is refused without a model."""
    return bool(found.hits) and _fits(found, MIN_COVERAGE)


def _fits(found: Retrieved, min_coverage: float) -> bool:
    return found.coverage >= min_coverage or found.is_near


def evidence_of(
    question: str,
    hits: Sequence[Hit],
    found: Retrieved,
    meaning: Meaning | None,
    manner: Manner = COPIES,
    asked: Sequence[str] = (),
) -> PassageEvidence:
    """The passages' sentences, valued; by meaning as well where the question shares few words with them, or where the
    embedder knows meanings best. ``asked``: the ways in which a follow-up is asked, behind its question and alone."""
    texts, scores = [h.text for h in hits], [h.score for h in hits]
    by_meaning = meaning is not None and (
        found.coverage < MIN_COVERAGE_QUOTE or (manner.reads and meaning.worth.crosses)
    )
    evidence = PassageEvidence(
        question, texts, scores, meaning if by_meaning else None, slack=SLACK if manner.reads else 1.0,
        titles=[title_set(h.doc_name, h.heading) for h in hits], asked=asked,
        leads=[h.heading or h.doc_name for h in hits] if meaning and manner.reads and meaning.worth.crosses else (),
    )  # fmt: skip
    evidence.headings = "\n".join(f"{h.doc_name}\n{h.heading}" for h in hits)
    return evidence


def next_sentences(reply: Reply, evidence: PassageEvidence, keep: int, manner: Manner = COPIES) -> list[str]:
    """Ground the sentences that became whole; those that may be shown, with a space before all but the first."""
    if manner.reads:
        return _next_judged(reply, evidence, keep)
    if is_refusal(reply.raw):
        return []
    pieces = split_answer(_without_thinking(reply.raw))
    out = []
    for sentence, claimed in pieces[len(reply.done) : len(pieces) - keep]:
        grounded = ground(sentence, claimed, evidence.passages, evidence.question)
        reply.done.append(grounded)
        # the first sentence must stand where the question is spoken of; what follows it, anywhere in the passages
        if not reply.shown:
            grounded = reply.done[-1] = _where_it_belongs(grounded, evidence, reply.confidence)
        # words without content ("Yes.") are shown only where something supported stands before them
        if grounded.support in ("exact", "overlap") or (grounded.support == "neutral" and reply.shown):
            reply.shown.append(grounded)
            out.append((" " if len(reply.shown) > 1 else "") + grounded.shown())
    return out


def _next_judged(reply: Reply, evidence: PassageEvidence, keep: int) -> list[str]:
    """The same for a model that answers in its own words; beneath the first sentence stands the one that it rests on."""
    pieces = split_answer(_without_thinking(reply.raw))
    if pieces and _SAYS_NOT.search(pieces[0][0]):
        return []
    out = []
    for sentence, _ in pieces[len(reply.done) : len(pieces) - keep]:
        found = judge(
            sentence, evidence.question, evidence.passages, evidence.best(), evidence.headings,
            titles=evidence.titles, meaning=evidence.meaning,
        )  # fmt: skip
        if found.support == "unjudged" and found.quote == evidence.best():  # it rests on nothing that was found
            place = evidence.nearest_to(sentence) or found.quote
            found = replace(found, quote=place, passages=(place.passage,) if place else ())
        if found.support == "unjudged" and evidence.needs_claims and not claims_of(sentence):
            found = replace(found, support="unsupported", passages=())
        if found.support in SHOWN:
            if not reply.shown and found.quote is not None:
                found = replace(found, sentence=evidence.sentence_around(found.quote, sentence))
            reply.shown.append(found)
            out.append((" " if len(reply.shown) > 1 else "") + found.shown())
        reply.done.append(found)
    return out


def is_doubtful(evidence: PassageEvidence, manner: Manner) -> bool:
    """True if not even the nearest sentence is so near that a careful answer would be given, and no code stands for it."""
    meaning = evidence.meaning
    if not manner.reads or meaning is None or not meaning.worth.crosses or identifiers(evidence.question):
        return False
    return evidence.nearest < CAUTION["careful"] * meaning.worth.near_sentence


def meant_by(reply: Reply, manner: Manner) -> Located | None:
    """The entry of a list that was asked for, where a model that reads told another one and nothing was shown yet."""
    if not manner.reads or reply.shown:
        return None
    return next((g.quote for g in reply.done if g.support == "beside"), None)


def _where_it_belongs(grounded: Grounded, evidence: PassageEvidence, confidence: float | None) -> Grounded:
    """Move an exact answer to the sentence that fits the question, or mark what only stands beside it."""
    if grounded.support == "exact" and (place := evidence.place(grounded.text)) is not None:
        whole = evidence.sentence_at(place)
        if whole is None:
            return replace(grounded, passages=(place.passage,), quote=place)
        if confidence is not None and confidence < MIN_CONFIDENCE:
            return replace(grounded, support="unsure")
        return replace(grounded, passages=(place.passage,), quote=place, sentence=whole)
    if grounded.support == "overlap" and evidence.supports(grounded.text, grounded.quote):
        return grounded
    return replace(grounded, support="beside") if grounded.support in ("exact", "overlap") else grounded


def _without_thinking(raw: str) -> str:
    """A reasoning model's thoughts are not its answer."""
    head, closed, tail = raw.partition("</think>")
    return tail if closed else ("" if head.lstrip().startswith("<think>") else head)


def settle(
    question: str, found: Retrieved, evidence: PassageEvidence | None, reply: Reply, manner: Manner = COPIES
) -> Settled:
    """Choose what is shown: what the model said if it is supported, else a quotation if one fits, else the refusal.

    ``evidence`` None says that the model was not asked.
    """
    lang = language_of(question)
    if reply.shown:
        quotes: dict[int, Located | None] = {}
        for grounded in reply.shown:
            for p in grounded.passages:
                quotes[p] = quotes.get(p) or grounded.quote
        text = " ".join(g.shown() for g in reply.shown)
        if any(g.support == "unjudged" for g in reply.shown) or (
            evidence is not None and is_doubtful(evidence, manner)
        ):
            return Settled(text + CAVEAT.say(lang), "unjudged", quotes)
        return Settled(text, "grounded", quotes)
    refusal = REFUSAL.say(lang)
    if evidence is None:
        return Settled(refusal, "refused_by_retrieval")
    if is_refusal(_without_thinking(reply.raw).strip()) and (reply.confidence or 1.0) >= MIN_CONFIDENCE:
        return Settled(refusal, "refused_by_model")
    if manner.reads and not reply.done and _SAYS_NOT.search(_without_thinking(reply.raw)):
        return Settled(refusal, "refused_by_model")
    if manner.reads and any(g.support == "unsupported" and g.quote is None for g in reply.done):
        return Settled(refusal, "refused_unsupported")  # of none of the entries that it could be about
    beside = next((g.quote for g in reply.done if g.support == "beside" and g.quote and manner.reads), None)
    # beside a reader's unsupported words it says itself that it is only the nearest
    best = beside or (evidence.best() if manner.reads or _fits(found, MIN_COVERAGE_QUOTE) else None)
    if best is None:
        return Settled(refusal, "refused_unsupported")
    words = evidence.words_at(best)
    # what a reader said was not supported, and nobody chose this sentence; across languages no word says which entry is meant
    is_answer = not manner.reads or (best == beside and language_of(words) == lang)
    text = quotation(words, best.passage + 1, lang, is_answer=is_answer)
    return Settled(text, "quoted", {best.passage: best})
