"""Knowledge bases and the web as tools of an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import MissingComponentError, NotFoundError, ZhiluError
from zhilu.rag.kb import KnowledgeBase
from zhilu.tools import ToolCall, open_tools
from zhilu.tools.testing import check_tool

POOL = "# Pool\n\nThe pool opens at seven in the morning. A locker needs a coin of one euro, which comes back afterwards.\n"


def test_a_knowledge_base_is_searched_and_read(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"pool.md": POOL})

    async def use() -> tuple[Any, Any]:
        async with open_tools(context, [f"kb:{kb.name}"]) as (search, read):
            assert kb.name in search.facts.description and search.facts.effect == read.facts.effect == "read"
            found = await check_tool(search, {"query": "coin for a locker"})
            return found, await check_tool(read, {"document_id": found.data[0]["document_id"], "start": 2, "length": 4})

    found, read = asyncio.run(use())
    assert "coin of one euro" in found.text and "pool.md" in found.text
    assert read.data["text"] == "Pool"


def test_an_unknown_knowledge_base_is_refused_before_a_model_hears_of_it(context: Context) -> None:
    async def use() -> None:
        async with open_tools(context, ["kb:nothing"]):
            pass

    with pytest.raises(NotFoundError, match="nothing"):
        asyncio.run(use())


def test_the_web_needs_a_provider_and_asks_before_it_leaves_the_machine(context: Context, tmp_path: Path) -> None:
    async def effects() -> dict[str, str]:
        async with open_tools(context, ["web"]) as tools:
            search, read = tools
            found = await search.call(ToolCall("1", "web_search", {"query": "locker"}))
            assert found.data[0]["title"] == "pool"
            with pytest.raises(ZhiluError):  # nothing but the web
                await read.call(ToolCall("2", "read_page", {"url": (tmp_path / "pool.md").as_uri()}))
            return {tool.facts.name: tool.facts.effect for tool in tools}

    with pytest.raises(MissingComponentError):
        asyncio.run(effects())
    (tmp_path / "pool.md").write_text(POOL)
    context.settings = context.settings.model_copy(update={"web_search": "site", "web_folder": str(tmp_path)})
    assert asyncio.run(effects()) == {"web_search": "read", "read_page": "send"}
