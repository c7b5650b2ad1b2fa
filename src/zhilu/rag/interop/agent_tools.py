"""A knowledge base as tools of an agent (``kb:NAME``): search its passages, read a document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from zhilu.messages import T
from zhilu.tools import Tool, ToolResult, tool_from
from zhilu.tools.schema import LATER

if TYPE_CHECKING:
    from zhilu.context import Context

Further = Annotated[int, Field(json_schema_extra={LATER: True})]

__all__ = ["KNOWLEDGE", "KnowledgeSource"]


class KnowledgeSource:
    title = T("A knowledge base", "知识库")
    usage = "kb:NAME"
    is_local = False
    example = "kb:handbook"

    def about(self, context: Context, argument: str) -> str:
        from zhilu.rag.mcp.server import KnowledgeTools

        library = KnowledgeTools(context, [argument]).library
        kb = library.open(library.locate(argument))
        documents = ", ".join(document.name for document in kb.documents()[:8])
        return f"{kb.name}. {kb.info().description} {documents}"

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        """Raises NotFoundError where there is no such knowledge base."""
        from zhilu.rag.mcp.server import KnowledgeTools

        inner = KnowledgeTools(context, [argument])
        kb = inner.library.open(inner.library.locate(argument))

        async def search_knowledge_base(query: str, k: Further = 4) -> ToolResult:
            """
            Args:
                query: the question, or the words to look for.
                k: how many passages, 1 to 20.
            """
            found = await inner.search_knowledge_base(kb.id, query, k)
            said = [f"[{n}] {hit['document']} ({hit['document_id']}): {hit['text']}" for n, hit in enumerate(found, 1)]
            return ToolResult("\n\n".join(said) or "No passage fits.", data=found)

        async def read_document(document_id: str, start: Further = 0, length: Further = 4000) -> dict[str, Any]:
            """
            Args:
                document_id: as a search gives it.
                start: number of the first character.
                length: how many characters, at most 20000.
            """
            return await inner.read_document(kb.id, document_id, start, length)

        about = f": {kb.info().description}" if kb.info().description else ""
        search_knowledge_base.__doc__ = (
            f"Search the documents of the knowledge base {kb.name!r}{about}. Gives the passages that fit best, with their "
            f"document.{search_knowledge_base.__doc__}"
        )
        read_document.__doc__ = f"Read a document of {kb.name!r} from a character on.{read_document.__doc__}"
        yield [
            tool_from(search_knowledge_base, title=T("Search the knowledge base", "在知识库中查找")),
            tool_from(
                read_document,
                title=T(
                    "Read more of a document than the passages that were found", "找到的片段不够时，读文档的其余部分"
                ),
            ),
        ]


KNOWLEDGE = KnowledgeSource()
