"""Answers with tools: what a person sees of a journal, and who may give a conversation tools."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from zhilu.agents.journal import RunJournal
from zhilu.agents.runs import RunStore, RunWish, start_run
from zhilu.apps.chat import working
from zhilu.apps.chat.share import export, import_conversations
from zhilu.apps.chat.steps import steps_of
from zhilu.apps.chat.store import ConversationStore
from zhilu.apps.chat.turn import run_turn
from zhilu.client import ModelClient
from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.tools import tool_from
from zhilu.tools.base import ToolCall, ToolFacts
from zhilu.tools.wrappers import Decision, MemoryJournal, guarded

PLAN = [{"tool": "look", "aim": "see"}, {"tool": "note", "aim": "write"}]


@pytest.fixture
def alone() -> Iterator[Context]:
    context = open_context()
    yield context
    context.close()


def said(*calls: tuple[str, dict[str, str]], plan: list[dict[str, str]] | None = None) -> dict[str, object]:
    return {"text": "", "calls": [list(call) for call in calls], "plan": plan or []}


def test_steps_are_read_from_the_journal_as_it_stands(tmp_path: Path) -> None:
    journal = RunJournal(tmp_path / "journal.db")

    def states() -> list[tuple[str, str]]:
        waiting = {one.id for one in journal.pending()}
        return [(s.id, s.state) for s in steps_of(journal.entries(), journal.told(), waiting, journal.decided())]

    journal.add(1, "model", {"step": 1}, said(plan=PLAN))
    journal.add(2, "model", {"step": 2}, said(("look", {})))
    assert states() == [("1.plan", "done"), ("2.1", "running")]
    result = {"text": "two", "data": None, "is_error": False}
    journal.add(3, "tool", {"id": "2.1", "name": "look", "arguments": {}}, {"result": result, "seconds": 0.5})
    call = ToolCall("3.1", "note", {"text": "a"})
    journal.add(4, "model", {"step": 3}, said(("note", {"text": "a"})))
    journal.ask(ToolFacts("note", "", {"type": "object"}, effect="write"), call)
    assert states()[1:] == [("2.1", "done"), ("3.1", "waiting")]
    assert journal.decide("3.1", Decision(True, "", {"text": "b"}))
    assert journal.decision(call) == Decision(True, "", {"text": "b"})
    journal.add(
        5, "tool", {"id": "3.1", "name": "note", "arguments": {"text": "a"}}, {"result": result, "seconds": 0.1}
    )
    last = steps_of(journal.entries(), journal.told(), set(), journal.decided())[-1]
    assert (last.state, last.arguments, last.changed, last.effect) == ("done", {"text": "a"}, {"text": "b"}, "write")


def test_a_call_that_a_person_changed_is_done_as_changed_and_the_model_is_told() -> None:
    done: list[str] = []

    def note(text: str) -> str:
        """Write a note.

        Args:
            text: what to write.
        """
        done.append(text)
        return "noted"

    async def instead(*_: object) -> Decision:
        return Decision(True, "", {"text": "b"})

    async def unfit(*_: object) -> Decision:
        return Decision(True, "", {"words": "b"})

    tool = tool_from(note, effect="write")
    result = asyncio.run(guarded(tool, instead, MemoryJournal()).call(ToolCall("1.1", "note", {"text": "a"})))
    assert done == ["b"] and '{"text": "b"}' in result.text and result.text.endswith("noted")
    with pytest.raises(Exception, match="words"):
        asyncio.run(guarded(tool, unfit, MemoryJournal()).call(ToolCall("1.1", "note", {"text": "a"})))
    assert done == ["b"]


def test_only_who_sits_here_gives_a_conversation_tools_that_reach_this_machine(alone: Context) -> None:
    chats = "/zhilu/v1/conversations"
    app = create_app(alone, only=("chat",))
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as here:
        mine = here.post(chats, json={"tools": ["files:/", "calculator"]}).json()
        assert mine["tools"] == ["files:/", "calculator"]
        assert here.post(chats, json={"tools": ["nothing:here"]}).status_code == 404
        away = TestClient(app, base_url="http://127.0.0.1", client=("192.0.2.7", 50_000))
        assert away.post(chats, json={"tools": ["files:/"]}).status_code == 403
        assert away.post(chats, json={"tools": ["calculator"]}).status_code == 201
        other = here.post(chats, json={}).json()["id"]
        assert away.patch(f"{chats}/{other}", json={"tools": ["code"]}).status_code == 403
        assert away.post(f"{chats}/{mine['id']}/turn", json={"content": "look"}).status_code == 403
        away.close()


def test_steps_go_with_an_export_and_come_back(alone: Context) -> None:
    store = ConversationStore(alone)
    chat = store.create(params={"temperature": 0.5})
    _, answer = store.begin_turn(chat.id, None, "note it", "m")
    step = {
        "id": "1.1",
        "name": "note",
        "arguments": {"text": "<b>"},
        "result": "noted",
        "state": "done",
        "seconds": 0.1,
    }
    store.save_answer(answer.id, content="Done.", status="complete", steps=[step], notes=[{"en": "one", "zh": "一"}])
    whole = store.get(chat.id)
    page = export([whole], "html").decode()
    assert "noted" in page and "&lt;b&gt;" in page and "<b>" not in page
    assert "note" in export([whole], "md").decode()
    taken = store.get(import_conversations(store, export([whole], "json"))[0].id)
    assert taken.messages[-1].steps == whole.messages[-1].steps and taken.params == {"temperature": 0.5}
    assert taken.tools == []  # an export from elsewhere brings no tools along


def test_stopping_while_the_run_begins_ends_the_run(
    alone: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would go on, and nobody would know of it."""
    begun, begin = threading.Event(), working.begin

    def slow(*given: Any) -> str:
        begun.set()
        time.sleep(0.3)
        return begin(*given)

    monkeypatch.setattr(working, "begin", slow)
    chat = ConversationStore(alone).create(model="none", tools=[f"files:{tmp_path}"])

    async def stop() -> None:
        async def read() -> None:
            client = cast(ModelClient, None)  # a message that names a file asks no model which tools it needs
            async for _ in run_turn(alone, client, chat.id, parent_id=None, content="Read a.txt", params={}):
                pass

        task = asyncio.create_task(read())
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(stop())
    run = RunStore(alone).list()[0]
    assert JobStore(alone).wait(run.job_id or "", timeout=30).status == "cancelled"
    assert ConversationStore(alone).get(chat.id).messages[-1].status == "stopped"


def test_a_deleted_conversation_takes_its_runs_and_their_jobs(alone: Context, tmp_path: Path) -> None:
    """The first words of a question are its job's title."""
    word = "quagmirezzq"
    with TestClient(create_app(alone, only=("chat",), ephemeral=True), base_url="http://127.0.0.1") as client:
        url = "/zhilu/v1/conversations"
        chat = client.post(url, json={"model": "none"}).json()["id"]
        store = ConversationStore(alone)
        _, answer = store.begin_turn(chat, None, f"Read {word}.txt", "none")
        said = [{"role": "user", "content": f"Read {word}.txt"}]
        run = working.begin(alone, store.get(chat), [f"files:{tmp_path}"], cast(Any, said), "none", {})
        store.save_answer(answer.id, run_id=run, status="stopped")
        working.cancel(alone, run)
        assert client.delete(f"{url}/{chat}").status_code == 204
    assert JobStore(alone).list() == [] and RunStore(alone).list() == []
    left = [p for p in alone.home.path.rglob("*") if p.is_file() and word.encode() in p.read_bytes()]
    assert left == []


def test_a_call_of_a_run_that_was_stopped_is_not_answered_any_more(alone: Context, tmp_path: Path) -> None:
    run = start_run(alone, RunWish(task="Note it", tools=[f"files:{tmp_path}"], model="none"))
    journal = RunStore(alone).journal(run.id)
    journal.ask(ToolFacts("write_file", "", {"type": "object"}, effect="write"), ToolCall("1.1", "write_file", {}))
    working.cancel(alone, run.id)
    JobStore(alone).wait(run.job_id or "", timeout=30)
    with TestClient(create_app(alone, only=("agents",), ephemeral=True), base_url="http://127.0.0.1") as client:
        said = client.post(f"/zhilu/v1/agents/runs/{run.id}/calls/1.1", json={"allowed": True})
    assert said.status_code == 409 and [one.id for one in journal.pending()] == ["1.1"]
