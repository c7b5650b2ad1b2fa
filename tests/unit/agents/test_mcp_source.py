"""The tools of MCP servers: our own one, on stdio and over HTTP, and one that misbehaves in every way."""

from __future__ import annotations

import asyncio
import builtins
import os
import shlex
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mcp", reason="the MCP SDK is not installed here")

from zhilu.agents.sources import mcp as source
from zhilu.agents.sources.strangers import names_of, parameters_of
from zhilu.context import Context, open_context
from zhilu.errors import (
    ForbiddenError,
    InputError,
    MissingComponentError,
    NotFoundError,
    UnreachableError,
    UpstreamError,
    ZhiluError,
)
from zhilu.rag.library import Library
from zhilu.tools import Tool, ToolCall, ToolResult, open_tools
from zhilu.tools.base import NAME
from zhilu.tools.testing import MemoryJournal, allow, check_tool, deny
from zhilu.tools.wrappers import CHARACTERS, guarded

BAD = Path(__file__).with_name("bad_mcp_server.py")
Use = Callable[[dict[str, Tool]], Awaitable[Any]]


def with_tools(name: str, use: Use) -> Any:
    async def run() -> Any:
        async with open_tools(open_context(), [name]) as tools:
            return await use({tool.facts.name: tool for tool in tools})

    return asyncio.run(run())


def bad(mode: str, *more: object) -> str:
    return f"mcp:{shlex.join([sys.executable, str(BAD), mode, *map(str, more)])}"


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall("1", name, arguments)


def ours() -> str:
    """The command that a person would type, with our home: the SDK hands no ``ZHILU_`` on."""
    home = f"ZHILU_HOME={os.environ['ZHILU_HOME']}"
    return f"mcp:{shlex.join(['env', home, sys.executable, '-m', 'zhilu', 'mcp'])}"


async def visit_ours(tools: dict[str, Tool]) -> ToolResult:
    assert set(tools) == {
        "mcp_ask_knowledge_base", "mcp_list_knowledge_bases", "mcp_read_document", "mcp_search_knowledge_base",
        "mcp_list_models", "mcp_ask_model", "mcp_list_gates", "mcp_gate_result",
        "mcp_list_resources", "mcp_read_resource", "mcp_list_prompts", "mcp_get_prompt",
    }  # fmt: skip
    resources = await tools["mcp_list_resources"].call(call("mcp_list_resources"))
    assert "zhilu://kbs: knowledge_bases" in resources.text and "zhilu://kbs/{kb}/{document}" in resources.text
    listed = await tools["mcp_read_resource"].call(call("mcp_read_resource", uri="zhilu://kbs"))
    assert '"name": "handbook"' in listed.text
    prompts = await tools["mcp_list_prompts"].call(call("mcp_list_prompts"))
    assert "answer_from_documents(knowledge_base, question)" in prompts.text
    with pytest.raises(UpstreamError):
        await tools["mcp_get_prompt"].call(ToolCall("1", "mcp_get_prompt", {"name": "no_such_prompt"}))
    assert "unchecked" in (await tools["mcp_list_gates"].call(call("mcp_list_gates"))).text
    search = tools["mcp_search_knowledge_base"].facts
    assert search.parameters["required"] == ["knowledge_base", "query"] and "Passages" in search.description
    assert search.effect == "send", "it says that it only reads; a stranger's word is not enough"
    unknown = await tools["mcp_search_knowledge_base"].call(call(search.name, knowledge_base="nothing", query="x"))
    assert unknown.is_error and "nothing" in unknown.text
    with pytest.raises(InputError, match="knowledge_base"):
        await tools[search.name].call(call(search.name, knowledge_bas="handbook", query="x"))
    return await check_tool(tools["mcp_list_knowledge_bases"], {})


def test_our_own_server_on_stdio(context: Context) -> None:
    Library(context).create("handbook", embedder="none")
    result = with_tools(ours(), visit_ours)
    assert "handbook" in result.text and result.data["result"][0]["name"] == "handbook"


def test_our_own_server_over_http(context: Context) -> None:
    Library(context).create("handbook", embedder="none")
    with gateway(context) as url:
        assert "handbook" in with_tools(f"mcp:{url}/mcp", visit_ours).text


def test_a_server_that_breaks_its_promise_and_then_dies_is_an_error_and_no_hang() -> None:
    async def use(tools: dict[str, Tool]) -> None:
        assert (await tools["mcp_odd_name_with"].call(call("mcp_odd_name_with"))).data == {"n": 1}
        with pytest.raises(UpstreamError, match="not what it promised"):
            await tools["mcp_promises_numbers"].call(call("mcp_promises_numbers"))
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match="ended during die") as raised:
            await tools["mcp_die"].call(call("mcp_die"))
        assert "out of ink" in raised.value.message.en and raised.value.code == "mcp_ended"
        with pytest.raises(UnreachableError):  # nor does the next call
            await tools["mcp_megabyte"].call(call("mcp_megabyte"))
        assert time.monotonic() - begun < 20

    with_tools(bad("lies"), use)


def test_limits_are_the_wrappers_and_the_process_ends_with_the_run() -> None:
    seen: list[int] = []

    async def use(tools: dict[str, Tool]) -> None:
        seen.extend(children())
        assert len(seen) == 1
        slow = guarded(tools["mcp_hang"], allow, MemoryJournal(), seconds=0.5)
        with pytest.raises(UnreachableError, match=r"0\.5 s"):
            await slow.call(call("mcp_hang"))
        large = await guarded(tools["mcp_megabyte"], allow, MemoryJournal()).call(call("mcp_megabyte"))
        assert len(large.text) < CHARACTERS + 100 and "left out" in large.text
        assert large.data is None, "what is too long to keep is not kept by another door"

    with_tools(bad("plain"), use)
    assert children() == []


def test_a_cancelled_run_ends_the_process_too() -> None:
    async def run() -> None:
        begun = asyncio.Event()

        async def work() -> None:
            async with open_tools(open_context(), [bad("plain")]) as tools:
                begun.set()
                await next(t for t in tools if t.facts.name == "mcp_hang").call(call("mcp_hang"))

        task = asyncio.create_task(work())
        await begun.wait()
        await asyncio.sleep(0.1)
        assert len(children()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert children() == []

    asyncio.run(run())


def test_nothing_that_a_server_says_gets_by_the_approval(tmp_path: Path) -> None:
    target = tmp_path / "written.txt"

    async def use(tools: dict[str, Tool]) -> None:
        assert not {tool.facts.effect for tool in tools.values()} & {"read"}
        assert not any(tool.facts.repeatable for tool in tools.values())
        assert "write_file" not in tools and all(name.startswith("mcp_") and NAME.match(name) for name in tools)
        read = await guarded(tools["mcp_page"], allow, MemoryJournal()).call(call("mcp_page"))
        assert "no approval is needed" in read.text
        with pytest.raises(ForbiddenError):
            await guarded(tools["mcp_write_it"], deny, MemoryJournal()).call(call("mcp_write_it", text="owned"))
        assert not target.exists()
        with pytest.raises(ForbiddenError):
            await guarded(tools["mcp_page"], deny, MemoryJournal()).call(call("mcp_page"))
        await guarded(tools["mcp_write_it"], allow, MemoryJournal()).call(call("mcp_write_it", text="asked"))
        assert target.read_text() == "asked"

    with_tools(bad("plain", target), use)


def test_a_schema_that_is_none_is_refused_before_a_model_hears_of_it() -> None:
    with pytest.raises(UpstreamError, match="'page'"):
        with_tools(bad("no schema"), never)
    assert children() == []


ENDLESS = {"type": "object", "properties": {f"p{i}": {"$ref": "#/$defs/n"} for i in range(40)}}


@pytest.mark.parametrize(
    "schema",
    [
        None, [], {"type": "array"}, {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}},
        {"properties": {"a": {"$ref": "#/$defs/missing"}}}, {**ENDLESS, "$defs": {"n": ENDLESS}},
        {"properties": {f"p{i}": {"enum": list(range(100))} for i in range(100)}},
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_held(schema: Any) -> None:
    with pytest.raises(UpstreamError):
        parameters_of("page", schema)


@pytest.mark.parametrize(("mode", "said"), [("ends at once", "no such licence"), ("never begins", "0.8 s")])
def test_a_server_that_does_not_begin(mode: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode == "never begins":
        monkeypatch.setattr(source, "_START_SECONDS", 0.8)
    with pytest.raises(UnreachableError) as raised:
        with_tools(bad(mode), never)
    assert said in raised.value.message.en and children() == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mcp:no-such-program --now", NotFoundError), ("mcp:'unclosed", InputError), ("mcp:", InputError), ("mcp", InputError),
        ("mcp:/etc/hostname", ZhiluError), ("mcp:http://127.0.0.1:9/mcp", UnreachableError),
    ],
)  # fmt: skip
def test_what_is_no_server_is_told(name: str, kind: type[ZhiluError]) -> None:
    with pytest.raises(kind):
        with_tools(name, never)


def test_without_the_sdk_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *rest: Any, **more: Any) -> Any:
        if name == "mcp" or name.startswith("mcp."):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(MissingComponentError) as raised:
        with_tools("mcp:http://127.0.0.1:9/mcp", never)
    assert raised.value.fix == "pip install 'mcp>=2.3,<3'"


@given(st.lists(st.text(max_size=70), max_size=4, unique=True))
def test_any_names_become_names_of_their_own(theirs: list[str]) -> None:
    names = names_of("mcp_", theirs)
    assert len(set(names)) == len(theirs) and all(NAME.match(name) for name in names)
    assert names_of("mcp_", theirs[::-1]) == names[::-1], "a name stands for the same tool whatever the order"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "$ref", "items", "enum", "anyOf", "a", "required"]),
            inside,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_schema_is_taken_or_refused(schema: Any) -> None:
    try:
        taken = parameters_of("t", schema)
    except UpstreamError:
        return
    assert taken["type"] == "object" and isinstance(taken["properties"], dict)


async def never(_tools: dict[str, Tool]) -> None:
    raise AssertionError("it must not open")


def children() -> list[int]:
    """Processes of this one that run a server of these tests."""
    import psutil

    running = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    return [p.pid for p in running if str(BAD) in p.cmdline()]


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context()
    yield opened
    opened.close()


@contextmanager
def gateway(context: Context) -> Iterator[str]:
    import uvicorn

    from zhilu.host.app import create_app

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
