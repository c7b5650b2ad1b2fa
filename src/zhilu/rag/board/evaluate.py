"""One configuration on one question set: every question is searched for and, unless told otherwise, answered.

Each question's row is written when it is through, so a run that was killed goes on behind the last one. The answers come from the
pipeline that answers people, and leave no trace among theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zhilu.client import ModelClient
from zhilu.rag.answer import pipeline
from zhilu.rag.answer.manner import COPIES, Manner, manner_of
from zhilu.rag.answer.meaning import Caution
from zhilu.rag.board.measure import DEPTH, BoardRow, row_of, summary
from zhilu.rag.board.questions import BoardQuestion
from zhilu.rag.board.runs import BoardRun, Runs
from zhilu.rag.board.setup import Setup
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.retrieve.options import Searching
from zhilu.trace import AnswerTrace

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Examinee", "examinee_of", "run_questions"]

OnDone = Callable[[int, int], None]  # questions done, of how many


@dataclass(frozen=True)
class Examinee:
    """What is measured: an index, a way to search it, and the model that answers from it (None: retrieval alone)."""

    kb: KnowledgeBase
    embedder: TextEmbedder | None
    searching: Searching
    client: ModelClient | None
    model: str
    manner: Manner = COPIES
    caution: Caution = "balanced"
    passages: int = pipeline.PASSAGES


def examinee_of(
    context: Context,
    kb: KnowledgeBase,
    setup: Setup,
    client: ModelClient | None,
    model: str,
    embedder: TextEmbedder | None,
) -> Examinee:
    """``kb`` (or its trial index) as ``setup`` wants it asked."""
    return Examinee(
        kb=kb, embedder=embedder,
        searching=Searching(meaning=setup.meaning, rerank=setup.rerank is not False, draft=bool(setup.draft)),
        client=None if setup.retrieval_only else client, model=model, manner=manner_of(context, model)[0],
        caution=setup.answers or context.settings.answers, passages=setup.passages or pipeline.PASSAGES,
    )  # fmt: skip


async def run_questions(
    runs: Runs, run: BoardRun, examinee: Examinee, questions: Sequence[BoardQuestion], on_done: OnDone
) -> BoardRun:
    """Ask what is not asked yet, and close the run.

    Raises:
        CancelledByUser: out of ``on_done``; what is done stays. ZhiluError: from the model's server.
    """
    done = {row.question_id for row in runs.rows(run.id)}
    left = [q for q in questions if q.id not in done]
    for number, question in enumerate(left):
        on_done(len(questions) - len(left) + number, len(questions))
        runs.add_row(run.id, await ask_one(examinee, question))
    return runs.finish(run.id, summary(runs.rows(run.id)))


async def ask_one(examinee: Examinee, question: BoardQuestion) -> BoardRow:
    """One question, searched for to the tenth passage and answered."""
    found = await pipeline.search(
        examinee.kb, question.question, client=examinee.client, model=examinee.model, embedder=examinee.embedder,
        k=DEPTH, manner=examinee.manner, searching=examinee.searching,
    )  # fmt: skip
    traces: list[AnswerTrace] = []
    if examinee.client is not None:
        events = pipeline.answer(
            examinee.kb, question.question, client=examinee.client, model=examinee.model, embedder=examinee.embedder,
            k=examinee.passages, manner=examinee.manner, caution=examinee.caution, searching=examinee.searching,
            record=traces.append,
        )  # fmt: skip
        async for _ in events:
            pass
    return await asyncio.to_thread(row_of, examinee.kb, question, found.hits, traces[0] if traces else None)
