"""The Responses API, told as a chat completion and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zhilu.errors import InputError, UnreachableError
from zhilu.wire.responses import ResponsesDialect

CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
USED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}}

SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def events(raw: bytes) -> list[dict[str, Any]]:
    out = []
    for block in raw.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        out.append(event)
    return out


def test_the_conversation_becomes_messages() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "1+"}, {"type": "input_text", "text": "2?"}]},
        {"type": "message", "role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "3"},
    ]
    body = ResponsesDialect({"model": "m", "input": items, "instructions": "Be brief."}).body()
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert body["messages"][1]["content"] == "1+2?"
    assert [call["id"] for call in body["messages"][2]["tool_calls"]] == ["call_1", "call_2"]
    assert body["messages"][3] == {"role": "tool", "tool_call_id": "call_1", "content": "3"}


def test_wishes_keep_their_meaning() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    body = ResponsesDialect(
        {
            "model": "m",
            "input": "hi",
            "max_output_tokens": 7,
            "temperature": 0,
            "top_logprobs": 2,
            "text": {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}},
            "tools": [{"type": "function", "name": "add", "parameters": schema}],
            "tool_choice": {"type": "function", "name": "add"},
            "stream": True,
        }
    ).body()
    assert body["max_completion_tokens"] == 7
    assert body["response_format"]["json_schema"] == {"name": "x", "schema": schema, "strict": True}
    assert body["tools"][0] == {"type": "function", "function": {"name": "add", "parameters": schema}}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert body["stream_options"] == {"include_usage": True}


def test_what_vllm_takes_beside_it_reaches_the_chat() -> None:
    extras = {"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.2, "seed": 42, "stop": ["x"], "cache_salt": "s"}
    body = ResponsesDialect({"model": "m", "input": "hi", "reasoning": {"effort": "none"}, **extras}).body()
    assert extras.items() <= body.items()


def test_reasoning_that_says_nothing_is_left_out_of_the_history() -> None:
    empty = {"type": "reasoning", "id": "rs_1", "status": "completed", "summary": [], "encrypted_content": None}
    items = [{"role": "assistant", "content": "a"}, empty, {"role": "user", "content": "b"}]
    messages = ResponsesDialect({"model": "m", "input": items}).body()["messages"]
    assert [message["content"] for message in messages] == ["a", "b"]


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input.0.content.0.file_id",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_hologram"}]}]}, "input.0.content.0.type"),
        ({"include": ["reasoning.encrypted_content"]}, "include"),
        ({"tools": [SEARCH, SEARCH]}, "tools.1"),
        ({"tools": [{"type": "file_search"}]}, "tools.0.vector_store_ids"),
        ({"tools": [{**SEARCH, "colour": 1}]}, "tools.0.colour"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"input": [{"type": "reasoning", "summary": [], "content": [{"text": "hm"}]}]}, "input.0.type"),
        ({"input": []}, "input"),
        ({"inpt": "x"}, "inpt"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ],
)
def test_what_needs_a_memory_or_is_unknown_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    with pytest.raises(InputError) as caught:
        ResponsesDialect({"model": "m", "input": "hi", **extra})
    assert caught.value.param == param
    assert param.split(".")[0] in caught.value.message.en


def test_what_asks_for_nothing_is_accepted() -> None:
    ResponsesDialect({"model": "m", "input": "hi", "store": False, "truncation": "disabled", "metadata": {"a": "b"}})


def test_a_whole_reply() -> None:
    dialect = ResponsesDialect({"model": "m", "input": "hi"})
    message = {"role": "assistant", "content": "Hello", "tool_calls": [CALL]}
    reply = dialect.whole({"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": USED})
    assert (reply["status"], reply["object"], reply["store"]) == ("completed", "response", False)
    text, call = reply["output"]
    assert text["content"][0]["text"] == "Hello"
    assert (call["type"], call["call_id"], call["arguments"]) == ("function_call", "call_1", '{"a":1}')
    assert reply["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }


def test_an_answer_that_was_cut_is_incomplete() -> None:
    dialect = ResponsesDialect({"model": "m", "input": "hi"})
    reply = dialect.whole({"choices": [{"message": {"content": "He"}, "finish_reason": "length"}], "usage": USED})
    assert reply["status"] == "incomplete"
    assert reply["incomplete_details"] == {"reason": "max_output_tokens"}
    assert reply["output"][0]["status"] == "incomplete"


def test_a_stream_has_the_official_events_in_order() -> None:
    dialect = ResponsesDialect({"model": "m", "input": "hi", "stream": True})
    raw = dialect.begin()
    raw += dialect.piece(chunk({"role": "assistant", "content": ""}))
    raw += dialect.piece(chunk({"content": "Hel"})) + dialect.piece(chunk({"content": "lo"}))
    raw += dialect.piece(
        chunk({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "add", "arguments": '{"a"'}}]})
    )
    raw += dialect.piece(chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}))
    raw += dialect.piece(chunk({}, "tool_calls")) + dialect.piece({"choices": [], "usage": USED})
    seen = events(raw + dialect.end())
    assert [event["type"].removeprefix("response.") for event in seen] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert seen[6]["text"] == "Hello"
    assert (seen[12]["arguments"], seen[12]["output_index"]) == ('{"a":1}', 1)
    last = seen[-1]["response"]
    assert last["usage"]["total_tokens"] == 5
    assert [item["type"] for item in last["output"]] == ["message", "function_call"]
    assert seen[0]["response"]["output"] == []


def test_a_stream_that_breaks_says_so() -> None:
    dialect = ResponsesDialect({"model": "m", "input": "hi", "stream": True})
    dialect.begin()
    (event,) = events(dialect.broken(UnreachableError("gone", code="engine_lost")))
    assert (event["type"], event["response"]["status"]) == ("response.failed", "failed")
    assert "gone" in event["response"]["error"]["message"]


def test_pictures_refusals_and_the_effort_become_those_of_a_chat() -> None:
    items = [
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "Why?"},
    ]
    body = ResponsesDialect({"input": items, "reasoning": {"effort": "high"}, "chat_template_kwargs": {"a": 1}}).body()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}
    assert [message["content"] for message in body["messages"]] == [[picture], "No.", "Why?"]
    assert body["reasoning_effort"] == "high" and body["chat_template_kwargs"] == {"a": 1}


def test_errors_about_the_chat_name_the_fields_of_this_api() -> None:
    items = [
        {"type": "reasoning"},
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "3"},
    ]
    dialect = ResponsesDialect({"input": items, "instructions": "Be brief."})
    named = {
        "messages": "input",
        "messages.0.content": "instructions",
        "messages.1.content.0.type": "input.1.content.0.type",
        "messages.2": "input.2",
        "messages.3.content": "input.3.content",
        "tools.0.function.name": "tools.0.name",
        "max_completion_tokens": "max_output_tokens",
        "response_format": "text.format",
        "seed": "seed",
    }
    assert {param: dialect.own_name(param) for param in named} == named


def test_a_file_search_comes_before_the_answer_and_its_citations_are_told() -> None:
    history = [
        {"role": "user", "content": "Hello"},
        {"type": "file_search_call", "id": "fs_1", "queries": ["Hello"], "results": None},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": [{"type": "input_text", "text": "How long?"}]},
    ]
    wish = {"model": "m", "input": history, "tools": [SEARCH], "tool_choice": {"type": "file_search"}, "stream": True}
    dialect = ResponsesDialect({**wish, "include": ["file_search_call.results"]})
    assert dialect.file_search is not None and dialect.question == "How long?"
    found = [{"file_id": "file-1", "filename": "a.md", "text": "Ten days.", "score": 0.9, "attributes": {}}]
    dialect.take_found(found, "[1] Ten days.\n\nHow long?")
    body = dialect.body()
    assert [m["content"] for m in body["messages"]] == ["Hello", "Hi", "[1] Ten days.\n\nHow long?"]
    assert "tools" not in body and "tool_choice" not in body

    told = events(dialect.begin() + dialect.piece(chunk({"content": "Ten [1], not [7]."}, "stop")) + dialect.end())
    kinds = [e["type"] for e in told]
    assert kinds[2:7] == [
        "response.output_item.added", "response.file_search_call.in_progress", "response.file_search_call.searching",
        "response.file_search_call.completed", "response.output_item.done",
    ]  # fmt: skip
    search, message = told[-1]["response"]["output"]
    assert search["queries"] == ["How long?"] and search["results"] == found and search["status"] == "completed"
    cited = {"type": "file_citation", "file_id": "file-1", "filename": "a.md", "index": 4}
    assert message["content"][0]["annotations"] == [cited]
    assert [e["annotation"] for e in told if e["type"] == "response.output_text.annotation.added"] == [cited]
    assert [e["sequence_number"] for e in told] == list(range(len(told)))
