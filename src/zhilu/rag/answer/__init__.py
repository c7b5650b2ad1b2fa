"""From a question to an answer with citations: evidence, a prompt that fits, and the model's words checked against the passages.

Importing this package imports none of its parts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.events import Event

__all__ = ["answer"]


async def answer(
    context: Context,
    client: ModelClient,
    kb_id: str,
    question: str,
    *,
    history: Sequence[Mapping[str, Any]] = (),
    model: str | None = None,
    k: int | None = None,
) -> AsyncGenerator[Event, None]:
    """Ask a knowledge base, by id or name; see ``pipeline.answer`` for the events.

    ``history`` holds the conversation's earlier turns; ``model`` is the one that runs by default (``models.chosen``).

    Raises:
        NotFoundError: no such knowledge base. MissingComponentError: its embedder is not installed any more.
        ZhiluError: from the model's server.
    """
    import asyncio

    from zhilu.models.chosen import default_model
    from zhilu.rag.answer import pipeline
    from zhilu.rag.answer.manner import manner_of
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.rag.library import Library

    kb = Library(context).open(kb_id)
    embedder = await asyncio.to_thread(embedder_of, context, kb.embedder)
    model = model or default_model(context).name
    manner, _ = await asyncio.to_thread(manner_of, context, model)
    events = pipeline.answer(
        kb, question, client=client, model=model, embedder=embedder, history=history, k=k or pipeline.PASSAGES,
        manner=manner, caution=context.settings.answers,
    )  # fmt: skip
    async with aclosing(events):
        async for event in events:
            yield event
