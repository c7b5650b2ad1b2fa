"""The wire refuses what it does not know by name, and says what was given."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest

from zhilu import wire
from zhilu.errors import InputError, UnsupportedError

TOOL = {"type": "function", "function": {"name": "f"}}
NAMED = {"type": "function", "function": {"name": "f"}}
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def chat(**fields: Any) -> wire.ChatRequest:
    return wire.parse_request(wire.ChatRequest, {**HELLO, **fields})


def test_every_parameter_of_the_official_client_is_known() -> None:
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase as Chat
    from openai.types.completion_create_params import CompletionCreateParamsBase as Text
    from openai.types.embedding_create_params import EmbeddingCreateParams as Embedding

    pairs = [(Chat, wire.ChatRequest), (Text, wire.CompletionRequest), (Embedding, wire.EmbeddingRequest)]
    for theirs, ours in pairs:
        assert set(theirs.__annotations__) <= set(ours.model_fields), theirs


def test_unknown_field_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(UnsupportedError) as caught:
        chat(temprature=0.5)
    assert caught.value.param == "temprature"
    assert "'temperature'" in caught.value.message.en and "temprature" in caught.value.message.zh


@pytest.mark.parametrize(
    ("fields", "param", "needle"),
    [
        ({"temperature": 3}, "temperature", "at most 2"),
        ({"temperature": "1"}, "temperature", "must be a number, given '1'"),
        ({"temperature": float("nan")}, "temperature", "nan"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"n": 0}, "n", "at least 1"),
        ({"max_tokens": True}, "max_tokens", "integer"),
        ({"messages": []}, "messages", "must not be empty"),
        ({"messages": [{"role": "assistent", "content": "x"}]}, "messages.0.role", "did you mean 'assistant'"),
        ({"messages": [{"role": "User", "content": "x"}]}, "messages.0.role", "did you mean 'user'"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages.0.role", "the roles are system, developer, user"),
        ({"messages": [{"role": "", "content": "x"}]}, "messages.0.role", "at least 1"),
        ({"messages": [{"role": "user"}]}, "messages.0.content", "needs content"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages.0.content.0.type", "'text'"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages.0.content.0.image_url",
            "required",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x/y"}}]}]},
            "messages.0.content.0.image_url.url",
            "must match",
        ),
        ({"messages": [{"role": "user", "content": "x", "refusal": "no"}]}, "messages.0.refusal", "only an assistant"),
        ({"reasoning_effort": "much"}, "reasoning_effort", "'none'"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools", "field of its own"),
        ({"messages": [{"role": "user", "content": "x", "tool_call": []}]}, "messages.0.tool_call", "'tool_calls'"),
        ({"seed": 2**63}, "seed", "at most"),
        ({"logit_bias": {"bad1": 1, "bad2": 2}}, "logit_bias", "'bad1', 'bad2'"),
        ({"tools": []}, "tools", "fewer than 1"),
        ({"tool_choice": "auto"}, "tool_choice", "needs tools"),
        ({"tools": [TOOL], "tool_choice": {}}, "tool_choice", "must be"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice",
            "'g' is none",
        ),
        ({"tools": [TOOL], "tool_choice": NAMED, "guided_regex": "a"}, "guided_regex", "not both"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "given 'xml'"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "must be provided"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
            "required",
        ),
        ({"structured_outputs": 3}, "structured_outputs", "object"),
        ({"structured_outputs": {"regexp": "a"}}, "structured_outputs.regexp", "'regex'"),
        ({"structured_outputs": {"regex": {"1": "a"}}}, "structured_outputs.regex", "must be a text"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs.choice", "only one kind"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json", "no JSON"),
        ({"structured_outputs": {"structural_tag": "x"}}, "structured_outputs.structural_tag", "not supported"),
        ({"guided_choice": ["a", ""]}, "guided_choice", "not empty"),
        ({"guided_json": 3}, "guided_json", "JSON schema"),
        ({"guided_regex": "a", "response_format": {"type": "json_object"}}, "guided_regex", "not together"),
        ({"prompt_logprobs": -1}, "prompt_logprobs", "at least 0"),
        ({"prompt_logprobs": 1, "stream": True}, "prompt_logprobs", "not with stream"),
        ({"continue_final_message": True}, "continue_final_message", "add_generation_prompt"),
        ({"stop": ["a", ""]}, "stop", "empty"),
        ({"logit_bias": {"cat": 1}}, "logit_bias", "'cat'"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "stream=true"),
        ({"top_logprobs": 3}, "top_logprobs", "logprobs=true"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens", "differs"),
    ],
)
def test_bad_values_are_refused_by_their_path(fields: dict[str, Any], param: str, needle: str) -> None:
    with pytest.raises(InputError) as caught:
        chat(**fields)
    assert caught.value.param == param
    assert needle in caught.value.message.en
    assert caught.value.message.zh != caught.value.message.en or needle == "nan"


def test_missing_messages() -> None:
    with pytest.raises(InputError) as caught:
        wire.parse_request(wire.ChatRequest, {"model": "m"})
    assert caught.value.param == "messages" and "required" in caught.value.message.en


@pytest.mark.parametrize(
    "fields",
    [
        {"logit_bias": {}, "store": True},
        {"best_of": 2},
        {"spaces_between_special_tokens": False},
        {"verbosity": "high"},
        {"audio": {"voice": "x", "format": "wav"}},
    ],
)
def test_what_this_engine_cannot_do_is_refused_by_name(fields: dict[str, Any]) -> None:
    name = list(fields)[-1]
    request = chat(**fields)
    with pytest.raises(UnsupportedError) as caught:
        wire.refuse_beyond("zhilu", wire.OWN_ENGINE, request)
    assert caught.value.param == name
    wire.refuse_beyond("other", wire.CAPABILITIES.keys(), request)


def test_what_our_engine_can_do_is_a_wish_that_others_may_refuse() -> None:
    request = chat(response_format={"type": "json_object"})
    wire.refuse_beyond("zhilu", wire.OWN_ENGINE, request)
    with pytest.raises(UnsupportedError) as caught:
        wire.refuse_beyond("other", (), request)
    assert caught.value.param == "response_format" and "'other'" in caught.value.message.zh


def test_every_spelling_of_a_constraint_is_understood() -> None:
    schema = {"type": "integer"}
    named = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    wishes: list[dict[str, Any]] = [
        {"response_format": named},
        {"structured_outputs": {"json": schema}},
        {"structured_outputs": {"json": json.dumps(schema), "regex": None}},
        {"guided_json": schema},
        {"guided_json": json.dumps(schema), "response_format": {"type": "text"}},
    ]
    for wish in wishes:
        found = chat(**wish).constraint
        assert found is not None and (found.kind, found.value) == ("json", schema)
    assert chat().constraint is None and chat(response_format={"type": "text"}).constraint is None


def test_null_is_the_same_as_nothing() -> None:
    request = chat(n=None, stream=None, stream_options=None, min_tokens=None, tools=None, tool_choice=None)
    assert request.n == 1 and request.min_tokens == 0


def test_fields_that_only_a_template_knows_reach_it() -> None:
    (message,) = chat(messages=[{"role": "critic", "content": "x", "mood": "sad"}]).messages
    assert message.model_dump(exclude_none=True) == {"role": "critic", "content": "x", "mood": "sad"}


def test_harmless_values_pass() -> None:
    request = chat(
        store=False, response_format={"type": "text"}, user="me", service_tier="auto", metadata={"a": "b"}, stop=None
    )
    wire.refuse_beyond("zhilu", wire.OWN_ENGINE, request)
    wire.refuse_beyond("other", (), request)


# What every engine has, and labels that never touch an answer. Whatever else a request may say is a wish of the table.
EVERYWHERE = {
    *("model", "messages", "prompt", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop"),
    *("presence_penalty", "frequency_penalty", "stream_options"),
    *("user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    *("top_logprobs", "truncation_side"),  # nothing without logprobs and truncate_prompt_tokens
}


def test_every_field_of_a_generation_belongs_to_one_capability_or_to_every_engine() -> None:
    known = set(wire.ChatRequest.model_fields) | set(wire.CompletionRequest.model_fields)
    asked = [name for one in wire.CAPABILITIES.values() for name in one.fields]
    assert len(asked) == len(set(asked))
    assert set(asked) | EVERYWHERE == known and not set(asked) & EVERYWHERE


def test_defaults_ask_for_nothing() -> None:
    for kind, least in ((wire.ChatRequest, HELLO), (wire.CompletionRequest, {"prompt": "x"})):
        defaults = {name: field.get_default() for name, field in kind.model_fields.items() if not field.is_required()}
        request = wire.parse_request(kind, {**{k: v for k, v in defaults.items() if v is not None}, **least})
        wire.refuse_beyond("other", (), request)


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, "vision"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "hearing"),
        ({"type": "file", "file": {"file_data": "data:;base64,AAAA", "filename": "a.pdf"}}, "files"),
    ],
)
def test_a_part_is_refused_by_its_place_where_the_engine_cannot_read_it(part: dict[str, Any], word: str) -> None:
    parts = [{"type": "text", "text": "What is this?"}, part]
    request = chat(messages=[{"role": "system", "content": "s"}, {"role": "user", "content": parts}])
    with pytest.raises(UnsupportedError) as caught:
        wire.refuse_beyond("zhilu", wire.OWN_ENGINE, request)
    assert caught.value.param == "messages.1.content.1.type"
    title = wire.CAPABILITIES[word].title
    assert title.en in caught.value.message.en and title.zh in caught.value.message.zh
    wire.refuse_beyond("other", {word}, request)
    tokens = wire.parse_request(wire.TokenizeRequest, {"messages": [{"role": "user", "content": parts}]})
    with pytest.raises(UnsupportedError):
        wire.refuse_beyond("zhilu", wire.OWN_ENGINE, tokens)


def test_a_history_with_refusals_is_text() -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "refusal": "I must not."},
        {"role": "user", "content": "y"},
        {"role": "assistant", "content": [{"type": "text", "text": "Well, "}, {"type": "refusal", "refusal": "no."}]},
    ]
    request = chat(messages=messages)
    wire.refuse_beyond("other", (), request)
    assert [message.text for message in request.messages] == ["x", "I must not.", "y", "Well, no."]


def test_how_much_to_think_and_the_templates_variables_are_fields_wherever_a_template_is_rendered() -> None:
    from zhilu.wire.batch import BatchChatRequest
    from zhilu.wire.responses import ResponsesRequest

    asked = {"reasoning_effort": "low", "chat_template_kwargs": {"mood": "sad"}}
    hello = [{"role": "user", "content": "hi"}]
    for kind, messages in ((wire.ChatRequest, hello), (wire.TokenizeRequest, hello), (BatchChatRequest, [hello])):
        request = wire.parse_request(kind, {"messages": messages, **asked})
        chats = request.chats if isinstance(request, BatchChatRequest) else [request]
        assert {one.reasoning_effort for one in chats} == {"low"}
    wire.parse_request(ResponsesRequest, {"input": "hi", "reasoning": {"effort": "low"}, "chat_template_kwargs": {}})


def test_content_parts_and_a_reply_put_back_into_the_history() -> None:
    reply = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    request = chat(
        messages=[
            {"role": "user", "content": parts},
            reply,
            {"role": "tool", "content": "42", "tool_call_id": "call_1"},
        ]
    )
    assert [m.text for m in request.messages] == ["ab", None, "42"]


def test_completion_prompts() -> None:
    def prompts(value: Any) -> list[Any]:
        return wire.parse_request(wire.CompletionRequest, {"model": "m", "prompt": value}).prompts

    assert prompts("a") == ["a"]
    assert prompts(["a", "b"]) == ["a", "b"]
    assert prompts([1, 2]) == [[1, 2]]
    assert prompts([[1], [2]]) == [[1], [2]]
    with pytest.raises(InputError) as caught:
        prompts([1, "a"])
    assert caught.value.param is not None and caught.value.param.startswith("prompt")


def test_body_must_be_a_json_object() -> None:
    with pytest.raises(InputError, match="not JSON"):
        wire.parse_json(b"{")
    with pytest.raises(InputError, match="not JSON"):
        wire.parse_json(b"\xff")
    with pytest.raises(InputError, match="not JSON"):
        wire.parse_json(b"[" * 100_000)
    with pytest.raises(InputError, match="list"):
        wire.parse_json(b"[]")


@pytest.mark.parametrize("prompt", ["", []])
def test_a_completion_needs_a_prompt(prompt: Any) -> None:
    with pytest.raises(InputError) as caught:
        wire.parse_request(wire.CompletionRequest, {"prompt": prompt})
    assert caught.value.param == "prompt"


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert wire.parse_json(b'{"a": "\\ud83d\\ude42"}') == {"a": "🙂"}
    with pytest.raises(InputError, match="surrogates"):
        wire.parse_json(b'{"a": "\\ud83d"}')


def test_responses_parse_with_the_official_types() -> None:
    from openai.types import Completion, CreateEmbeddingResponse, Model
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    logprobs = wire.chat_logprobs([("a", b"a", -0.5, [("a", b"a", -0.5), ("b", b"b", -1.0)])])
    call = {"id": wire.new_id("call"), "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reply = wire.chat_completion(
        "chatcmpl-1",
        "m",
        [
            {"content": "a", "finish_reason": "stop", "logprobs": logprobs},
            {"content": None, "tool_calls": [call], "finish_reason": "tool_calls"},
        ],
        wire.usage(3, 1),
    )
    parsed = ChatCompletion.model_validate(reply, strict=True)
    assert parsed.usage is not None and parsed.usage.total_tokens == 4
    assert parsed.choices[1].message.tool_calls is not None

    chunk = wire.chat_chunk("chatcmpl-1", "m", 1, delta={"content": "x"}, include_usage=True)
    assert ChatCompletionChunk.model_validate(chunk, strict=True).usage is None
    last = wire.chat_chunk("chatcmpl-1", "m", 1, index=None, used=wire.usage(1, 2), include_usage=True)
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 3
    assert "usage" not in wire.chat_chunk("chatcmpl-1", "m", 1)

    text = [
        {"index": 0, "text": "ab", "finish_reason": "length", "logprobs": wire.text_logprobs([("a", b"a", -1, [])])}
    ]
    Completion.model_validate(wire.text_completion("cmpl-1", "m", 1, text, wire.usage(1, 1)), strict=True)
    halves = [("\ufffd", b"\xe4", -1.0, [("\ufffd", b"\xe5", -0.5), ("\ufffd", b"\xe4", -1.0)])]
    assert wire.text_logprobs(halves)["top_logprobs"] == [{"bytes:\\xe5": -0.5, "bytes:\\xe4": -1.0}]
    CreateEmbeddingResponse.model_validate(wire.embedding_list("m", [[0.5]], 2), strict=True)
    Model.model_validate(wire.model_list([{"id": "m"}])["data"][0], strict=True)


def test_tokens_that_are_parts_of_a_character_are_spelled_in_bytes_and_begin_where_it_does() -> None:
    raws = [b"a", b"\xf0\x9f", b"\x9a", b"\x80", "\ufffd".encode(), "中".encode(), b"b"]
    told = [(raw.decode(errors="replace"), raw, -1.0, []) for raw in raws]
    whole = wire.text_logprobs(told)
    assert whole["tokens"] == ["a", r"bytes:\xf0\x9f", r"bytes:\x9a", r"bytes:\x80", "\ufffd", "中", "b"]
    assert whole["text_offset"] == [0, 1, 1, 1, 2, 3, 4]
    text = b"".join(raws).decode()
    assert [text[place] for place in whole["text_offset"]] == ["a", "🚀", "🚀", "🚀", "\ufffd", "中", "b"]
    offsets, pieces = wire.TextOffsets(), []
    for one in told:
        pieces += wire.text_logprobs([one], offsets)["text_offset"]
    assert pieces == whole["text_offset"]


def test_sse_frames() -> None:
    frame = wire.sse({"text": "你好\n"})
    assert frame == 'data: {"text":"你好\\n"}\n\n'.encode()
    assert wire.sse({}, event="done") == b"event: done\ndata: {}\n\n"
    body = json.loads(wire.sse_error(InputError("broken"), "en").decode().removeprefix("data: "))
    assert body["error"]["message"] == "broken"


def test_an_event_is_one_line_for_every_reader() -> None:
    said = "a\x85b\u2028c\u2029d 中\n"
    event = wire.sse({"content": said}).decode()
    assert len(event.strip().splitlines()) == 1
    assert "中" in event
    assert json.loads(event.removeprefix("data: ")) == {"content": said}


def test_a_compressed_body_is_named() -> None:
    import gzip

    for attempt in (lambda: wire.check_encoding("gzip"), lambda: wire.parse_json(gzip.compress(b"{}"))):
        with pytest.raises(wire.NotJsonError, match="gzip"):
            attempt()
    wire.check_encoding(None)
    wire.check_encoding("identity")


MANY = 300_000
WRONG = {
    "fractions": [1.5] * MANY, "texts in numbers": [1] * MANY + ["x"], "lists": [[1.5]] * MANY, "nothing": [None] * MANY,
    "keys": {f"k{i}": "x" for i in range(MANY)}, "keys inside": [{f"k{i}": 1 for i in range(MANY)}], "ids": [1] * MANY,
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize(
    "kind", [wire.ChatRequest, wire.CompletionRequest, wire.EmbeddingRequest, wire.TokenizeRequest]
)
def test_a_million_wrong_items_are_one_complaint(kind: type[wire.Request], what: str) -> None:
    """Every field: pydantic would note each item, once for every member of a union, while all other clients wait."""
    for field in kind.model_fields:
        before = time.process_time()
        with suppress(InputError):
            data = {"model": "m", field: WRONG[what]}
            wire.refuse_crowds(data)
            wire.parse_request(kind, data)
        assert time.process_time() - before < 0.25, field


@pytest.mark.parametrize("body", [b'{"a":[' + b"1," * 3_000_000 + b"1]}", b'{"a":[' + b"[]," * 2_500_000 + b"1]}"])
def test_a_body_of_millions_of_values_is_not_even_read(body: bytes) -> None:
    before = time.process_time()
    with pytest.raises(InputError) as refused:
        wire.parse_json(body)
    assert refused.value.code == "too_many_items" and time.process_time() - before < 0.2


def test_what_a_large_request_may_hold() -> None:
    content = [{"type": "text", "text": "x"}] * 20
    messages = [{"role": "user", "content": content}] * 5000
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(5000)}}
    body = {"messages": messages, "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}
    assert wire.parse_json(json.dumps(body).encode()) == body
    ids = {"prompt": [7] * 1_000_000, "input": [[1] * 500] * 2000}
    assert wire.parse_json(json.dumps(ids).encode()) == ids
