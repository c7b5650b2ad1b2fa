"""What led to an answer, typed: the shape in which the trace of a question is stored, sent and shown.

A trace stored by an older version may lack fields (they are then None or empty) or have more (they are kept).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "AnswerTrace",
    "CandidateTrace",
    "Outcome",
    "PromptTrace",
    "RetrievalTrace",
    "RewriteTrace",
    "SentenceTrace",
    "Support",
]

# How a sentence of the model stands to the passages: word for word, by most of its words, without a claim, in a passage
# but not where the question is spoken of, chosen without confidence, in words that cannot be judged (shown with a caveat),
# nowhere.
Support = Literal["exact", "overlap", "neutral", "beside", "unsure", "unjudged", "unsupported"]
Outcome = Literal["grounded", "unjudged", "quoted", "refused_by_retrieval", "refused_by_model", "refused_unsupported"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class RewriteTrace(_Part):
    """A follow-up made to stand alone. ``by``: the model, or ``rule``; then ``refused`` is what the model had written."""

    rewritten: str
    by: str
    refused: str | None = None
    why: str | None = None


class CandidateTrace(_Part):
    """A passage that was considered; scores as in a ``Hit``; ``coverage``: share of the question's terms, rare ones weigh more."""

    chunk_id: int
    doc_id: str
    doc_name: str
    start: int
    end: int
    lexical: float | None = None
    dense: float | None = None
    score: float
    coverage: float | None = None


class RetrievalTrace(_Part):
    lang: str
    dense_weight: float
    num_lexical: int
    num_dense: int
    coverage: float
    min_coverage: float | None = None
    top_dense: float | None = None
    decision: dict[str, str] | None = None  # why the model was asked, or was not; zh and en
    candidates: list[CandidateTrace] = []
    seconds: float


class PromptTrace(_Part):
    """The exact prompt. ``counted_by`` says who counted its tokens; ``dropped_passages`` did not fit ``context`` tokens."""

    messages: list[dict[str, Any]]
    num_tokens: int | None = None
    counted_by: str | None = None
    context: int | None = None
    dropped_passages: int = 0


class SentenceTrace(_Part):
    """A sentence of the model, judged; passages count from 1, as in the answer's citations."""

    text: str
    support: Support
    claimed: list[int] = []
    passages: list[int] = []
    shown: bool = False


class AnswerTrace(_Part):
    """A question from its arrival to its answer, in the order it happened. ``raw`` is what the model wrote."""

    id: str
    created_at: str
    question: str
    model: str
    rewrite: RewriteTrace | None = None
    retrieval: RetrievalTrace
    prompt: PromptTrace | None = None
    raw: str = ""
    thought: str = ""  # of a thinking model, before its answer: never shown as one, nor cited
    thought_seconds: float | None = None
    finish_reason: str | None = None
    confidence: float | None = None
    usage: dict[str, Any] | None = None
    sentences: list[SentenceTrace] = []
    verdict: Outcome
    answer: str
    refused: bool
    citations: list[dict[str, Any]] = []
    seconds: float
