"""Knowledge bases as MCP tools, used by the SDK's own client: in process, on stdio, and over HTTP behind the guard."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the MCP SDK is not installed here")

from mcp import Client, StdioServerParameters

from zhilu.context import Context
from zhilu.errors import NotFoundError
from zhilu.host.app import create_app
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.mcp.server import mcp_server

POOL = "# Pool\n\nThe pool opens at seven in the morning. A locker needs a coin of one euro, which comes back afterwards.\n"
TOOLS = {"ask_knowledge_base", "list_knowledge_bases", "read_document", "search_knowledge_base"}


async def visit(server: Any, kb: str, mode: str = "auto") -> dict[str, Any]:
    """What a client sees: tools, the list, a search, a document, and an error."""
    async with Client(server, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        listed = (await client.call_tool("list_knowledge_bases", {})).structured_content
        found = (
            await client.call_tool("search_knowledge_base", {"knowledge_base": kb, "query": "coin for a locker"})
        ).structured_content
        first = found["result"][0]
        read = await client.call_tool(
            "read_document", {"knowledge_base": kb, "document_id": first["document_id"], "start": 2, "length": 4}
        )
        wrong = await client.call_tool("search_knowledge_base", {"knowledge_base": "nothing", "query": "x"})
        return {
            "version": client.protocol_version, "tools": tools, "listed": listed["result"], "found": found["result"],
            "read": read.structured_content, "wrong": wrong,
        }  # fmt: skip


def check(seen: dict[str, Any], kb: KnowledgeBase) -> None:
    assert set(seen["tools"]) == TOOLS
    assert seen["tools"]["search_knowledge_base"].annotations.read_only_hint
    assert [entry["name"] for entry in seen["listed"]] == [kb.name]
    assert "coin of one euro" in seen["found"][0]["text"] and seen["found"][0]["document"] == "pool.md"
    assert seen["read"]["text"] == "Pool" and seen["read"]["num_chars"] > 50
    assert seen["wrong"].is_error and "nothing" in seen["wrong"].content[0].text


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_the_sdks_client_in_process(
    context: Context, fill: Callable[..., KnowledgeBase], mode: str, version: str
) -> None:
    kb = fill({"pool.md": POOL})
    seen = asyncio.run(visit(mcp_server(context), kb.name, mode))
    check(seen, kb)
    assert seen["version"] == version


def test_only_what_was_named_is_offered(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"pool.md": POOL})
    other = Library(context).create("secrets", embedder="none")
    server = mcp_server(context, [kb.name])

    async def look() -> tuple[Any, Any]:
        async with Client(server) as client:
            listed = await client.call_tool("list_knowledge_bases", {})
            return listed, await client.call_tool("search_knowledge_base", {"knowledge_base": other.id, "query": "x"})

    listed, refused = asyncio.run(look())
    assert [entry["name"] for entry in listed.structured_content["result"]] == [kb.name] and refused.is_error
    with pytest.raises(NotFoundError):
        mcp_server(context, ["nothing"])


def test_on_stdio(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"pool.md": POOL}, embedder="none")
    env = {**os.environ, "ZHILU_HOME": str(context.home.path)}
    started = StdioServerParameters(command=sys.executable, args=["-m", "zhilu", "mcp"], env=env)
    check(asyncio.run(visit(started, kb.name)), kb)


@contextmanager
def gateway(context: Context) -> Iterator[str]:
    import uvicorn

    config = uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_level="warning", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(400):
        if server.started:
            break
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)


def test_over_http_behind_the_guard(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    import httpx

    kb = fill({"pool.md": POOL})
    with gateway(context) as url:
        check(asyncio.run(visit(f"{url}/mcp", kb.name)), kb)
        ping = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            assert httpx.post(f"{url}/mcp", json=ping, headers=headers).status_code in (400, 403, 421)
