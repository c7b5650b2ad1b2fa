"""What a person told, kept for later conversations: shown, deletable, and told where the memory is at hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from zhilu.agents.cli import agent
from zhilu.agents.job import _begun
from zhilu.agents.memory import LONGEST, Memory, told_facts
from zhilu.agents.runs import RunStore, RunWish
from zhilu.apps.chat.store import ConversationStore
from zhilu.apps.chat.turn import run_turn
from zhilu.client import ModelClient
from zhilu.context import Context, open_context
from zhilu.errors import InputError, NotFoundError
from zhilu.host.app import create_app
from zhilu.jobs import JobContext
from zhilu.tools import open_tools
from zhilu.tools.base import ToolCall


@pytest.fixture
def context() -> Iterator[Context]:
    context = open_context()
    yield context
    context.close()


def test_a_fact_is_kept_once_and_can_be_forgotten(context: Context) -> None:
    memory = Memory(context)
    assert memory.facts() == []
    first = memory.keep("My  desk is\n14.")
    assert memory.keep("My desk is 14.").id == first.id and [f.text for f in memory.facts()] == ["My desk is 14."]
    for wrong in (" \n", "x" * (LONGEST + 1)):
        with pytest.raises(InputError):
            memory.keep(wrong)
    memory.forget(first.id)
    assert memory.facts() == [] and b"desk" not in (context.home.path / "agents/memory.db").read_bytes()
    with pytest.raises(NotFoundError):
        memory.forget(first.id)


def test_of_many_facts_those_are_told_that_the_question_is_about(context: Context) -> None:
    assert told_facts(context, "Where do I sit?") == ""
    memory = Memory(context)
    for number in range(40):
        memory.keep(f"Colleague {number} likes tea number {number}.")
    memory.keep("用户的工位在 14 号。")
    told = told_facts(context, "我的工位在哪里？")
    assert "14 号" in told and told.count("\n- ") < 30 and told.startswith("用户以前")


def test_the_tool_keeps_what_it_is_allowed_to(context: Context) -> None:
    async def use() -> None:
        async with open_tools(context, ["memory"]) as (tool,):
            assert tool.facts.effect == "write"
            await tool.call(ToolCall("1", tool.facts.name, {"fact": "The user is called Ines."}))

    asyncio.run(use())
    assert [(f.text, f.said_by) for f in Memory(context).facts()] == [("The user is called Ines.", "model")]


def test_a_run_is_told_only_where_memory_is_among_its_tools(context: Context) -> None:
    Memory(context).keep("The user is called Ines.")
    job = cast(JobContext, type("J", (), {"context": context}))
    store, system = RunStore(context), [{"role": "system", "content": "Be short."}]
    with_it = store.create(RunWish.model_validate({"task": "Hi", "tools": ["memory"], "history": system}), "m")
    without = store.create(RunWish(task="Hi"), "m")
    assert "Ines" in _begun(job, with_it)[0]["content"] and _begun(job, with_it)[0]["content"].startswith("Be short.")
    assert _begun(job, without) == []


class Plain:
    """A model that is asked to answer; it must never be asked which tool."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def chat_stream(self, messages: list[dict[str, Any]], **_: Any) -> AsyncIterator[dict[str, Any]]:
        self.asked = messages
        yield {"choices": [{"delta": {"content": "You sit at 14, or at 15."}, "finish_reason": "stop"}]}


def test_a_question_in_a_later_conversation_is_answered_with_it(context: Context) -> None:
    Memory(context).keep("The user's desk is number 14.")
    conversation = ConversationStore(context).create(tools=["memory"], model="m")
    model = Plain()

    async def go() -> dict[str, Any]:
        client = cast(ModelClient, model)
        events = [
            e async for e in run_turn(context, client, conversation.id, parent_id=None, content="Where do I sit?", params={})
        ]  # fmt: skip
        return events[-1].data

    done = asyncio.run(go())
    assert "number 14" in json.dumps(model.asked)
    assert "15" in done["assistant"]["notes"][0]["en"] and "14" not in done["assistant"]["notes"][0]["en"]


def test_it_is_shown_and_deleted_over_http_and_on_the_command_line(context: Context) -> None:
    app = create_app(context, only=("agents",), ephemeral=True)
    url = "/zhilu/v1/agents/memory"
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as here:
        made = here.post(url, json={"text": "I am called Ines."})
        assert made.status_code == 201 and [f["text"] for f in here.get(url).json()] == ["I am called Ines."]
        shown = CliRunner().invoke(agent, ["memory"], obj=context)
        assert "Ines" in shown.output, shown.output
        away = TestClient(app, base_url="http://127.0.0.1", client=("192.0.2.7", 50_000))
        assert away.get(url).status_code == 403
        away.close()
        assert here.delete(f"{url}/{made.json()['id']}").status_code == 204 and here.get(url).json() == []
