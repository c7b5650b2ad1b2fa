from __future__ import annotations

import json
from typing import Any

import pytest

from zhilu.engine.text.tools import ToolCallParser

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "北京"}}\n</tool_call>'


def run(pieces: list[str], **options: Any) -> tuple[str, list[dict]]:
    parser, shown, calls = ToolCallParser(**options), "", []
    for piece in pieces:
        text, new = parser.push(piece)
        shown, calls = shown + text, calls + new
    text, new = parser.finish()
    return shown + text, calls + new


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_calls_are_found_however_the_text_is_cut(size: int) -> None:
    text = f"I look.{CALL}\n{CALL}"
    shown, calls = run([text[i : i + size] for i in range(0, len(text), size)])
    assert shown == "I look."
    assert [call["function"]["name"] for call in calls] == ["weather", "weather"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "北京"}
    assert calls[0]["id"] != calls[1]["id"]


def test_text_flows_until_a_mark_may_begin() -> None:
    parser = ToolCallParser()
    assert parser.push("a <to") == ("a ", [])
    assert parser.push("day>") == ("<today>", [])


@pytest.mark.parametrize("broken", ["<tool_call>{not json}</tool_call>", "<tool_call>[1]</tool_call>", "<tool_call>{"])
def test_what_is_no_call_stays_text(broken: str) -> None:
    assert run([broken]) == (broken, [])


def test_a_forgotten_closing_mark_is_forgiven() -> None:
    shown, calls = run([CALL.removesuffix("</tool_call>")])
    assert shown == "" and len(calls) == 1


def joined(deltas: list[dict]) -> list[tuple[str, str]]:
    """Name and arguments of each call; a name comes once, and before any arguments."""
    calls: list[tuple[str, str]] = []
    for delta in deltas:
        if "id" in delta:
            assert delta["index"] == len(calls) and delta["type"] == "function"
            calls.append((delta["function"]["name"], delta["function"]["arguments"]))
        else:
            name, arguments = calls[-1]
            assert delta["index"] == len(calls) - 1 and set(delta["function"]) == {"arguments"}
            calls[-1] = (name, arguments + delta["function"]["arguments"])
    return calls


NESTED = '{"a": {"b": [1, "}</tool_call>\\"", {}]}, "c": "{"}'


@pytest.mark.parametrize("size", [1, 2, 5, 17, 1000])
def test_a_call_with_braces_and_marks_in_its_texts_is_told_whole(size: int) -> None:
    text = f'Well.{CALL}\n<tool_call>\n{{"name": "deep", "arguments": {NESTED}}}\n</tool_call>\nDone'
    shown, deltas = run([text[i : i + size] for i in range(0, len(text), size)])
    assert shown == "Well.Done"
    calls = joined(deltas)
    assert [name for name, _ in calls] == ["weather", "deep"]
    assert [json.loads(arguments) for _, arguments in calls] == [{"city": "北京"}, json.loads(NESTED)]


@pytest.mark.parametrize("length", range(1, len(CALL) - len("</tool_call>")))
def test_a_call_that_is_cut_stays_text_and_half_of_it_is_never_told(length: int) -> None:
    """Until its JSON is whole: a forgotten closing mark is forgiven."""
    shown, calls = run(list(CALL[:length]))
    whole = length >= len(CALL) - len("\n</tool_call>")
    assert (shown, len(calls)) == (("", 1) if whole else (CALL[:length], 0))


def test_a_tool_that_was_not_offered_is_not_called() -> None:
    other = CALL.replace("weather", "launch_missiles")
    shown, calls = run(list(f"{CALL}{other}{CALL}"), names=["weather"])
    assert [call["function"]["name"] for call in calls] == ["weather", "weather"] and shown == other


def test_one_call_at_most_where_no_more_are_wanted() -> None:
    text = f"{CALL}\n{CALL}\n{CALL}"
    shown, deltas = run(list(text), max_calls=1)
    assert shown == "" and len(joined(deltas)) == 1


@pytest.mark.parametrize(
    "call",
    [
        '{"arguments": {"x": 1}, "name": "f"}',
        '{"name": "f", "parameters": {"x": 1}}',
        '{"name": "f", "arguments": "{}"}',
    ],
)
def test_other_spellings_are_understood_as_well(call: str) -> None:
    ((name, arguments),) = joined(run(list(f"<tool_call>{call}</tool_call>"))[1])
    assert name == "f" and isinstance(json.loads(arguments), dict)
