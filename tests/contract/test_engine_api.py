"""The engine's API with the official client and the embedded model: shapes as OpenAI's and vLLM's tests expect them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from tests.contract.engine_server import run_engine

from zhilu.models.shipped import NANO

MODEL = "zhilu-nano"
USER: Any = [{"role": "system", "content": "you are helpful"}, {"role": "user", "content": "北京今天天气怎么样？"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
NAMED: Any = {"type": "function", "function": {"name": "get_weather"}}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "skills": {"type": "array", "items": {"type": "string", "maxLength": 10}, "minItems": 1, "maxItems": 3},
        "grade": {"type": "string", "pattern": "^[A-D]$"},
    },
    "required": ["name", "age", "skills", "grade"],
    "additionalProperties": False,
}
IP = r"((25[0-5]|(2[0-4]|1\d|[1-9]|)\d)\.){3}(25[0-5]|(2[0-4]|1\d|[1-9]|)\d)"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with run_engine(NANO, MODEL) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=180) as client:
        yield client


def chat(client: openai.OpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(**{"model": MODEL, "messages": USER, "max_tokens": 200, **fields})


# -- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}},
        {"extra_body": {"structured_outputs": {"json": PERSON}}},
        {"extra_body": {"guided_json": json.dumps(PERSON)}},
    ],
)
@pytest.mark.parametrize("temperature", [0, 1])
def test_a_schema_is_kept(client: openai.OpenAI, fields: dict[str, Any], temperature: int) -> None:
    (choice,) = chat(client, temperature=temperature, seed=4, **fields).choices
    assert choice.finish_reason == "stop"
    jsonschema.validate(json.loads(choice.message.content), PERSON)


def test_json_object(client: openai.OpenAI) -> None:
    (choice,) = chat(client, response_format={"type": "json_object"}, temperature=0, max_tokens=300).choices
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content), dict)
    else:  # the schema says nothing of lengths, so the model may go on and on
        assert choice.message.content.startswith("{")


def test_regex_and_choice(client: openai.OpenAI) -> None:
    for index, choice in enumerate(chat(client, n=4, seed=1, extra_body={"structured_outputs": {"regex": IP}}).choices):
        assert re.fullmatch(IP, choice.message.content) and choice.index == index
    words = ["晴", "晴转多云", "rain 🌧"]
    reply = client.completions.create(
        model=MODEL, prompt=["天气", "weather"], n=3, seed=1, extra_body={"guided_choice": words}
    )
    assert {choice.text for choice in reply.choices} <= set(words) and len(reply.choices) == 6
    assert {choice.finish_reason for choice in reply.choices} == {"stop"}


def test_a_stream_of_a_format_adds_up(client: openai.OpenAI) -> None:
    wish: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}}
    chunks = list(chat(client, stream=True, seed=2, logprobs=True, top_logprobs=5, **wish))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    jsonschema.validate(json.loads(text), PERSON)
    assert text == chat(client, seed=2, **wish).choices[0].message.content
    entries = [entry for chunk in chunks if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
    assert b"".join(bytes(entry.bytes) for entry in entries).decode() == text
    assert all(alternative.logprob >= -9999.0 for entry in entries for alternative in entry.top_logprobs)


@pytest.mark.parametrize(
    ("extra", "param", "needle"),
    [
        ({"structured_outputs": {"regex": "[.*"}}, "structured_outputs.regex", "unclosed"),
        ({"structured_outputs": {"grammar": "root ::= nothing"}}, "structured_outputs.grammar", "nothing"),
        ({"structured_outputs": {"grammar": ""}}, "structured_outputs.grammar", "must be a text"),
        ({"structured_outputs": {"json": {"properties": {"foo": "bar"}}}}, "structured_outputs.json", "schema must be"),
        ({"structured_outputs": {"json": {"not": {}}}}, "structured_outputs.json", "not"),
        ({"guided_regex": {"1": "a"}}, "guided_regex", "must be a text"),
        ({"structured_outputs": 3}, "structured_outputs", "object"),
    ],
)
def test_a_bad_format_is_refused_and_the_engine_lives(
    client: openai.OpenAI, extra: dict[str, Any], param: str, needle: str
) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            chat(client, extra_body=extra, stream=stream)
        assert caught.value.param == param and needle in str(caught.value)
    assert chat(client, max_tokens=2).choices[0].message.content is not None


# -- tools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool_choice", ["required", NAMED])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_forced_call_fits_the_tools_schema(client: openai.OpenAI, tool_choice: Any, seed: int) -> None:
    wish: dict[str, Any] = {"tools": [WEATHER, CLOCK], "tool_choice": tool_choice, "seed": seed, "temperature": 1}
    (choice,) = chat(client, **wish, parallel_tool_calls=False).choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and choice.message.content == ""
    assert call.type == "function" and len(call.id) > 16
    schema = {tool["function"]["name"]: tool["function"]["parameters"] for tool in (WEATHER, CLOCK)}
    jsonschema.validate(json.loads(call.function.arguments), schema[call.function.name])
    assert tool_choice == "required" or call.function.name == "get_weather"

    names, arguments, finished = [], "", []
    for chunk in chat(client, **wish, parallel_tool_calls=False, stream=True):
        delta = chunk.choices[0].delta
        assert not delta.content
        for piece in delta.tool_calls or ():
            assert piece.index == 0
            names += [piece.function.name] if piece.id else []
            arguments += piece.function.arguments or ""
        finished += [chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else []
    assert names == [call.function.name] and finished == ["tool_calls"]
    assert json.loads(arguments) == json.loads(call.function.arguments)


def test_a_forced_call_that_is_cut_shows_no_fragments(client: openai.OpenAI) -> None:
    (choice,) = chat(client, tools=[WEATHER], tool_choice="required", max_tokens=3).choices
    assert choice.finish_reason == "length"
    assert choice.message.tool_calls is None and choice.message.content == ""


def told(stream: Any) -> tuple[str, list[tuple[str, str]], str | None]:
    """What a client that collects a stream has at its end."""
    content, calls, finish = "", dict[int, list[str]](), None
    for chunk in stream:
        delta = chunk.choices[0].delta
        content += delta.content or ""
        for piece in delta.tool_calls or ():
            call = calls.setdefault(piece.index, ["", ""])
            call[0] += piece.function.name or ""
            call[1] += piece.function.arguments or ""
        finish = chunk.choices[0].finish_reason or finish
    return content, [(name, arguments) for name, arguments in calls.values()], finish


@pytest.mark.parametrize("tool_choice", ["required", "auto"])
@pytest.mark.parametrize(
    "cut", [*({"max_tokens": n} for n in (1, 5, 9, 13, 17, 21)), {"stop": "arguments"}, {"stop": '"city": "'}]
)
def test_a_call_that_is_cut_is_the_same_in_a_stream_and_never_half_of_one(
    client: openai.OpenAI, tool_choice: Any, cut: dict[str, Any]
) -> None:
    mark = httpx.post(f"{str(client.base_url).removesuffix('/v1/')}/tokenize", json={"prompt": "<tool_call>"}).json()
    wish = {"tools": [WEATHER], "tool_choice": tool_choice, "temperature": 0, **cut}
    if tool_choice == "auto":
        wish["logit_bias"] = {str(id): 100 for id in mark["tokens"]}  # the model is made to open a call
    (choice,) = chat(client, **wish, parallel_tool_calls=False).choices
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    assert told(chat(client, **wish, parallel_tool_calls=False, stream=True)) == (
        choice.message.content or "", calls, choice.finish_reason,
    )  # fmt: skip
    for name, arguments in calls:
        assert name == "get_weather" and isinstance(json.loads(arguments), dict)
    assert tool_choice == "auto" or calls or choice.message.content == ""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_free_call_is_of_an_offered_tool_and_fits_its_schema(client: openai.OpenAI, seed: int) -> None:
    """However hot the sampling: names come out of the grammar, not out of the model's memory."""
    odd = [{"type": "function", "function": {"name": name}} for name in ("zz_top", "qqq")]
    mark = httpx.post(f"{str(client.base_url).removesuffix('/v1/')}/tokenize", json={"prompt": "<tool_call>"}).json()
    bias = {str(id): 100 for id in mark["tokens"]}
    (choice,) = chat(client, tools=odd, temperature=2, seed=seed, logit_bias=bias, max_tokens=80).choices
    assert choice.message.tool_calls
    assert {call.function.name for call in choice.message.tool_calls} <= {"zz_top", "qqq"}
    assert all(json.loads(call.function.arguments) == {} for call in choice.message.tool_calls)


def test_tools_and_a_format_together(client: openai.OpenAI) -> None:
    """Either a call or a text in the format, whatever the model likes better."""
    wish: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}}
    for choice in chat(client, tools=[WEATHER], n=4, seed=3, temperature=1, max_tokens=400, **wish).choices:
        if choice.message.tool_calls:
            assert all(call.function.name == "get_weather" for call in choice.message.tool_calls)
        else:
            jsonschema.validate(json.loads(choice.message.content), PERSON)


def test_tool_results_go_back(client: openai.OpenAI) -> None:
    (choice,) = chat(client, tools=[WEATHER, CLOCK], tool_choice="required", seed=1).choices
    history = [*USER, choice.message]
    history += [{"role": "tool", "tool_call_id": c.id, "content": "18 度，晴"} for c in choice.message.tool_calls]
    for tools in ([WEATHER, CLOCK], None):
        extra = {"tools": tools} if tools else {}
        assert chat(client, messages=history, max_tokens=20, **extra).choices[0].finish_reason in ("stop", "length")
    choice.message.tool_calls[0].function.arguments = ""
    assert chat(client, messages=history, max_tokens=2).usage.completion_tokens <= 2


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": NAMED},
        {"tool_choice": "auto"},
        {"tools": [CLOCK], "tool_choice": NAMED},
        {"tools": [WEATHER], "tool_choice": {}},
        {"tools": [WEATHER], "tool_choice": NAMED, "extra_body": {"guided_json": {}}},
        {"tools": []},
        {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": 1}}}],
            "tool_choice": "required",
        },
    ],
)
def test_contradicting_tools_are_refused(client: openai.OpenAI, fields: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError):
        chat(client, **fields)


# -- log-probabilities, echo, token ids -----------------------------------------------------------------------------


def test_prompt_logprobs(client: openai.OpenAI) -> None:
    plain = chat(client, max_tokens=2)
    assert plain.prompt_logprobs is None and plain.prompt_token_ids is None and plain.choices[0].token_ids is None
    for count in (0, 1, 3):
        reply = chat(client, max_tokens=2, extra_body={"prompt_logprobs": count, "return_token_ids": True})
        entries, ids = reply.prompt_logprobs, reply.prompt_token_ids
        assert len(entries) == len(ids) == reply.usage.prompt_tokens and entries[0] is None
        for id, entry in zip(ids[1:], entries[1:], strict=True):
            assert str(id) in entry and max(1, count) <= len(entry) <= count + 1
            assert set(entry[str(id)]) == {"logprob", "rank", "decoded_token"}
    with pytest.raises(openai.BadRequestError):
        chat(client, extra_body={"prompt_logprobs": -1})


def test_echoed_logprobs_are_those_of_the_tokens_when_generated(client: openai.OpenAI, url: str) -> None:
    """What the model generates greedily has the same log-probabilities when it is read as a prompt."""
    wish: dict[str, Any] = {"model": MODEL, "temperature": 0, "logprobs": 2, "echo": True}
    first = client.completions.create(**wish, prompt="北京是", max_tokens=12, extra_body={"ignore_eos": True})
    ids = httpx.post(f"{url}/tokenize", json={"prompt": "北京是"}).json()["tokens"]
    generated = first.choices[0]
    assert generated.text.startswith("北京是") and generated.logprobs.token_logprobs[0] is None
    tokens = client.completions.create(
        **{**wish, "echo": False},
        prompt="北京是",
        max_tokens=12,
        extra_body={"ignore_eos": True, "return_token_ids": True, "return_tokens_as_token_ids": True},
    ).choices[0]
    assert tokens.prompt_token_ids == ids
    assert tokens.logprobs.tokens == [f"token_id:{id}" for id in tokens.token_ids]
    again = client.completions.create(**wish, prompt=ids + tokens.token_ids, max_tokens=0).choices[0]
    assert again.text == generated.text
    assert again.logprobs.tokens == generated.logprobs.tokens
    assert again.logprobs.token_logprobs[1:] == pytest.approx(generated.logprobs.token_logprobs[1:], abs=0.02)
    assert again.logprobs.text_offset == generated.logprobs.text_offset
    assert all(1 <= len(top) <= 3 for top in again.logprobs.top_logprobs[1:])


def test_an_echo_of_emoji_is_labelled_in_bytes_and_has_the_places_of_its_characters(client: openai.OpenAI) -> None:
    prompt = "a🚀中🚀"
    wish: dict[str, Any] = {"model": MODEL, "prompt": prompt, "max_tokens": 0, "echo": True, "logprobs": 1}
    told = client.completions.create(**wish).choices[0].logprobs
    raw, starts = b"", []
    for label in told.tokens:
        starts.append(len(raw.decode(errors="ignore")))
        spelled = label.removeprefix("bytes:").replace("\\x", "")
        raw += bytes.fromhex(spelled) if label.startswith("bytes:") else label.encode()
    assert raw.decode() == prompt and told.text_offset == starts
    assert any(label.startswith("bytes:\\xf0") for label in told.tokens)


def test_an_echo_in_a_stream(client: openai.OpenAI) -> None:
    wish: dict[str, Any] = {"model": MODEL, "prompt": ["ab", "中文"], "max_tokens": 4, "temperature": 0, "echo": True}
    whole = client.completions.create(**wish, logprobs=1)
    texts, offsets = ["", ""], [[], []]
    for chunk in client.completions.create(**wish, logprobs=1, stream=True):
        (choice,) = chunk.choices
        texts[choice.index] += choice.text
        offsets[choice.index] += choice.logprobs.text_offset
    assert texts == [choice.text for choice in whole.choices]
    assert offsets == [choice.logprobs.text_offset for choice in whole.choices]


def test_token_ids_in_streams(client: openai.OpenAI) -> None:
    body = {"return_token_ids": True, "return_tokens_as_token_ids": True}
    chunks = list(
        client.completions.create(
            model=MODEL, prompt="中文🚀", max_tokens=12, stream=True, logprobs=1, seed=1, extra_body=body
        )
    )
    assert chunks[0].choices[0].prompt_token_ids
    ids = [id for chunk in chunks for id in chunk.choices[0].token_ids]
    assert [f"token_id:{id}" for id in ids] == [t for c in chunks for t in c.choices[0].logprobs.tokens]
    events = list(chat(client, stream=True, max_tokens=8, seed=1, extra_body={"return_token_ids": True}))
    assert events[0].prompt_token_ids and all("prompt_token_ids" not in e.model_dump() for e in events[1:])


# -- streams, limits, the rest --------------------------------------------------------------------------------------


def test_usage_in_every_event_where_asked_for(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True, "continuous_usage_stats": True}
    wish: dict[str, Any] = {"max_tokens": 10, "extra_body": {"min_tokens": 10}, "temperature": 0, "stream": True}
    last = 0
    for chunk in chat(client, **wish, stream_options=options):
        used = chunk.usage
        assert used.total_tokens == used.prompt_tokens + used.completion_tokens and used.prompt_tokens > 0
        assert last == 0 or used.completion_tokens > last or (not chunk.choices and used.completion_tokens == last)
        last = used.completion_tokens
    assert last == 10
    for others in ({}, {"include_usage": False, "continuous_usage_stats": True}):
        assert all(chunk.usage is None for chunk in chat(client, **wish, stream_options=others))
    for refused in ({"include_usage": None}, {"continuous_usage_stats": True}):
        with pytest.raises(openai.BadRequestError):
            chat(client, stream=False, stream_options=refused)


def test_stop_reasons(client: openai.OpenAI) -> None:
    wish: dict[str, Any] = {"temperature": 0, "max_tokens": 30, "extra_body": {"ignore_eos": True}}
    text = chat(client, **wish).choices[0].message.content
    stop = text[6:9]
    stopped = chat(client, **wish, stop=[stop]).choices[0]
    assert (stopped.finish_reason, stopped.stop_reason) == ("stop", stop)
    assert stopped.message.content == text[: text.index(stop)]
    id = chat(client, **{**wish, "extra_body": {"return_token_ids": True, "ignore_eos": True}}).choices[0].token_ids[3]
    stopped = chat(client, **{**wish, "extra_body": {"stop_token_ids": [id], "ignore_eos": True}}).choices[0]
    assert (stopped.finish_reason, stopped.stop_reason) == ("stop", id)


def test_a_final_message_is_continued(client: openai.OpenAI) -> None:
    said = "An apple a day, keeps"
    messages: Any = [{"role": "user", "content": "a saying"}, {"role": "assistant", "content": said}]
    body = {"continue_final_message": True, "add_generation_prompt": False}
    answers = [
        chat(client, messages=messages, max_tokens=12, temperature=0, extra_body={**body, "echo": echo})
        for echo in (False, True)
    ]
    texts = [answer.choices[0].message.content for answer in answers]
    assert said not in texts[0] and texts[1] == said + texts[0]
    with pytest.raises(openai.BadRequestError):
        chat(client, messages=messages, extra_body={"continue_final_message": True})


def test_a_prompt_is_cut_where_that_is_asked_for(client: openai.OpenAI) -> None:
    ids = list(range(10, 18))
    for side, expected in (("right", ids[:4]), ("left", ids[-4:])):
        body = {"return_token_ids": True, "truncate_prompt_tokens": 4, "truncation_side": side}
        reply = client.completions.create(model=MODEL, prompt=ids, max_tokens=1, extra_body=body)
        assert reply.choices[0].prompt_token_ids == expected


@pytest.mark.parametrize(
    ("fields", "needle"),
    [
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "best_of": 3}, "best_of"),
        ({"prompt": "a", "logprobs": 21}, "logprobs"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": [999_999]}, "out of vocabulary"),
        ({"prompt": "a", "logit_bias": {"999999": 1}}, "999999"),
        ({"prompt": "a", "stream": True, "extra_body": {"use_beam_search": True}}, "use_beam_search"),
        ({"prompt": "a", "extra_body": {"min_character": 1}}, "min_character"),
        ({"prompt": "a", "seed": 2**63}, "less_than_equal"),
        ({"prompt": "a", "seed": -(2**63) - 1}, "greater_than_equal"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client: openai.OpenAI, fields: dict[str, Any], needle: str) -> None:
    with pytest.raises(openai.BadRequestError, match=re.escape(needle)):
        client.completions.create(**{"model": MODEL, **fields})


def test_the_reply_says_what_made_it(client: openai.OpenAI) -> None:
    first, second = chat(client, max_tokens=1), client.completions.create(model=MODEL, prompt="a", max_tokens=1)
    assert re.fullmatch("fp_[0-9a-f]{12}", first.system_fingerprint or "")
    assert first.system_fingerprint == second.system_fingerprint
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_the_small_routes_of_vllm(url: str, client: openai.OpenAI) -> None:
    assert "version" in httpx.get(f"{url}/version").json()
    assert httpx.get(f"{url}/load").json() == {"server_load": 0}
    assert httpx.get(f"{url}/ping").status_code == 200
    info = httpx.get(f"{url}/tokenizer_info").json()
    assert info["tokenizer_class"] and "<|im_start|>" in info["chat_template"]
    wish = {"model": MODEL, "messages": USER, "max_completion_tokens": 5, "temperature": 0.0}
    invoked = httpx.post(f"{url}/invocations", json=wish, timeout=60).json()
    assert invoked["choices"] == json.loads(client.chat.completions.with_raw_response.create(**wish).content)["choices"]  # type: ignore[arg-type]
    text = {"model": MODEL, "prompt": "a", "max_tokens": 1}
    assert httpx.post(f"{url}/invocations", json=text, timeout=60).json()["object"] == "text_completion"
    form = httpx.post(f"{url}/v1/completions", content=b"{}", headers={"Content-Type": "text/plain"})
    assert form.status_code == 415 and "application/json" in form.json()["error"]["message"]


def test_tokenize_in_vllms_shapes(url: str) -> None:
    def tokenize(**fields: Any) -> dict[str, Any]:
        response = httpx.post(f"{url}/tokenize", json={"model": MODEL, **fields})
        assert response.status_code == 200
        return response.json()

    named = tokenize(prompt=" 北京 is", return_token_strs=True)
    assert len(named["token_strs"]) == named["count"] and named["token_strs"][0].startswith("Ġ")
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Sure,"}]
    ends = tokenize(messages=messages, continue_final_message=True, add_generation_prompt=False)["tokens"]
    whole = tokenize(messages=messages, add_generation_prompt=False)["tokens"]
    assert whole[: len(ends)] == ends and len(whole) > len(ends)
    tools = tokenize(messages=messages, tools=[WEATHER])["count"]
    assert tools > tokenize(messages=messages)["count"]
    assert httpx.post(f"{url}/detokenize", json={"tokens": [999_999]}).status_code == 400
