"""Knowledge bases as MCP tools, used by the SDK's own client: in process, on stdio, and over HTTP behind the guard."""

from __future__ import annotations

import asyncio
import json
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
MORE = {"ask_model", "gate_result", "list_gates", "list_models"}


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
    assert set(seen["tools"]) in (TOOLS | MORE, TOOLS)
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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"query": "locker", "top_k": 3}, "takes no 'top_k'"),
        ({"query": "locker", "kk": 3}, "Did you mean 'k'"),
        ({"query": "locker", "k": 21}, "less than or equal to 20"),
        ({"query": "x" * 4001}, "at most 4000"),
    ],
)
def test_what_a_tool_would_not_do_is_refused(
    context: Context, fill: Callable[..., KnowledgeBase], arguments: dict[str, Any], reason: str
) -> None:
    kb, server = fill({"pool.md": POOL}, embedder="none"), mcp_server(context)

    async def call() -> tuple[Any, Any]:
        async with Client(server) as client:
            listed = (await client.list_tools()).tools
            return listed, await client.call_tool("search_knowledge_base", {"knowledge_base": kb.name, **arguments})

    listed, refused = asyncio.run(call())
    assert all(tool.input_schema["additionalProperties"] is False for tool in listed)
    assert refused.is_error and reason in refused.content[0].text


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


def test_documents_are_resources_and_questions_are_prompts(
    context: Context, fill: Callable[..., KnowledgeBase]
) -> None:
    kb = fill({"pool.md": POOL})
    server = mcp_server(context, [kb.name])

    async def look() -> None:
        async with Client(server) as client:
            listed = json.loads((await client.read_resource("zhilu://kbs")).contents[0].text)
            documents = json.loads((await client.read_resource(listed[0]["documents"])).contents[0].text)
            assert [one["name"] for one in documents] == ["pool.md"]
            text = (await client.read_resource(documents[0]["text"])).contents[0].text
            assert text == POOL.strip() or "coin of one euro" in text
            asked = await client.get_prompt(
                "answer_from_documents", {"knowledge_base": kb.name, "question": "What does a locker need?"}
            )
            said = asked.messages[0].content.text
            assert "coin of one euro" in said and said.endswith("What does a locker need?")
            summary = await client.get_prompt(
                "summarise_document", {"knowledge_base": kb.name, "document_id": documents[0]["id"]}
            )
            assert "Pool" in summary.messages[0].content.text
            assert {t.name for t in (await client.list_tools()).tools} == TOOLS

    asyncio.run(look())


def test_what_is_not_offered_is_no_resource(context: Context, fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"pool.md": POOL})
    other = Library(context).create("secrets", embedder="none")

    async def look() -> None:
        async with Client(mcp_server(context, [kb.name])) as client:
            listed = json.loads((await client.read_resource("zhilu://kbs")).contents[0].text)
            assert [one["name"] for one in listed] == [kb.name]
            with pytest.raises(Exception, match=r"."):
                await client.read_resource(f"zhilu://kbs/{other.id}")

    asyncio.run(look())


def test_gates_are_tools(context: Context) -> None:
    from zhilu.gate import Verdict
    from zhilu.messages import T
    from zhilu.roadmap.evidence import Evidence, EvidenceStore, now

    store = EvidenceStore(context.home)
    store.append(Evidence("4.1", now(), 1.0, Verdict.failed(T("Too few.", "太少。"), fix="zhilu kb add"), {}, {}))

    async def look() -> tuple[Any, Any, Any]:
        async with Client(mcp_server(context)) as client:
            listed = await client.call_tool("list_gates", {})
            return (
                listed,
                await client.call_tool("gate_result", {"task": "4.1"}),
                await client.call_tool("gate_result", {"task": "9.9"}),
            )

    listed, result, unknown = asyncio.run(look())
    assert {one["task"]: one["status"] for one in listed.structured_content["result"]}["4.1"] == "failed"
    assert result.structured_content["verdict"]["fix"] == "zhilu kb add"
    assert unknown.is_error and "zhilu check 9.9" in unknown.content[0].text


def test_refusals_are_told_and_name_nothing_that_is_not_offered(
    context: Context, fill: Callable[..., KnowledgeBase]
) -> None:
    kb = fill({"pool.md": POOL})
    other = Library(context).create("secrets", embedder="none")

    async def refused(only: tuple[str, ...]) -> list[str]:
        said = []
        async with Client(mcp_server(context, only)) as client:
            for name in ("nothing", other.name, other.id):
                arguments = {"knowledge_base": name, "query": "x"}
                result = await client.call_tool("search_knowledge_base", arguments)
                said.append(result.content[0].text.replace(name, "NAME") if result.is_error else "")
            with pytest.raises(Exception, match="nothing") as resource:
                await client.read_resource("zhilu://kbs/nothing")
            with pytest.raises(Exception, match="no document 'gone'"):
                await client.get_prompt("summarise_document", {"knowledge_base": kb.name, "document_id": "gone"})
            return [*said, str(resource.value).replace("nothing", "NAME")]

    *alike, resource = asyncio.run(refused((kb.name,)))
    assert len(set(alike)) == 1 and alike[0] and "secrets" not in alike[0] + resource
    assert "secrets" in asyncio.run(refused(()))[0]  # where all are offered, the names help
