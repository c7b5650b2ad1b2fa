"""A few questions to judge a knowledge base by, where nobody is there to review them: what the gates ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhilu.client import ModelClient
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.rag.answer.manner import manner_of
from zhilu.rag.board.make import Maker, passages_of
from zhilu.rag.board.questions import BoardQuestion, QuestionSets
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.questions import questions_of

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["sample_questions"]

_TRIES = 4  # passages for each question wanted


async def sample_questions(
    context: Context, kb: KnowledgeBase, count: int, client: ModelClient | None
) -> tuple[list[BoardQuestion], T]:
    """Up to ``count`` answerable questions, and who made them.

    Those that a person accepted come first; else the model makes them now (they are kept nowhere); a model that is too small
    for that, or none, leaves fill-in ones made by rule, and they are called so.
    """
    accepted = [q for q in QuestionSets(kb).list() if q.status == "accepted" and q.answerable]
    if accepted:
        return accepted[:count], T("reviewed by a person", "已由人审阅")
    model = default_model(context).name
    if client is not None and manner_of(context, model)[0].reads:
        maker, made = Maker.of(client, model, {}), list[BoardQuestion]()
        for passage in passages_of(kb, seed="1")[: _TRIES * count]:
            if len(made) == count:
                break
            if found := await maker.answerable(passage, [q.question for q in made]):
                made.append(found.model_copy(update={"id": str(passage.chunk_id)}))
        if made:
            return made, T(f"made by {model}, not reviewed", f"由 {model} 生成，未经审阅")
    by_rule = [
        BoardQuestion(
            id=str(number), question=q.question, answers=[q.sentence], quote=q.sentence, doc_id=q.doc_id, start=q.start,
            end=q.end,
        )
        for number, q in enumerate(questions_of(kb, count))
    ]  # fmt: skip
    return by_rule, T(
        "fill-in ones made by rule: no model that can ask is here", "按规则生成的填空题：本机没有能出题的模型"
    )
