"""From a question to an answer with citations: evidence, a prompt that fits, and the model's words checked against the passages.

What applications may use of knowledge bases stands here: ``answer`` a question, ``open_shelf`` for the documents and their text,
``temporary_shelf`` for documents that are nobody's. Importing this package imports none of its parts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any, BinaryIO

from zhilu.rag.retrieve.leave import Leave

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.events import Event
    from zhilu.rag.answer.shelf import Shelf as Shelf  # its type is for applications too
    from zhilu.trace import AnswerTrace

__all__ = [
    "Leave", "add_within", "answer", "answer_within", "documents_within", "knowledge_bases", "open_shelf", "read_within",
    "remove_within", "search_within", "sync_within", "temporary_knowledge_base", "temporary_shelf",
]  # fmt: skip


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


async def answer_within(
    context: Context,
    client: ModelClient,
    leaves: Sequence[Leave],
    question: str,
    *,
    history: Sequence[Mapping[str, Any]] = (),
    model: str | None = None,
    k: int | None = None,
    record: Callable[[AnswerTrace], object],
) -> AsyncGenerator[Event, None]:
    """As ``answer``, over all that the leaves allow and nothing else. The trace goes to ``record`` and into no knowledge base:
    it belongs to the one who asked."""
    from zhilu.rag.answer.within import answer_on

    events = answer_on(context, client, leaves, question, history=history, model=model, k=k, record=record)
    async with aclosing(events):
        async for event in events:
            yield event


def search_within(context: Context, leaves: Sequence[Leave], query: str, *, k: int = 10) -> list[dict[str, Any]]:
    """Passages, best first, of what the leaves allow: a ``Hit`` without the scores of the lists."""
    from zhilu.rag.answer.within import search_on

    return search_on(context, leaves, query, k)


def read_within(context: Context, leaves: Sequence[Leave], kb_id: str, doc_id: str) -> dict[str, Any]:
    """A document with its text.

    Raises:
        NotFoundError: there is none, or the leaves do not allow it.
    """
    from zhilu.rag.answer.within import read_on

    return read_on(context, leaves, kb_id, doc_id)


def documents_within(context: Context, leaves: Sequence[Leave]) -> list[dict[str, Any]]:
    """The documents that the leaves allow, with the source of each (see ``within.documents_on``)."""
    from zhilu.rag.answer.within import documents_on

    return documents_on(context, leaves)


def knowledge_bases(context: Context) -> list[dict[str, Any]]:
    """id, name, num_documents and sources of every knowledge base that can be opened: for who gives leave."""
    from zhilu.rag.library import Library
    from zhilu.rag.sources.book import SourceBook

    library = Library(context)
    return [
        {
            "id": info.id, "name": info.name, "num_documents": info.num_documents,
            "sources": [s.model_dump(mode="json") for s in SourceBook(library.open(info.id)).every()],
        }
        for info in library.list()
        if info.error is None
    ]  # fmt: skip


def add_within(
    context: Context, leaves: Sequence[Leave], kb_id: str, files: Sequence[tuple[str, BinaryIO]]
) -> dict[str, Any]:
    """Add files to a knowledge base of which all may be read: ``added`` names, ``rejected``, and the ``job`` that reads them.

    Raises:
        NotFoundError: no such knowledge base, or not all of it.
    """
    from zhilu.rag.answer.within import add_on

    return add_on(context, leaves, kb_id, files)


def remove_within(context: Context, leaves: Sequence[Leave], kb_id: str, doc_id: str) -> str:
    """Delete a document of a knowledge base of which all may be read; its name.

    Raises:
        NotFoundError: no such knowledge base or document, or not all of it.
    """
    from zhilu.rag.answer.within import remove_on

    return remove_on(context, leaves, kb_id, doc_id)


def sync_within(context: Context, leaves: Sequence[Leave], kb_id: str) -> list[str]:
    """Read every source again of a knowledge base of which all may be read; the ids of the jobs.

    Raises:
        NotFoundError: no such knowledge base, or not all of it.
    """
    from zhilu.rag.answer.within import sync_on

    return sync_on(context, leaves, kb_id)


def temporary_knowledge_base(context: Context, name: str, files: Mapping[str, str]) -> AbstractAsyncContextManager[str]:
    """``files`` (text by name) as a knowledge base among the others for the time of a block; its id."""
    from zhilu.rag.answer.within import temporary_on

    return temporary_on(context, name, files)
