"""How well a knowledge base answers questions whose answers are known: the scoreboard of stage 4.

The question file is JSON lines, one question each::

    {"question": "...", "answer": "..." | ["...", ...] | null, "doc": "handbook.pdf"}

If ``answer`` is null, or is left out without ``doc``, the documents do not contain an answer and the question should be
refused. ``doc`` is optional. A passage is relevant if it contains an answer or, for a question without answers, if it is from
that document.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from zhilu.client import ModelClient
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.answer.ground import locate
from zhilu.rag.answer.manner import COPIES, Manner
from zhilu.rag.answer.pipeline import answer as ask
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.retrieve.search import retrieve

__all__ = [
    "Question",
    "answer_scores",
    "answers",
    "is_named",
    "ndcg",
    "parse_questions",
    "rankings",
    "read_questions",
    "scores",
]

Progress = Callable[[int, int], None]


class Question(BaseModel):
    """One line of a question file."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=4000)
    answers: list[str] = Field(default_factory=list, alias="answer")
    doc: str | None = None
    id: str | None = None

    @field_validator("answers", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [] if value is None else [value] if isinstance(value, str) else value

    @property
    def answerable(self) -> bool:
        return bool(self.answers or self.doc)


def read_questions(path: Path) -> list[Question]:
    """All questions of a file.

    Raises:
        InputError: names every line that is wrong.
    """
    return parse_questions(path.read_text(encoding="utf-8-sig"), path.name)


def parse_questions(text: str, name: str) -> list[Question]:
    """All questions of a file's text; ``name`` is the file's, for the error.

    Raises:
        InputError: names every line that is wrong.
    """
    found, wrong = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(Question.model_validate(json.loads(line)))
        except json.JSONDecodeError as error:
            wrong.append(f"{number}: {error.msg}")
        except ValidationError as error:
            wrong.append(
                f"{number}: " + "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}" for e in error.errors())
            )
    if wrong or not found:
        shown = " | ".join(wrong[:8]) or "-"
        raise InputError(
            T(
                en=f"{name!r} is no question file ({len(wrong)} bad lines, {len(found)} good): {shown}",
                zh=f"{name!r} 不是有效的问题文件（{len(wrong)} 行有误，{len(found)} 行有效）：{shown}",
            ),
            param="file",
            fix='printf \'{"question": "…", "answer": "…"}\\n\' > questions.jsonl',
        )
    return found


def rankings(
    kb: KnowledgeBase, questions: Sequence[Question], embedder: TextEmbedder | None, *, k: int = 10,
    on_progress: Progress | None = None,
) -> list[list[bool]]:  # fmt: skip
    """For each answerable question, which of its ``k`` best passages are relevant, in their order."""
    asked = [q for q in questions if q.answerable]
    out = []
    for number, question in enumerate(asked, start=1):
        hits = retrieve(kb, question.question, embedder, k=k).hits
        if question.answers:
            out.append([any(locate(a, h.text) for a in question.answers) for h in hits])
        else:
            out.append([is_named(h.doc_name, question.doc) for h in hits])
        if on_progress is not None:
            on_progress(number, len(asked))
    return out


def is_named(name: str, wanted: str | None) -> bool:
    """Whether a question means the document ``name``: by its whole name, or without the folders."""
    return wanted is not None and (name == wanted or name.endswith(f"/{wanted}"))


def scores(relevant: Sequence[Sequence[bool]]) -> dict[str, float]:
    """hit@1, hit@3, hit@5, MRR@10 and nDCG@10, each 0 to 1, averaged over questions."""
    n = max(len(relevant), 1)
    figures = {f"hit@{k}": sum(any(r[:k]) for r in relevant) / n for k in (1, 3, 5)}
    figures["mrr@10"] = sum(1 / (r.index(True) + 1) for r in relevant if True in r[:10]) / n
    figures["ndcg@10"] = sum(ndcg(r[:10]) for r in relevant) / n
    return {name: round(value, 4) for name, value in figures.items()}


def ndcg(relevant: Sequence[bool]) -> float:
    """Normalised discounted cumulative gain with gains 0 and 1 (Järvelin & Kekäläinen 2002), over the passages found."""
    gain = sum(1 / math.log2(place + 2) for place, is_relevant in enumerate(relevant) if is_relevant)
    ideal = sum(1 / math.log2(place + 2) for place in range(sum(relevant)))
    return gain / ideal if ideal else 0.0


async def answers(
    kb: KnowledgeBase,
    questions: Sequence[Question],
    embedder: TextEmbedder | None,
    client: ModelClient,
    model: str,
    manner: Manner = COPIES,
) -> AsyncIterator[dict[str, Any]]:
    """Ask every question; a row each: answer, refused, ``cited_right`` (a cited passage holds a known answer)."""
    for question in questions:
        done: dict[str, Any] = {}
        async for event in ask(kb, question.question, client=client, model=model, embedder=embedder, manner=manner):
            done = event.data
        cited = [c for c in done["citations"] if c["cited"]]
        yield {
            "question": question.question,
            "answerable": question.answerable,
            "answer": done["answer"],
            "refused": done["refused"],
            "verdict": done["verdict"],
            "cited_right": any(locate(a, c["text"]) for a in question.answers for c in cited)
            if question.answers
            else any(is_named(c["doc_name"], question.doc) for c in cited),
            "trace_id": done["trace_id"],
        }


def answer_scores(rows: Sequence[dict[str, Any]]) -> dict[str, float | int | None]:
    """Percentages; None where there was no such question."""
    known, unknown = [r for r in rows if r["answerable"]], [r for r in rows if not r["answerable"]]
    answered = [r for r in known if not r["refused"]]

    def percent(part: int, whole: int) -> float | None:
        return round(100 * part / whole, 1) if whole else None

    return {
        "answerable": len(known),
        "answered_percent": percent(len(answered), len(known)),
        "citation_contains_answer_percent": percent(sum(r["cited_right"] for r in answered), len(answered)),
        "unanswerable": len(unknown),
        "refused_percent": percent(sum(r["refused"] for r in unknown), len(unknown)),
    }
