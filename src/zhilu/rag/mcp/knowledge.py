"""The tools for knowledge bases: which there are, searching one, asking one, reading a document. All of them only read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve

if TYPE_CHECKING:
    from collections.abc import Collection

    from zhilu.context import Context

__all__ = ["KnowledgeTools", "Question"]

_LONGEST = 20_000  # characters of a document at a time
# What is longer is refused by the SDK, with the limit: a question that is cut off asks something else.
Question = Annotated[str, Field(max_length=4000)]


class KnowledgeTools:
    """What the tools do. ``only``: names or ids of the knowledge bases that are offered; empty: all."""

    def __init__(self, context: Context, only: Collection[str] = ()) -> None:
        self.context = context
        self.library = Library(context)
        self.only = frozenset(self.library.locate(name) for name in only)

    async def list_knowledge_bases(self) -> list[dict[str, Any]]:
        """The knowledge bases there are, with what they hold."""
        infos = await asyncio.to_thread(self.library.list)
        return [
            {"name": i.name, "id": i.id, "description": i.description, "num_documents": i.num_documents}
            for i in infos
            if i.error is None and self._is_offered(i.id)
        ]

    async def search_knowledge_base(
        self, knowledge_base: str, query: Question, k: Annotated[int, Field(ge=1, le=20)] = 5
    ) -> list[dict[str, Any]]:
        """Passages of a knowledge base (by name or id) that fit a question or some words best, the best first."""
        kb = await asyncio.to_thread(self.open, knowledge_base)
        embedder = await asyncio.to_thread(embedder_of, self.context, kb.embedder)
        found = await asyncio.to_thread(retrieve, kb, query, embedder, k=k)
        return [
            {
                "document": hit.doc_name, "document_id": hit.doc_id, "page": hit.page, "heading": hit.heading,
                "start": hit.start, "end": hit.end, "score": hit.score, "text": hit.text,
            }
            for hit in found.hits
        ]  # fmt: skip

    async def ask_knowledge_base(self, knowledge_base: str, question: Question) -> dict[str, Any]:
        """An answer from a knowledge base (by name or id) by the local model, checked against the passages, with citations;
        refused is true where the documents do not say."""
        from zhilu.client import connect
        from zhilu.rag.answer import answer

        kb = await asyncio.to_thread(self.open, knowledge_base)
        done: dict[str, Any] = {}
        async with connect(self.context) as client:
            async for event in answer(self.context, client, kb.id, question):
                done = event.data
        cited = [c for c in done["citations"] if c["cited"]]
        keys = ("n", "doc_name", "doc_id", "page", "heading", "text")
        return {
            "answer": done["answer"], "refused": done["refused"], "verdict": done["verdict"],
            "citations": [{key: c[key] for key in keys} for c in cited],
        }  # fmt: skip

    async def read_document(
        self,
        knowledge_base: str,
        document_id: str,
        start: Annotated[int, Field(ge=0)] = 0,
        length: Annotated[int, Field(ge=1, le=_LONGEST)] = 8000,
    ) -> dict[str, Any]:
        """The text of a document from character start on, at most 20,000 characters; num_chars is all of it."""
        kb = await asyncio.to_thread(self.open, knowledge_base)
        read = await asyncio.to_thread(kb.read, document_id)
        text = read.text[start : start + length]
        return {"document": read.name, "start": start, "num_chars": len(read.text), "text": text}

    def _is_offered(self, kb_id: str) -> bool:
        return not self.only or kb_id in self.only

    def open(self, name: str) -> KnowledgeBase:
        """A knowledge base that is offered, by name or id.

        Raises:
            NotFoundError: there is none of this name, or it is not offered.
        """
        try:
            kb_id = self.library.locate(name)
        except NotFoundError:
            if not self.only:
                raise
            kb_id = ""  # the library's own words name every knowledge base that there is
        if not self._is_offered(kb_id):
            raise NotFoundError(T(f"No knowledge base called {name[:200]!r}.", f"没有名为 {name[:200]!r} 的知识库。"))
        return self.library.open(kb_id)
