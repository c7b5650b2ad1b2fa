"""Anthropic's Messages API in front of a chat: what the engine is asked, and what is made of what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zhilu.errors import InputError, UnreachableError, UnsupportedError
from zhilu.wire.anthropic import MessagesDialect, anthropic_error, anthropic_page

BASE: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
TOOL = {"name": "look", "input_schema": {"type": "object"}}


def body(**wish: Any) -> dict[str, Any]:
    return MessagesDialect({**BASE, **wish}).body()


def told(dialect: MessagesDialect, *chunks: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, as data."""
    raw = dialect.begin() + b"".join(dialect.piece(chunk) for chunk in chunks) + dialect.end()
    frames = [frame.split("\n") for frame in raw.decode().strip().split("\n\n")]
    events = [json.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [f"event: {event['type']}" for event in events] == [name for name, _ in frames]
    return events


def delta(said: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said or {}, **choice}]}


def call(index: int, name: str = "", arguments: str = "", id: str | None = None) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}


def blocks_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put together as clients do; blocks do not overlap."""
    blocks: list[dict[str, Any]] = []
    is_open = False
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks) and not is_open
            blocks.append({**event["content_block"], "_json": ""})
            is_open = True
        elif event["type"] == "content_block_delta":
            assert event["index"] == len(blocks) - 1 and is_open
            for key, value in event["delta"].items():
                if key == "partial_json":
                    blocks[-1]["_json"] += value
                elif key != "type":
                    blocks[-1][key] += value
        elif event["type"] == "content_block_stop":
            is_open = False
    assert not is_open
    for block in blocks:
        text = block.pop("_json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(text)
    return blocks


def test_thoughts_text_and_calls_become_blocks_in_their_order() -> None:
    chunks = [
        delta({"role": "assistant", "content": ""}),
        delta({"reasoning_content": "2 and"}), delta({"reasoning_content": " 2"}),
        delta({"content": "I "}), delta({"content": "look."}),
        delta(call(0, "look", '{"at"', "call_1")), delta(call(0, arguments=': "x"}')),
        delta(call(1, "look", "", "bad id!")),
        delta(finish_reason="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}},
    ]  # fmt: skip
    dialect = MessagesDialect({**BASE, "stream": True, "tools": [TOOL]})
    dialect.counted(9)
    events = told(dialect, *chunks)
    assert events[0]["message"]["usage"]["input_tokens"] == 9
    thought, text, first, second = blocks_of(events)
    assert (thought["thinking"], text["text"]) == ("2 and 2", "I look.")
    assert thought["signature"]
    assert (first["id"], first["input"], second["input"]) == ("call_1", {"at": "x"}, {})
    assert second["id"].startswith("toolu_")
    ended = events[-2]
    assert ended["delta"]["stop_reason"] == "tool_use"
    assert (
        ended["usage"]["input_tokens"],
        ended["usage"]["cache_read_input_tokens"],
        ended["usage"]["output_tokens"],
    ) == (5, 4, 7)
    message = {"content": "I look.", "reasoning_content": "2 and 2"} | call(0, "look", '{"at": "x"}', "call_1")
    whole = MessagesDialect({**BASE, "tools": [TOOL]}).whole(
        {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    )
    assert whole["content"] == [thought, text, first]
    assert whole["stop_reason"] == "tool_use"


def test_an_input_that_was_cut_off_is_no_call() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 100}}
    events = told(
        MessagesDialect({**BASE, "stream": True, "tools": [TOOL]}),
        delta({"content": "So: "}), delta(call(0, "look", '{"at": "x')), delta(finish_reason="length"), usage,
    )  # fmt: skip
    (text,) = blocks_of(events)
    assert text["text"] == 'So: {"name": "look", "arguments": {"at": "x'
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    listed = told(MessagesDialect({**BASE, "stream": True}), delta(call(0, "look", "[1]")), delta(finish_reason="stop"))
    assert [block["type"] for block in blocks_of(listed)] == ["text"]  # an input is an object


@pytest.mark.parametrize(
    ("choice", "used", "reason", "sequence"),
    [
        ({"finish_reason": "stop"}, 5, "end_turn", None),
        ({"finish_reason": "stop", "stop_reason": "\n"}, 5, "stop_sequence", "\n"),
        ({"finish_reason": "stop", "stop_reason": 7}, 5, "end_turn", None),
        ({"finish_reason": "length"}, 100, "max_tokens", None),
        ({"finish_reason": "length"}, 60, "model_context_window_exceeded", None),
        ({"finish_reason": "content_filter"}, 5, "refusal", None),
        ({"finish_reason": "tool_calls"}, 5, "end_turn", None),  # it says so, and there is none
    ],
)
def test_why_it_ended(choice: dict[str, Any], used: int, reason: str, sequence: str | None) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": used}
    wish = {**BASE, "stop_sequences": ["\n", "END"]}
    whole = MessagesDialect(wish).whole({"choices": [{"message": {"content": "x"}, **choice}], "usage": usage})
    assert (whole["stop_reason"], whole["stop_sequence"]) == (reason, sequence)
    events = told(MessagesDialect(wish), delta({"content": "x"}), delta(**choice), {"choices": [], "usage": usage})
    assert (events[-2]["delta"]["stop_reason"], events[-2]["delta"]["stop_sequence"]) == (reason, sequence)


def test_who_declines_refuses() -> None:
    whole = MessagesDialect(BASE).whole(
        {"choices": [{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]}
    )
    assert (whole["content"][0]["text"], whole["stop_reason"]) == ("No.", "refusal")


def test_thoughts_may_be_left_out_of_the_answer() -> None:
    dialect = MessagesDialect({**BASE, "thinking": {"type": "adaptive", "display": "omitted"}})
    events = told(dialect, delta({"reasoning_content": "secret"}), delta({"content": "4"}), delta(finish_reason="stop"))
    thought, text = blocks_of(events)
    assert (thought["thinking"], text["text"]) == ("", "4")
    assert thought["signature"]
    assert "secret" not in json.dumps(events)


def test_an_error_in_the_stream_is_an_event_of_its_own() -> None:
    raw = MessagesDialect({**BASE, "stream": True}).broken(UnreachableError("gone"))
    name, data = raw.decode().strip().split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["type"] == "api_error"


def test_the_conversation_as_chat_messages() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    result = {"type": "tool_result", "tool_use_id": "t1"}
    turns = [
        {"role": "user", "content": "One"},
        {"role": "user", "content": [{"type": "text", "text": "Two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "old", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "Ok", "citations": None},
            ],
        },
        {"role": "user", "content": "Look"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "now", "signature": "s"},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "猫"}},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "And?"}, {**result, "content": [{"type": "text", "text": "a cat"}, picture]}]},
    ]  # fmt: skip
    dialect = MessagesDialect(
        {**BASE, "system": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}], "messages": turns}
    )
    system, asked, answered, again, calls, found, shown = dialect.body()["messages"]
    assert system == {"role": "system", "content": "A\n\nB"}
    assert asked == {"role": "user", "content": "One\n\nTwo"}
    assert answered == {"role": "assistant", "content": "Ok"}  # what was thought in an earlier turn is gone
    assert again["content"] == "Look"
    assert (calls["content"], calls["reasoning_content"]) == (None, "now")
    assert json.loads(calls["tool_calls"][0]["function"]["arguments"]) == {"at": "猫"}
    assert found == {"role": "tool", "tool_call_id": "t1", "content": "a cat"}
    assert [part["type"] for part in shown["content"]] == ["image_url", "text"]  # a tool's message holds no picture
    assert dialect.own_name("messages.6.content.0.type") == "messages.5.content.1.content.1"
    assert dialect.own_name("messages.0.content") == "system.content"
    assert (
        body(messages=[{"role": "user", "content": "Go"}, {"role": "assistant", "content": ""}])["messages"][-1]["role"]
        == "user"
    )
    told = body(messages=[*turns[:5], {"role": "user", "content": [{**result, "content": "gone", "is_error": True}]}])
    assert told["messages"][-1]["content"] == "Error: gone"


def test_documents_and_search_results_are_text_and_a_pdf_a_file() -> None:
    text = {"type": "text", "media_type": "text/plain", "data": "Long ago"}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}
    found = {"type": "search_result", "source": "s.md", "title": "S", "content": [{"type": "text", "text": "hit"}]}
    documents = [{"type": "document", "title": "T", "source": text}, found, {"type": "document", "source": pdf}]
    read, file = body(messages=[{"role": "user", "content": documents}])["messages"][0]["content"]
    assert (
        read["text"] == "<document>\nT\n\nLong ago\n</document>\n\n<search_result>\nS (s.md)\n\nhit\n</search_result>"
    )
    assert file == {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}
    with pytest.raises(UnsupportedError, match="citations"):
        body(messages=[{"role": "user", "content": [{**documents[0], "citations": {"enabled": True}}]}])


def test_tools_and_their_choice() -> None:
    late = {**TOOL, "name": "late", "defer_loading": True}
    tools = [
        late,
        {**TOOL, "description": "D", "input_examples": [{"at": 1}], "type": "custom", "eager_input_streaming": True},
    ]
    asked = body(tools=tools, tool_choice={"type": "any", "disable_parallel_tool_use": True})
    (only,) = asked["tools"]
    assert only["function"]["description"] == 'D\n\nExamples of its input:\n{"at": 1}'
    assert (asked["tool_choice"], asked["parallel_tool_calls"]) == ("required", False)
    assert body(tools=[late], tool_choice={"type": "auto"}).keys() & {"tools", "tool_choice"} == set()
    turns = [
        *BASE["messages"],
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "late"}]}]},
    ]  # fmt: skip
    found = MessagesDialect({**BASE, "tools": tools, "messages": turns})
    assert [tool["function"]["name"] for tool in found.body()["tools"]] == ["late", "look"]
    assert found.own_name("tools.1.function.parameters.type") == "tools.1.input_schema.type"
    with pytest.raises(InputError, match="no results"):
        body(messages=turns[:2])


def test_system_messages_in_a_conversation_join_the_users_words() -> None:
    """Many chat templates know a system message at the beginning alone."""
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": "Hello"},
        {"role": "system", "content": "It is late.", "clear_at": "next_user_message"},
        {"role": "user", "content": "Bye"},
        {"role": "system", "content": "They leave.", "clear_at": "next_user_message"},
    ]
    told = body(system="You are kind.", messages=turns)["messages"]
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"]
    assert told[1]["content"] == "Hi\n\n<system>\nBe brief.\n</system>"
    assert told[3]["content"] == "Bye\n\n<system>\nThey leave.\n</system>"
    first = body(messages=[{"role": "system", "content": "You are kind."}, *turns[:1]])["messages"]
    assert [(message["role"], message["content"]) for message in first] == [("system", "You are kind."), ("user", "Hi")]
    assert body(messages=[*turns[:1], {"role": "system", "output_config": {"effort": "low"}}])["messages"] == [
        {"role": "user", "content": "Hi"}
    ]
    for wrong in ({"role": "user", "content": "x", "clear_at": "never"}, {"role": "user"}, {"role": "system"}):
        with pytest.raises(InputError):
            body(messages=[wrong])


def test_system_messages_offer_and_withdraw_tools() -> None:
    def names(*changes: tuple[str, str]) -> list[str]:
        blocks = [{"type": kind, "tool": {"type": "tool_reference", "name": name}} for kind, name in changes]
        turns = [*BASE["messages"], {"role": "system", "content": blocks}]
        asked = body(tools=[TOOL, {**TOOL, "name": "late", "defer_loading": True}], messages=turns)
        return [tool["function"]["name"] for tool in asked.get("tools", ())]

    assert names(("tool_addition", "late")) == ["look", "late"]
    assert names(("tool_addition", "late"), ("tool_removal", "late"), ("tool_removal", "look")) == []
    with pytest.raises(InputError):
        body(
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "x"}}],
                }
            ]
        )


def test_only_a_model_that_can_be_told_is_told_how_much_to_think() -> None:
    wish = {**BASE, "thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}

    def sent(kind: str | None, *can: str, **more: Any) -> dict[str, Any]:
        dialect = MessagesDialect({**wish, **more})
        dialect.meet(can, kind)
        return {
            name: value
            for name, value in dialect.body().items()
            if name in ("chat_template_kwargs", "reasoning_effort")
        }

    off, both = {"chat_template_kwargs": {"enable_thinking": False}}, ("template_kwargs", "reasoning_effort")
    assert sent("switch", *both) == {**off, "reasoning_effort": "high"}
    assert sent("switch", "reasoning_effort") == {"reasoning_effort": "none"}
    assert sent("always", *both) == {"reasoning_effort": "high"}
    assert sent(None, *both) == sent("switch") == {}
    assert sent("switch", *both, thinking={"type": "adaptive"}, output_config={}) == {}


def test_errors_and_pages() -> None:
    said = anthropic_error(
        {"error": {"message": "m", "code": "context_length_exceeded", "param": "prompt"}}, 400, "req-1"
    )
    assert said["error"]["message"] == "prompt is too long: m"
    assert said["request_id"] == "req-1"
    assert [anthropic_error({"error": "x"}, s)["error"]["type"] for s in (401, 403, 404, 429, 500, 503)] == [
        "authentication_error", "permission_error", "not_found_error", "rate_limit_error", "api_error", "api_error",
    ]  # fmt: skip
    entries = [{"id": name} for name in "abcde"]

    def page(**query: str) -> tuple[list[str], bool]:
        got = anthropic_page(entries, query)
        return [model["id"] for model in got["data"]], got["has_more"]

    assert page() == (["a", "b", "c", "d", "e"], False)
    assert page(limit="2") == (["a", "b"], True)
    assert page(limit="2", after_id="c") == (["d", "e"], False)
    assert page(limit="2", before_id="d") == (["b", "c"], True)
    assert page(before_id="b") == (["a"], False)
    with pytest.raises(InputError, match="nobody"):
        page(after_id="nobody")
