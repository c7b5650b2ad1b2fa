"""Ollama's API, told as chat completions and back."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from zhilu.errors import InputError, UnreachableError
from zhilu.wire.ollama import OllamaChat, OllamaGenerate, ollama_error
from zhilu.wire.ollama.store import human_number, read_context, write_context

USER = {"role": "user", "content": "hi"}
USED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chat(**extra: Any) -> OllamaChat:
    return OllamaChat({"model": "m:latest", "messages": [USER], **extra})


# The engine always streams: only so the reading of the prompt is told from the writing of the answer.
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def test_options_are_mapped_by_name() -> None:
    options = {
        "temperature": 0,
        "num_predict": 9,
        "repeat_penalty": 1.1,
        "seed": 4,
        "stop": ["x"],
        "top_k": 5,
        "num_ctx": 64,
    }
    dialect = chat(options=options, stream=False)
    assert (dialect.model, dialect.num_ctx) == ("m", 64)
    assert dialect.body() == {
        "messages": [USER],
        "temperature": 0,
        "max_tokens": 9,
        "repetition_penalty": 1.1,
        "seed": 4,
        "stop": ["x"],
        "top_k": 5,
        **STREAMED,
    }


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"options": {"temprature": 1}}, "options.temprature"),
        ({"options": {"mirostat": 2}}, "options.mirostat"),
        ({"options": {"num_gpu": 1}}, "options.num_gpu"),
        ({"options": {"num_predict": 0}}, "options.num_predict"),
        ({"think": True}, "think"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"mesages": []}, "mesages"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(extra: dict[str, Any], param: str) -> None:
    with pytest.raises(InputError) as caught:
        chat(**extra)
    assert caught.value.param == param


@pytest.mark.parametrize("name", ["suffix", "template"])
def test_generate_refuses_what_it_cannot_do(name: str) -> None:
    with pytest.raises(InputError) as caught:
        OllamaGenerate({"model": "m", "prompt": "hi", name: "x"})
    assert caught.value.param == name


def test_formats() -> None:
    schema = {"type": "object"}
    assert chat(format="json").body()["response_format"] == {"type": "json_object"}
    assert chat(format=schema).body()["response_format"]["json_schema"]["schema"] == schema
    assert "response_format" not in chat(format="").body()


def test_calls_and_results_get_ids_that_belong_together() -> None:
    messages = [
        USER,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": n, "arguments": {"x": 1}}} for n in "ab"],
        },
        {"role": "tool", "tool_name": "b", "content": "2"},
        {"role": "tool", "content": "1"},
    ]
    body = OllamaChat({"model": "m", "messages": messages}).body()
    ids = {call["function"]["name"]: call["id"] for call in body["messages"][1]["tool_calls"]}
    assert [message["tool_call_id"] for message in body["messages"][2:]] == [ids["b"], ids["a"]]
    assert json.loads(body["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"x": 1}


def test_a_whole_reply_with_a_call() -> None:
    dialect = chat(stream=False)
    dialect.body()
    call = {"id": "call_9", "function": {"name": "add", "arguments": '{"a": 1}'}}
    message = {"content": None, "tool_calls": [call]}
    reply = dialect.whole({"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": USED})
    assert reply["message"]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert (reply["done"], reply["done_reason"], reply["model"]) == (True, "stop", "m:latest")
    assert (reply["prompt_eval_count"], reply["eval_count"]) == (3, 2)
    assert reply["total_duration"] >= reply["eval_duration"] >= 0


def test_a_stream_is_lines_of_json() -> None:
    dialect = chat()
    assert dialect.body()["stream_options"] == {"include_usage": True}
    raw = dialect.begin()
    for delta, finish in (({"content": ""}, None), ({"content": "a"}, None), ({"content": "b"}, None), ({}, "length")):
        raw += dialect.piece({"choices": [{"delta": delta, "finish_reason": finish}]})
    raw += dialect.piece({"choices": [], "usage": USED}) + dialect.end()
    lines = [json.loads(line) for line in raw.splitlines()]
    assert [line["message"]["content"] for line in lines] == ["a", "b", ""]
    assert [line["done"] for line in lines] == [False, False, True]
    assert (lines[-1]["done_reason"], lines[-1]["eval_count"]) == ("length", 2)


def test_pieces_of_a_call_are_put_together() -> None:
    dialect = chat()
    pieces = [
        {"index": 0, "id": "c", "function": {"name": "add", "arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    ]
    raw = b"".join(dialect.piece({"choices": [{"delta": {"tool_calls": [piece]}}]}) for piece in pieces)
    assert raw == b""
    line = json.loads(dialect.piece({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}))
    assert line["message"]["tool_calls"][0]["function"] == {"index": 0, "name": "add", "arguments": {"a": 1}}


def test_raw_is_a_completion() -> None:
    dialect = OllamaGenerate({"model": "m", "prompt": "x", "raw": True, "stream": False, "options": {"num_predict": 3}})
    assert dialect.endpoint == "/v1/completions"
    assert dialect.body() == {"prompt": "x", "max_tokens": 3, **STREAMED}
    reply = dialect.whole({"choices": [{"text": "yz", "finish_reason": "stop"}], "usage": USED})
    assert reply["response"] == "yz"


def test_nothing_to_say_loads_or_unloads() -> None:
    assert OllamaGenerate({"model": "m"}).is_load_only
    assert OllamaGenerate({"model": "m"}).loaded()["done_reason"] == "load"
    unload = OllamaChat({"model": "m", "messages": [], "keep_alive": 0})
    assert unload.unloads and unload.loaded()["done_reason"] == "unload"


def test_errors_are_one_sentence() -> None:
    assert ollama_error({"error": {"message": "no such model", "code": "x"}}) == {"error": "no such model"}
    assert json.loads(chat().broken(UnreachableError("gone"))) == {"error": "gone"}


@pytest.mark.parametrize("text", ["", "plain", "北京🙂\n\x00", "x" * 100_000])
def test_a_context_is_the_conversation(text: str) -> None:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
    context = write_context(messages)
    assert all(isinstance(number, int) and 0 <= number < 256 for number in context)
    assert read_context(context) == messages
    dialect = OllamaGenerate({"model": "m", "prompt": "more", "system": "s", "context": context})
    asked = dialect.body()["messages"]
    assert asked == [{"role": "system", "content": "s"}, *messages, {"role": "user", "content": "more"}]


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "bomb", "shape"])
def test_a_context_that_was_not_made_here_is_refused(damage: str) -> None:
    context = write_context([{"role": "user", "content": "hello"}])
    made = {
        "cut": context[:-3],
        "changed": [*context[:5], 7, *context[6:]],
        "foreign": [151644, 872, 198],
        "bomb": list(b"zh1" + zlib.compress(b"[" + b" " * 20_000_000 + b"]")),
        "shape": list(b"zh1" + zlib.compress(b'[{"role": "user", "content": ["x"]}]')),
    }[damage]
    with pytest.raises(InputError) as caught:
        read_context(made)
    assert caught.value.param == "context"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (1_000, "1K"),
        (9_700_000, "9.70M"),
        (494_030_000, "494.03M"),
        (1_543_714_304, "1.5B"),
        (7 * 10**9, "7B"),
    ],
)
def test_numbers_are_written_as_ollama_does(count: int, text: str) -> None:
    assert human_number(count) == text


PNG = "iVBORw0KGgoAAAANSUhEUg=="


def test_pictures_are_parts_of_what_the_user_says() -> None:
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    dialect = chat(messages=[USER, {**USER, "images": [PNG]}])
    assert dialect.body()["messages"] == [USER, {"role": "user", "content": [shown, {"type": "text", "text": "hi"}]}]
    assert dialect.own_name("messages.1.content.0.type") == "messages.1.images"
    generate = OllamaGenerate({"model": "m", "prompt": "hi", "images": [PNG]})
    assert generate.body()["messages"] == [{"role": "user", "content": [shown, {"type": "text", "text": "hi"}]}]
    assert generate.own_name("messages.0.content.0.type") == "images"
    whole = generate.whole({"choices": [{"message": {"content": "a dot"}, "finish_reason": "stop"}]})
    assert [message["content"] for message in read_context(whole["context"])] == ["hi", "a dot"]  # it keeps no picture
    assert not OllamaGenerate({"model": "m", "images": [PNG]}).is_load_only
    for wrong in ({**USER, "images": ["aGk="]}, {"role": "system", "content": "x", "images": [PNG]}):
        with pytest.raises(InputError) as caught:
            chat(messages=[wrong]).body()
        assert caught.value.param == "messages.0.images"
