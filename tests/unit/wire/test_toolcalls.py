"""Calls in any dress are calls, however the text is cut into pieces; what is none stays the text that was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.wire.toolcalls import Call, CallScanner, calls_schema
from zhilu.wire.toolreplies import ToolReplies

NAMES = ("get_time", "get_weather")
ONE = '{"name": "get_time", "arguments": {"zone": "UTC"}}'
THE_CALL = [Call("get_time", '{"zone": "UTC"}')]


def scan(text: str, size: int) -> tuple[str, list[Call]]:
    scanner, shown, calls = CallScanner(NAMES), "", []
    for start in range(0, len(text), size):
        more, found = scanner.push(text[start : start + size])
        shown, calls = shown + more, calls + found
    more, found = scanner.finish()
    return shown + more, calls + found


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ONE, ""),
        (f"```json\n{ONE}\n```", ""),
        (f"```\n{ONE}\n```\n", ""),
        (f"<tool_call>\n{ONE}\n</tool_call>", ""),
        (f"<tool_call>\n{ONE}", ""),  # small models forget the mark
        (f"I look it up.\n```json\n{ONE}\n```", "I look it up.\n"),
        (f'[{{"function": {json.dumps({"name": "get_time", "arguments": json.dumps({"zone": "UTC"})})}}}]', ""),
        ('{"name": "get_time", "parameters": {"zone": "UTC"}}', ""),
        (f"{{{ONE}}}", ""),  # braces that a template escapes, copied as they are seen
        (f"```json\n{{{ONE}}}\n```", ""),
        (f"<tool_call>\n{{{ONE}}}\n</tool_call>", ""),
    ],
)
def test_a_call_is_one_in_every_dress(text: str, shown: str, size: int) -> None:
    assert scan(text, size) == (shown, THE_CALL)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        ONE[:-3],  # cut
        f"```json\n{ONE[:-3]}",
        ONE.replace("get_time", "rm_rf"),  # not offered
        '```json\n{"name": "get_time"}\n```',  # a name alone may be data
        '{"name": "get_time", "arguments": [1]}',
        '{"city": "Paris", "name": "x"}',
        '{{"city": "Paris"}}',
        "{{ name }} is a variable",
        f"```python\nprint('''{ONE}''')\n```",
        f"The call would be {ONE}.",
        "plain text with `code`, a < b and ```",
        "<tool_call> is how one writes it",
        "",
    ],
)
def test_what_is_no_call_stays_text(text: str, size: int) -> None:
    assert scan(text, size) == (text, [])


def test_marks_within_the_arguments_end_nothing() -> None:
    call = {"name": "get_time", "arguments": {"zone": "``` and </tool_call>"}}
    for text in (f"```json\n{json.dumps(call)}\n```", f"<tool_call>{json.dumps(call)}</tool_call>"):
        for size in (1, 1000):
            assert scan(text, size) == ("", [Call("get_time", json.dumps(call["arguments"]))])


@given(st.text(alphabet='`<tool_cal>/{}[]"name:, \nx', max_size=60), st.integers(1, 7))
def test_no_text_is_lost(text: str, size: int) -> None:
    shown, calls = scan(text, size)
    assert calls == [] and shown == text


def test_the_schema_leaves_only_calls() -> None:
    schema = calls_schema([{"name": "a", "parameters": {"type": "object"}}, {"name": "b"}], many=True)
    assert [kind["properties"]["name"] for kind in schema["items"]["anyOf"]] == [{"const": "a"}, {"const": "b"}]
    assert calls_schema([{"name": "a"}])["properties"]["name"] == {"const": "a"}


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def streamed(replies: ToolReplies, chunks: list[dict[str, Any]]) -> tuple[str, list[Any], list[str]]:
    sent = [choice for one in chunks for told in replies.chunk(one) for choice in told["choices"]]
    calls = [call for choice in sent for call in choice["delta"].get("tool_calls") or ()]
    return (
        "".join(choice["delta"].get("content") or "" for choice in sent),
        [(call["index"], call["function"].get("name"), call["function"]["arguments"]) for call in calls],
        [choice["finish_reason"] for choice in sent if choice["finish_reason"]],
    )


def test_a_stream_tells_a_call_in_one_piece_before_its_end() -> None:
    pieces = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": char}) for char in f"```json\n{ONE}\n```"),
    ]
    assert streamed(ToolReplies(NAMES), [*pieces, chunk({}, "stop")]) == (
        "",
        [(0, "get_time", '{"zone": "UTC"}')],
        ["tool_calls"],
    )
    assert streamed(ToolReplies(NAMES), [*pieces[:20], chunk({}, "length")])[1:] == ([], ["length"])


def test_the_engines_own_calls_are_whole_and_offered_or_text() -> None:
    def native(index: int, **function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}

    whole = [
        chunk(native(0, name="get_time", arguments="")),
        chunk(native(0, arguments='{"zone": ')),
        chunk(native(0, arguments="1}")),
    ]
    assert streamed(ToolReplies(NAMES), [*whole, chunk({}, "tool_calls")]) == (
        "",
        [(0, "get_time", '{"zone": 1}')],
        ["tool_calls"],
    )
    assert streamed(ToolReplies(NAMES), [*whole[:2], chunk({}, "length")]) == (
        '{"name": "get_time", "arguments": {"zone": ',
        [],
        ["length"],
    )
    strange = [chunk(native(0, name="rm_rf", arguments="{}")), chunk({}, "tool_calls")]
    assert streamed(ToolReplies(NAMES), strange) == ('{"name": "rm_rf", "arguments": {}}', [], ["stop"])
    two = [*whole, chunk(native(1, name="get_weather", arguments="{}")), chunk({}, "tool_calls")]
    assert [call[1] for call in streamed(ToolReplies(NAMES), two)[1]] == ["get_time", "get_weather"]
    assert [call[1] for call in streamed(ToolReplies(NAMES, max_calls=1), two)[1]] == ["get_time"]
    assert len(streamed(ToolReplies(NAMES, hold=False), two)[1]) == 4  # passed on as they came


def test_a_whole_reply_is_read_the_same_way() -> None:
    reply = {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": f"```json\n{ONE}\n```"}, "finish_reason": "stop"}
        ]
    }
    choice = ToolReplies(NAMES).whole(reply)["choices"][0]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call["id"].startswith("call_") and "index" not in call
    plain = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
    assert ToolReplies(NAMES).whole(plain) == plain
