"""From a question to an answer with citations: evidence, a prompt that fits, and the model's words checked against the passages.

What applications may use of knowledge bases stands here: ``answer`` a question, ``open_shelf`` for the documents and their text,
``temporary_shelf`` for documents that are nobody's. Importing this package imports none of its parts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.events import Event
    from zhilu.rag.answer.shelf import Shelf

__all__ = ["answer", "open_shelf", "temporary_shelf"]


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
    events = open_shelf(context, kb_id).answer(client, question, history=history, model=model, k=k)
    async with aclosing(events):
        async for event in events:
            yield event


def open_shelf(context: Context, kb_id: str) -> Shelf:
    """A knowledge base by id or name, with its documents (see ``shelf``)."""
    from zhilu.rag.answer import shelf

    return shelf.open_shelf(context, kb_id)


def temporary_shelf(context: Context, files: Mapping[str, bytes]) -> AbstractAsyncContextManager[Shelf]:
    """``files`` by name as a knowledge base for the time of a block (see ``shelf``)."""
    from zhilu.rag.answer import shelf

    return shelf.temporary_shelf(context, files)
