"""What the MCP server has beside its tools for knowledge bases: models as tools, documents as resources, prompts.

Other capabilities add theirs through the entry points ``zhilu.mcp``: functions ``(server, context)`` that add to the server.
"""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from zhilu.errors import ZhiluError
from zhilu.messages import T
from zhilu.rag.mcp.knowledge import Question
from zhilu.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.mcpserver import MCPServer

    from zhilu.context import Context
    from zhilu.rag.mcp.knowledge import KnowledgeTools

    Offer = Callable[[MCPServer[Any], Context], None]

__all__ = ["ModelTools", "add_prompts", "add_resources", "offers"]


def offers() -> Registry[Offer]:
    return Registry.from_entry_points("zhilu.mcp", T("part of the MCP server", "MCP 服务器的部分"))


class ModelTools:
    """The models of this machine."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list_models(self) -> list[dict[str, Any]]:
        """The models that this machine serves, with how much each reads (max_model_len, tokens) and whether it is loaded."""
        from zhilu.client import connect

        async with connect(self._context) as client:
            models = await client.models()
        return [{key: one.get(key) for key in ("id", "max_model_len", "state")} for one in models]

    async def ask_model(
        self, prompt: str, model: str = "", max_tokens: Annotated[int, Field(ge=1, le=2000)] = 500
    ) -> str:
        """The answer of a model of this machine (empty: the default one) to a prompt; nothing leaves the machine but for models that
        stand for an outside API."""
        from zhilu.client import connect
        from zhilu.models.chosen import default_model

        name = model or default_model(self._context).name
        async with connect(self._context) as client:
            reply = await client.chat([{"role": "user", "content": prompt}], model=name, max_tokens=max_tokens)
        return str(reply["choices"][0]["message"]["content"] or "")


def add_resources(server: MCPServer[Any], tools: KnowledgeTools) -> None:
    """Every document by its address, and the list that leads there."""

    @server.resource("zhilu://kbs", name="knowledge_bases", mime_type="application/json")
    async def knowledge_bases() -> str:
        """The knowledge bases, and the address of each one's list of documents."""
        listed = await tools.list_knowledge_bases()
        return _json([{**one, "documents": f"zhilu://kbs/{one['id']}"} for one in listed])

    @server.resource("zhilu://kbs/{kb}", name="documents", mime_type="application/json")
    @_in_our_words
    async def documents(kb: str) -> str:
        """The documents of a knowledge base (by id), and the address of each."""
        opened = await asyncio.to_thread(tools.open, kb)
        found = await asyncio.to_thread(opened.documents)
        return _json([{"name": one.name, "id": one.id, "text": f"zhilu://kbs/{opened.id}/{one.id}"} for one in found])

    @server.resource("zhilu://kbs/{kb}/{document}", name="document", mime_type="text/plain")
    @_in_our_words
    async def document(kb: str, document: str) -> str:
        """The text of a document, as it was read."""
        opened = await asyncio.to_thread(tools.open, kb)
        return str((await asyncio.to_thread(opened.read, document)).text)


def add_prompts(server: MCPServer[Any], tools: KnowledgeTools) -> None:
    """What a person chooses in a client, with the passages in it."""

    @server.prompt(title="Answer from my documents 依据我的文档回答")
    @_in_our_words
    async def answer_from_documents(knowledge_base: str, question: Question) -> str:
        """A question with the passages that fit it, for the client's own model to answer with citations."""
        found = await tools.search_knowledge_base(knowledge_base, question)
        passages = "\n\n".join(f"[{n}] {one['document']}: {one['text']}" for n, one in enumerate(found, 1))
        return (
            f"{passages}\n\nAnswer the question from these passages alone and cite them by their numbers. Where they do not say, say so."
            f"\n\nQuestion: {question}"
        )

    @server.prompt(title="Summarise a document 总结一份文档")
    @_in_our_words
    async def summarise_document(knowledge_base: str, document_id: str) -> str:
        """A document's text with the task to summarise it."""
        read = await tools.read_document(knowledge_base, document_id, 0, 20_000)
        return f"{read['text']}\n\nSummarise this document in five sentences, in its own language. Name: {read['document']}"


def _in_our_words(work: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
    """What is refused reaches the client with its reason: of other exceptions the SDK tells only where they came up."""
    from mcp.shared.exceptions import MCPError
    from mcp_types import INVALID_PARAMS

    @functools.wraps(work)
    async def called(*args: Any, **kwargs: Any) -> str:
        try:
            return await work(*args, **kwargs)
        except ZhiluError as error:
            raise MCPError(INVALID_PARAMS, f"{error.message.say()} {error.fix or ''}".strip()) from error

    return called


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
