"""One question to figures: where its passage was found, what was answered, and what went wrong.

The labels of an answerable question, in the order in which things can fail::

    not_in_index   no passage of the ready documents holds the evidence
    ranked_low     it is in the index, and not among the passages that the model was given
    refused        it was given or at hand, and the answer was a refusal
    not_used       it was in the prompt, and the answer rests on another passage
    wrong          the answer rests on it, and is wrong
    right

Of one that the documents do not answer: ``right`` (refused) or ``invented``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from zhilu.measure.paired import bootstrap
from zhilu.measure.words import own_words, token_f1
from zhilu.rag.answer.ground import locate
from zhilu.rag.board.questions import BoardQuestion
from zhilu.rag.evaluate import is_named, ndcg
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import Hit
from zhilu.trace import AnswerTrace

__all__ = ["LABELS", "BoardRow", "Difference", "Label", "compare", "holds_evidence", "label_of", "row_of", "summary"]

Label = Literal["right", "not_in_index", "ranked_low", "refused", "not_used", "wrong", "invented", "not_asked"]
LABELS: tuple[Label, ...] = (
    "right", "not_in_index", "ranked_low", "refused", "not_used", "wrong", "invented", "not_asked",
)  # fmt: skip
RIGHT_F1 = 0.5  # of an answer whose words are not the known answer's
DEPTH = 10
_LONG = 12  # columns; a shorter answer ("5") stands in many passages that do not say it


class BoardRow(BaseModel):
    """What one question came to. ``ranks``: places (from 1) of the relevant ones among the first ten passages."""

    question_id: str
    question: str
    answerable: bool
    known: list[str]
    quote: str | None = None
    doc_id: str | None = None
    label: Label
    ranks: list[int] = []
    rank: int | None = None
    reciprocal_rank: float | None = None
    ndcg: float | None = None
    answer: str | None = None
    verdict: str | None = None
    refused: bool | None = None
    is_right: bool | None = None
    f1: float | None = None
    citation_precision: float | None = None
    citation_recall: float | None = None
    passages: list[dict[str, Any]] = []
    seconds: float | None = None


class Difference(BaseModel):
    """``mean`` of b - a over the questions that both answered, with the interval that holds it in 95 of 100 resamples."""

    figure: str
    mean: float
    low: float
    high: float
    num_questions: int


def holds_evidence(question: BoardQuestion, text: str, doc_id: str = "", doc_name: str = "") -> bool:
    """Whether a passage is one that answers the question.

    It holds the sentence that the question was made from; or, where no such sentence is known or the answer is long enough to
    stand for itself, an answer; or it is of the document, where only that is known.
    """
    if question.quote and locate(question.quote, text):
        return True
    if question.answers:
        known = [a for a in question.answers if not question.quote or _columns(a) >= _LONG]
        return any(locate(a, text) for a in known)
    return is_named(doc_name, question.doc_name)


def row_of(kb: KnowledgeBase, question: BoardQuestion, hits: Sequence[Hit], trace: AnswerTrace | None) -> BoardRow:
    """The figures of one question; ``hits`` are its ten best passages, ``trace`` its answer's (None: retrieval alone)."""
    relevant = [holds_evidence(question, h.text, h.doc_id, h.doc_name) for h in hits[:DEPTH]]
    ranks = [place for place, is_it in enumerate(relevant, start=1) if is_it]
    row = BoardRow(
        question_id=question.id, question=question.question, answerable=question.answerable, known=question.answers,
        quote=question.quote, doc_id=question.doc_id, label="right", ranks=ranks, rank=ranks[0] if ranks else None,
        passages=[{"doc_id": h.doc_id, "doc_name": h.doc_name, "start": h.start, "end": h.end, "score": h.score} for h in hits[:5]],
    )  # fmt: skip
    if question.answerable:
        row.reciprocal_rank = 1 / ranks[0] if ranks else 0.0
        row.ndcg = ndcg(relevant)
    if trace is not None:
        _answered(row, question, trace)
    row.label = label_of(kb, row, question, trace)
    return row


def _answered(row: BoardRow, question: BoardQuestion, trace: AnswerTrace) -> None:
    said = own_words(trace.answer)
    row.answer, row.verdict, row.refused, row.seconds = trace.answer, trace.verdict, trace.refused, trace.seconds
    if not question.answerable:
        row.is_right = trace.refused
        return
    cited = [c for c in trace.citations if c.get("cited")]
    good = [holds_evidence(question, c["text"], c["doc_id"], c["doc_name"]) for c in cited]
    row.citation_precision = sum(good) / len(good) if good else None
    row.citation_recall = float(any(good))
    if not question.answers:  # only the document is known
        row.is_right = not trace.refused and any(good)
        return
    row.f1 = 0.0 if trace.refused else max(token_f1(said, a) for a in question.answers)
    holds = any(locate(a, said) or (locate(a, trace.answer) and trace.verdict == "quoted") for a in question.answers)
    row.is_right = not trace.refused and (holds or row.f1 >= RIGHT_F1)


def label_of(kb: KnowledgeBase, row: BoardRow, question: BoardQuestion, trace: AnswerTrace | None) -> Label:
    """What went wrong first (see the module)."""
    if not question.answerable:
        return "not_asked" if trace is None else "right" if row.is_right else "invented"
    if row.is_right:
        return "right"
    given = [] if trace is None else _prompted(trace)
    in_prompt = any(holds_evidence(question, c["text"], c["doc_id"], c["doc_name"]) for c in given)
    if not in_prompt and row.rank is None and not _is_indexed(kb, question):
        return "not_in_index"
    if trace is None:
        return "right" if row.rank is not None and row.rank <= 5 else "ranked_low"
    if not in_prompt and not (trace.prompt is None and row.rank is not None and row.rank <= 2):
        return "ranked_low"
    if trace.refused:
        return "refused"
    return "wrong" if row.citation_recall else "not_used"


def _prompted(trace: AnswerTrace) -> list[dict[str, Any]]:
    """The passages that the model was given."""
    if trace.prompt is None:
        return []
    user = "\n".join(str(m.get("content") or "") for m in trace.prompt.messages)
    return [c for c in trace.citations if _opening(c["text"]) in user or c["text"].strip() in user]


def _opening(text: str) -> str:
    """The first line of a passage; its tables are told otherwise in a prompt."""
    lines = [line.strip() for line in text.strip().split("\n") if line.strip() and not line.lstrip().startswith("|")]
    return lines[0][:80] if lines else text.strip()[:80]


def _is_indexed(kb: KnowledgeBase, question: BoardQuestion) -> bool:
    return any(holds_evidence(question, p["text"], p["doc_id"], p["name"]) for p in _passages(kb))


def _passages(kb: KnowledgeBase) -> Iterable[Any]:
    return kb.database.rows(
        "SELECT c.doc_id, d.name, c.text FROM chunks c JOIN documents d ON d.id = c.doc_id WHERE d.status = 'ready'"
    )


def summary(rows: Sequence[BoardRow]) -> dict[str, Any]:
    """The figures of a run; 0 to 1, None where there was no such question."""
    known = [r for r in rows if r.answerable]
    open_ = [r for r in rows if not r.answerable]
    asked = [r for r in known if r.refused is not None]
    figures: dict[str, Any] = {
        f"hit@{k}": _mean(float(r.rank is not None and r.rank <= k) for r in known) for k in (1, 3, 5, 10)
    }
    figures["mrr@10"] = _mean(r.reciprocal_rank for r in known)
    figures["ndcg@10"] = _mean(r.ndcg for r in known)
    figures["right"] = _mean(float(bool(r.is_right)) for r in asked)
    figures["answer_f1"] = _mean(r.f1 for r in asked)
    figures["citation_precision"] = _mean(r.citation_precision for r in asked)
    figures["citation_recall"] = _mean(r.citation_recall for r in asked)
    figures["refused_answerable"] = _mean(float(bool(r.refused)) for r in asked)
    figures["refused_unanswerable"] = _mean(float(bool(r.refused)) for r in open_ if r.refused is not None)
    figures["seconds"] = _mean(r.seconds for r in rows)
    labels = Counter(r.label for r in rows)
    return {
        "num_questions": len(rows),
        "num_unanswerable": len(open_),
        "figures": figures,
        "labels": {label: labels[label] for label in LABELS if labels[label]},
    }


_PAIRED: dict[str, Callable[[BoardRow], float | None]] = {
    "mrr@10": lambda r: r.reciprocal_rank,
    "ndcg@10": lambda r: r.ndcg,
    "right": lambda r: None if r.is_right is None else float(r.is_right),
    "answer_f1": lambda r: r.f1,
    "citation_recall": lambda r: r.citation_recall,
    "seconds": lambda r: r.seconds,
}


def compare(a: Sequence[BoardRow], b: Sequence[BoardRow], *, resamples: int = 2000, seed: int = 1) -> list[Difference]:
    """Paired differences b - a over the questions of both, each with its bootstrap interval (percentile, 95 %)."""
    before = {r.question_id: r for r in a}
    pairs = [(before[r.question_id], r) for r in b if r.question_id in before]
    found = []
    for figure, of in _PAIRED.items():
        values = [(of(x), of(y)) for x, y in pairs]
        apart = [y - x for x, y in values if x is not None and y is not None]
        if not apart:
            continue
        mean, low, high = map(_round, bootstrap(apart, resamples=resamples, seed=seed))
        found.append(Difference(figure=figure, mean=mean, low=low, high=high, num_questions=len(apart)))
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    there = [v for v in values if v is not None and not math.isnan(v)]
    return round(sum(there) / len(there), 4) if there else None


def _round(value: Any) -> float:
    return round(float(value), 4)


def _columns(text: str) -> int:
    return sum(2 if c >= "\u2e80" else 1 for c in text)
