"""A task by plan: how far a run is stands in its messages, and nothing in a turn shows the model a call of its own to copy."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from zhilu.agents.drive import MemoryTrace, drive
from zhilu.agents.intent import only_asks
from zhilu.agents.loop import AskModel, Budget, Ending, Said, agent_loop
from zhilu.agents.plan import Planner, Standing
from zhilu.agents.sources.calculator import calculate
from zhilu.agents.sources.files import Folder
from zhilu.client import ModelClient
from zhilu.prompts import StepDone, ending_messages
from zhilu.tools import Tool, tool_from
from zhilu.tools.schema import shape_of


def price(item: str) -> str:
    """The price of an item.

    Args:
        item: what it is called.
    """
    if item != "pen":
        raise KeyError(item)
    return "7"


def note(text: str) -> str:
    """Note a text."""
    return f"noted {text}"


TOOLS: dict[str, Tool] = {"price": tool_from(price), "note": tool_from(note)}
PLAN: dict[str, Any] = {"plan": [{"tool": "price", "aim": "what a pen costs"}, {"tool": "note", "aim": "note it"}]}


def run(
    *turns: dict[str, Any],
    task: str = "Note what a pen costs.",
    trace: MemoryTrace | None = None,
    tools: dict[str, Tool] = TOOLS,
) -> tuple[Ending, list[dict[str, Any]]]:
    """The real loop and the real asker; the server says ``turns`` one after another."""
    asked: list[dict[str, Any]] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        message = {"role": "assistant", "content": json.dumps(turns[len(asked) - 1], ensure_ascii=False)}
        return httpx.Response(
            200, json={"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"total_tokens": 3}}
        )

    async def go() -> Ending:
        async with ModelClient("http://127.0.0.1:1", transport=httpx.MockTransport(serve)) as client:
            planner = Planner(client, "m", tools)
            return await drive(
                agent_loop(task, tools, Budget(steps=9)), planner.take_turn, tools, trace or MemoryTrace()
            )

    return asyncio.run(go()), asked


def last_words(asked: Sequence[dict[str, Any]], turn: int) -> str:
    return str(asked[turn]["messages"][-1]["content"])


def test_a_plan_is_worked_through_and_ends_in_an_answer() -> None:
    ending, asked = run(PLAN, {"item": "pen"}, {"text": "7"}, {"answer": "noted: 7"})
    assert (ending.stop, ending.answer, ending.steps) == ("answered", "noted: 7", 4)
    assert "Next step: call price (what a pen costs)." in last_words(asked, 1)
    assert "- item: what it is called" in last_words(asked, 1)
    assert '1. price(item="pen") → 7' in last_words(asked, 2) and "call note (note it)" in last_words(asked, 2)
    assert all(message["role"] != "assistant" for body in asked for message in body["messages"])


def test_a_step_that_fails_twice_ends_its_plan() -> None:
    """What comes after it would be written from what is not there."""
    again = {"plan": [{"tool": "note", "aim": "that it is not known"}]}
    ending, asked = run(PLAN, {"item": "cup"}, {"item": "mug"}, again, {"text": "unknown"}, {"answer": "not known"})
    assert (asked[1]["temperature"], asked[2]["temperature"]) == (0.0, 0.7)  # the same words would fail the same way
    assert "The last call failed" in last_words(asked, 2) and "call price" in last_words(asked, 2)
    assert "Is all of the task done?" in last_words(asked, 3) and last_words(asked, 3).count("FAILED") == 2
    assert "call note (that it is not known)" in last_words(asked, 4)
    assert ending.answer == "not known"


def test_an_expression_is_held_to_numbers() -> None:
    """The name of a number in place of the number is what small models write most."""
    shape = shape_of(tool_from(calculate).facts.parameters)["properties"]["expression"]
    held = shape["pattern"]
    assert re.fullmatch(held, "round((6.5 + 4.2) * 19%, 2)") and re.fullmatch(held, "sqrt(2)")
    assert not any(re.fullmatch(held, text) for text in ("price * 2", "sum(mine)", "piesum(137, 46)", "e"))


def test_where_to_read_on_is_asked_of_a_further_call_only(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    tools: dict[str, Tool] = {"read_file": tool_from(Folder(tmp_path).read_file)}
    plan = {"plan": [{"tool": "read_file", "aim": "a"}, {"tool": "read_file", "aim": "on"}]}
    turns: list[dict[str, Any]] = [plan, {"path": "a.txt"}, {"path": "a.txt", "start_line": 2}, {"answer": "two"}]
    _, asked = run(*turns, tools=tools)
    shapes = [body["response_format"]["json_schema"]["schema"] for body in asked]
    assert list(shapes[1]["properties"]) == ["path"] and "start_line" not in last_words(asked, 1)
    assert list(shapes[2]["properties"]) == ["path", "start_line", "num_lines"]


@pytest.mark.parametrize("pattern", [r"\d+", "^(?=a)b$", "a+", "^" + "a" * 400 + "$", 3])
def test_a_pattern_that_some_grammar_cannot_hold_is_left_to_the_check(pattern: Any) -> None:
    assert "pattern" not in shape_of({"type": "string", "pattern": pattern})


def test_plans_come_to_an_end() -> None:
    more: list[dict[str, Any]] = [
        {"plan": [{"tool": "note", "aim": "once more"}]},
        {"text": "a"},
        {"plan": [{"tool": "note", "aim": "and again"}]},
        {"text": "b"},
    ]
    ending, asked = run(PLAN, {"item": "pen"}, {"text": "7"}, *more, {"answer": "done"})
    assert ending.answer == "done"
    assert list(asked[-1]["response_format"]["json_schema"]["schema"]["properties"]) == ["answer"]


def test_no_tool_is_needed_for_an_answer_at_once() -> None:
    ending, asked = run({"answer": "你好！"}, task="你好")
    assert (ending.answer, len(asked)) == ("你好！", 1)
    assert "工具，每行一个" in asked[0]["messages"][0]["content"]


@pytest.mark.parametrize("kept", range(1, 6))
def test_a_run_goes_on_from_any_moment(kept: int) -> None:
    """What is in the trace is not asked again, and what comes after is asked as it would have been."""
    whole = MemoryTrace()
    turns: list[dict[str, Any]] = [PLAN, {"item": "pen"}, {"text": "7"}, {"answer": "noted: 7"}]
    _, asked = run(*turns, trace=whole)
    part = MemoryTrace()
    for entry in whole.entries()[:kept]:
        part.add(entry.seq, entry.kind, entry.asked, entry.came)
    models = sum(entry.kind == "model" for entry in part.entries())
    ending, later = run(*turns[models:], trace=part)
    assert ending.answer == "noted: 7"
    assert [body["messages"] for body in later] == [body["messages"] for body in asked[models:]]


def test_a_run_from_before_there_were_plans_goes_on_with_what_it_did() -> None:
    call = {"id": "1.1", "type": "function", "function": {"name": "price", "arguments": '{"item": "pen"}'}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "role"},
        {"role": "user", "content": "task"},
        {"role": "assistant", "content": None, "thought": "t", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1.1", "name": "price", "content": "7"},
    ]
    now = Standing.of(messages)
    assert [(step.name, step.arguments, step.result) for step in now.done] == [("price", {"item": "pen"}, "7")]
    assert (now.plan, now.plans) == ([], 0)

    def serve(request: httpx.Request) -> httpx.Response:
        said = json.loads(request.content)["messages"][-1]["content"]
        answer = {"answer": "7" if 'price(item="pen") → 7' in said else "?"}
        return httpx.Response(
            200, json={"choices": [{"message": {"content": json.dumps(answer)}, "finish_reason": "stop"}]}
        )

    async def go() -> str:
        async with ModelClient("http://127.0.0.1:1", transport=httpx.MockTransport(serve)) as client:
            return (await Planner(client, "m", TOOLS).take_turn(AskModel(2, messages))).text

    assert asyncio.run(go()) == "7"


def test_an_answer_with_a_number_that_nobody_said_is_sent_back_once() -> None:
    plan = {"plan": [{"tool": "price", "aim": "what a pen costs"}]}
    ending, asked = run(plan, {"item": "pen"}, {"answer": "It costs 9."}, {"answer": "It costs 7."}, task="A pen?")
    assert (ending.answer, ending.unfounded) == ("It costs 7.", [])
    assert "9: this stands in no result" in last_words(asked, 3)
    ending, asked = run(plan, {"item": "pen"}, {"answer": "It costs 9."}, {"answer": "No, 8."}, task="A pen?")
    assert (ending.answer, ending.unfounded, len(asked)) == ("No, 8.", ["8"], 4)


def test_an_answer_may_be_worked_out_after_all() -> None:
    tools: dict[str, Tool] = {**TOOLS, "calculator": tool_from(calculate, name="calculator")}
    more = {"plan": [{"tool": "calculator", "aim": "seven pens"}]}
    ending, _ = run(
        {"plan": [PLAN["plan"][0]]}, {"item": "pen"}, {"answer": "49"}, more, {"expression": "7*7"}, {"answer": "49"},
        task="What do 7 pens cost?", tools=tools,
    )  # fmt: skip
    assert (ending.stop, ending.answer, ending.unfounded, ending.steps) == ("answered", "49", [], 6)


def test_arguments_with_a_number_of_their_own_are_asked_for_again() -> None:
    ending, asked = run(PLAN, {"item": "pen"}, {"text": "17 euros"}, {"text": "7 euros"}, {"answer": "noted: 7"})
    assert "neither in the task nor in the results" in last_words(asked, 3) and "17" in last_words(asked, 3)
    assert "17" not in str(ending.messages) and ending.answer == "noted: 7"


def test_a_brace_is_no_answer() -> None:
    plan = {"plan": [PLAN["plan"][0]]}
    ending, asked = run(plan, {"item": "pen"}, {"answer": "}"}, {"answer": "7"}, task="A pen?")
    assert ending.answer == "7" and asked[3]["temperature"] > 0
    assert run(plan, {"item": "pen"}, {"answer": "}"}, {"answer": "…"}, task="A pen?")[0].answer == "7"


def test_a_question_changes_nothing_at_first() -> None:
    tools: dict[str, Tool] = {**TOOLS, "note": tool_from(note, effect="write")}
    _, asked = run(PLAN, {"item": "pen"}, {"answer": "7"}, task="What does a pen cost?", tools=tools)
    assert len(asked) == 3  # the note was left out
    only = {"plan": [PLAN["plan"][1]]}
    ending, _ = run(only, {"text": "x"}, {"answer": "done"}, task="Who is there?", tools=tools)
    assert ending.steps == 3  # nothing else was planned


@pytest.mark.parametrize(
    ("task", "asks"),
    [
        ("预算.txt 里桌子和椅子一共要花多少钱？", True),
        ("How many orders are open?", True),
        ("Which desk does Mei sit at?", True),
        ("能把这句话写进 a.txt 吗？", False),
        ("Can you add milk to the list?", False),
        ("Note what a pen costs.", False),
        ("把刘洋的订单状态改成 paid。", False),
        ("What is the sum? Write it into total.txt", False),
    ],
)
def test_what_asks_for_no_change(task: str, asks: bool) -> None:
    assert only_asks(task) is asks


def test_steps_of_a_calculation_are_one() -> None:
    tools: dict[str, Tool] = {"calculator": tool_from(calculate, name="calculator", composes=True), **TOOLS}
    steps = [{"tool": "calculator", "aim": aim} for aim in ("half of it", "take 2 away")]
    ending, asked = run(
        {"plan": [PLAN["plan"][0], *steps]}, {"item": "pen"}, {"expression": "7/2-2"}, {"answer": "1.5"},
        task="Half of the price of a pen less 2?", tools=tools,
    )  # fmt: skip
    assert "call calculator (half of it; take 2 away)" in last_words(asked, 2) and ending.answer == "1.5"


def test_what_went_wrong_is_told_in_the_language_of_the_task(tmp_path: Path) -> None:
    async def go() -> str:
        tools: dict[str, Tool] = {"read_file": tool_from(Folder(tmp_path).read_file)}
        said = iter([Said("", [("read_file", {"path": "x.txt"})]), Said("没有")])

        async def turn(_: AskModel) -> Said:
            return next(said)

        ending = await drive(agent_loop("读 x.txt", tools), turn, tools, MemoryTrace(), lang="zh")
        return str(ending.messages[-2]["content"])

    assert "没有文件" in asyncio.run(go())


def test_an_answer_is_taken_from_the_results_and_not_from_the_answer_before() -> None:
    said = [{"role": "user", "content": "What are desks?"}, {"role": "assistant", "content": "Desks are 7110 euros."}]
    opening = [{"role": "system", "content": "Be short."}, *said, {"role": "user", "content": "And with the printer?"}]
    done = [StepDone("calculator", {"expression": "7110 + 1499"}, "8609")]
    *rest, last = ending_messages(opening, [], done, "en", may_go_on=False)
    assert [m["role"] for m in rest] == ["system"] and "Desks are 7110 euros" not in str(last)
    assert "(asked before: What are desks?)" in last["content"] and "→ 8609" in last["content"]
