"""Stage 4: ask your own documents. Load, split, embed, store, retrieve, answer with citations, measure.

File map: ``load/`` files to text · ``split`` text to chunks · ``lexical`` words for BM25 · ``stores/`` vectors ·
``database`` the file of a knowledge base · ``kb``, ``library`` one of them, all of them · ``ingest`` documents in ·
``fusion``, ``retrieve`` passages out · ``followup``, ``fit``, ``ground``, ``extract``, ``pipeline`` answers with citations ·
``evaluate`` how good it is · ``testing`` what every vector store must pass.

Importing this package imports none of its parts: a parser's limited process must start fast.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.rag.pipeline import Event

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

    ``history`` holds the conversation's earlier turns; ``model`` is the setting's by default.

    Raises:
        NotFoundError: no such knowledge base. MissingComponentError: its embedder is not installed any more.
        ZhiluError: from the model's server.
    """
    import asyncio

    from zhilu.rag import pipeline
    from zhilu.rag.embedding import embedder_of
    from zhilu.rag.library import Library

    kb = Library(context).open(kb_id)
    embedder = await asyncio.to_thread(embedder_of, context, kb.embedder)
    events = pipeline.answer(
        kb, question, client=client, model=model or context.settings.model, embedder=embedder, history=history,
        k=k or pipeline.PASSAGES,
    )  # fmt: skip
    async with aclosing(events):
        async for event in events:
            yield event
