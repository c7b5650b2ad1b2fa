"""A sub-agent: it works on a part with its own tools, is asked for under its own name, and goes on after a kill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from zhilu.agents.drive import run_agent
from zhilu.agents.journal import RunJournal
from zhilu.agents.loop import Ending
from zhilu.agents.runs import RunWish, _told
from zhilu.apps.chat.steps import steps_of
from zhilu.client import ModelClient
from zhilu.context import Context, open_context
from zhilu.errors import InputError, UnreachableError
from zhilu.tools import open_tools
from zhilu.tools.base import ToolCall, ToolFacts
from zhilu.tools.wrappers import Decision

HAND_OVER = {"plan": [{"tool": "ask_clerk", "aim": "note the milk"}]}
PART = {"task": "Write the word milk into list.txt."}
WRITE = {"plan": [{"tool": "write_file", "aim": "note it"}]}
FILE = {"path": "list.txt", "content": "milk"}
ALL = [HAND_OVER, PART, WRITE, FILE, {"answer": "milk stands in list.txt"}, {"answer": "The clerk noted it."}]


def work(
    context: Context, folder: Path, journal: RunJournal, turns: Sequence[dict[str, Any]], says: bool = True
) -> tuple[Ending, list[str], list[dict[str, Any]]]:
    """The real loops, tools and journal; the server says ``turns`` one after another, and is gone after the last."""
    sent: list[dict[str, Any]] = []
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        if len(sent) == len(turns):
            raise httpx.ConnectError("gone")
        sent.append(json.loads(request.content))
        message = {"role": "assistant", "content": json.dumps(turns[len(sent) - 1])}
        return httpx.Response(200, json={"choices": [{"message": message}], "usage": {"total_tokens": 10}})

    async def ask(facts: ToolFacts, call: ToolCall) -> Decision:
        asked.append(call.name)
        assert facts.name == call.name
        journal.ask(facts, call)
        journal.decide(call.id, Decision(says))
        decision = journal.decision(call)
        assert decision is not None
        return decision

    async def go() -> Ending:
        async with (
            open_tools(context, [f"agent:clerk 'files:{folder}' calculator"]) as tools,
            ModelClient("http://127.0.0.1:1", transport=httpx.MockTransport(serve)) as client,
        ):
            return await run_agent(
                "Have milk noted.", tools, client=client, model="m", ask=ask, trace=journal, journal=journal
            )

    return asyncio.run(go()), asked, sent


@pytest.fixture
def context() -> Any:
    context = open_context()
    yield context
    context.close()


def test_a_part_is_handed_over_and_asked_for_under_its_own_name(context: Context, tmp_path: Path) -> None:
    journal = RunJournal(tmp_path / "journal.db")
    ending, asked, sent = work(context, tmp_path, journal, ALL)
    assert (ending.stop, ending.answer, ending.tokens) == ("answered", "The clerk noted it.", 60)
    assert (tmp_path / "list.txt").read_text() == "milk" and asked == ["clerk_write_file"]
    # It sees its part and nothing else of the task; the other sees what came of it.
    assert "Have milk noted" not in json.dumps(sent[2]) and "milk stands in list.txt" in json.dumps(sent[5])
    within = journal.within()
    assert [entry.kind for entry in within["2.1"]] == ["model", "model", "tool", "model"]
    steps = steps_of(journal.entries(), journal.told(), set(), journal.decided(), within)
    assert [(s.id, s.name) for s in steps if s.kind == "call"] == [
        ("2.1", "ask_clerk"),
        ("2.1~2.1", "write_file"),
    ]
    assert steps[-1].effect == "write"


def test_what_it_may_not_do_it_tells(context: Context, tmp_path: Path) -> None:
    journal = RunJournal(tmp_path / "journal.db")
    again = [FILE, {"answer": "It was not allowed."}, {"answer": "Not noted."}]
    ending, asked, sent = work(context, tmp_path, journal, [*ALL[:4], *again], says=False)
    assert not (tmp_path / "list.txt").exists() and ending.answer == "Not noted." and set(asked) == {"clerk_write_file"}
    assert "It was not allowed." in json.dumps(sent[-1])


@pytest.mark.parametrize("turns", range(1, 6))
def test_it_goes_on_where_it_was_and_writes_once(turns: int, context: Context, tmp_path: Path) -> None:
    journal = RunJournal(tmp_path / "journal.db")
    with pytest.raises(UnreachableError):
        work(context, tmp_path, journal, ALL[:turns])
    if (tmp_path / "list.txt").exists():
        (tmp_path / "list.txt").write_text("seen")  # a second write would be seen
    ending, _, sent = work(context, tmp_path, RunJournal(tmp_path / "journal.db"), ALL[turns:])
    assert ending.answer == "The clerk noted it." and len(sent) == 6 - turns and ending.tokens == 60
    assert (tmp_path / "list.txt").read_text() == ("seen" if turns > 3 else "milk")


def test_a_replay_takes_over_what_the_sub_agent_did(context: Context, tmp_path: Path) -> None:
    journal, replay = RunJournal(tmp_path / "journal.db"), RunJournal(tmp_path / "replay.db")
    work(context, tmp_path, journal, ALL)
    replay.copy_from(journal, before=4)
    assert [len(steps) for steps in replay.within().values()] == [4]
    ending, asked, _ = work(context, tmp_path, replay, [{"answer": "Said anew."}])
    assert ending.answer == "Said anew." and asked == []


@pytest.mark.parametrize(
    "name",
    ["agent:clerk", "agent:Two-Words calculator", "agent:a 'agent:b calculator'", "agent:write_file calculator"],
)
def test_what_is_no_sub_agent(name: str, context: Context) -> None:
    async def go() -> None:
        async with open_tools(context, [name]):
            pass

    with pytest.raises(InputError):
        asyncio.run(go())


def test_the_folders_of_its_tools_are_those_of_who_named_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = RunWish(task="x", tools=["agent:clerk files:notes calculator"]).tools[0]
    assert _told(named) == f"agent:clerk files:{tmp_path / 'notes'} calculator"
