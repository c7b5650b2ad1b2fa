from __future__ import annotations

import json

import pytest

from zhilu.engine.tools import ToolCallParser

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "北京"}}\n</tool_call>'


def run(pieces: list[str]) -> tuple[str, list[dict]]:
    parser, shown, calls = ToolCallParser(), "", []
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
