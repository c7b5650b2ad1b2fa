"""From the wire to the engine and back. The answers are scripted, so that a tool call or a failure comes on cue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from zhilu import wire
from zhilu.engine.choose.sampler import SampledToken
from zhilu.engine.sequence import Output
from zhilu.engine.server import api
from zhilu.engine.server.reply import Reply
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError, TooLargeError, UpstreamError

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
CALL = 'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "北京"}}\n</tool_call>'


def chat(**fields: Any) -> wire.ChatRequest:
    return wire.parse_request(wire.ChatRequest, {"messages": [{"role": "user", "content": "hi"}], **fields})


async def script(text: str, finish: str = "stop", error: Exception | None = None) -> AsyncIterator[tuple[int, Output]]:
    """One character per output, then the end token."""
    for character in text:
        yield 0, Output("r", 0, character, SampledToken(1))
    if error:
        raise error
    yield 0, Output("r", 0, "", SampledToken(2), finish, 2)  # type: ignore[arg-type]


class Scripted:
    """An ``Answer`` whose outputs are fixed; with ``has_more`` they are there all at once."""

    def __init__(self, outputs: AsyncIterator[tuple[int, Output]], has_more: bool = False) -> None:
        self._outputs = outputs
        self.has_more = has_more

    def __aiter__(self) -> AsyncIterator[tuple[int, Output]]:
        return self._outputs


def reply(tokenizer: Tokenizer, request: api.Generation, answer: Any, has_more: bool = False) -> Reply:
    return Reply(request, Scripted(answer, has_more), tokenizer, "tiny", [[1, 2, 3]])  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [None, UpstreamError("broken")])
def test_what_is_there_at_once_is_written_at_once_and_reads_the_same(
    tokenizer: Tokenizer, error: Exception | None
) -> None:
    async def writes(has_more: bool) -> list[bytes]:
        request = chat(stream=True, stream_options={"include_usage": True})
        return [part async for part in reply(tokenizer, request, script("hello", error=error), has_more).events()]

    single, joined = asyncio.run(writes(False)), asyncio.run(writes(True))
    assert len(joined) == 2 < len(single)

    def told(parts: list[bytes]) -> list[Any]:
        events = [json.loads(line[6:]) for line in b"".join(parts).splitlines() if line.startswith(b"data: {")]
        return [{key: value for key, value in event.items() if key not in ("id", "created")} for event in events]

    assert told(joined) == told(single) and len(told(single)) >= 7


def stream(tokenizer: Tokenizer, request: api.Generation, answer: Any) -> list[dict[str, Any]]:
    async def main() -> bytes:
        return b"".join([event async for event in reply(tokenizer, request, answer).events()])

    *events, done, rest = asyncio.run(main()).decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_tool_calls_in_a_whole_reply(tokenizer: Tokenizer) -> None:
    whole = asyncio.run(reply(tokenizer, chat(tools=TOOLS), script(CALL)).whole())
    (choice,) = whole["choices"]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] == "Let me see.\n"
    (call,) = choice["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "北京"}
    assert whole["usage"]["completion_tokens"] == len(CALL) + 1


def test_tool_calls_in_a_stream_never_show_their_marks(tokenizer: Tokenizer) -> None:
    from openai.types.chat import ChatCompletionChunk

    events = stream(tokenizer, chat(tools=TOOLS, stream=True), script(CALL))
    for event in events:
        ChatCompletionChunk.model_validate(event, strict=True)
    deltas = [event["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content", "") for delta in deltas) == "Let me see.\n"
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [call["function"].get("name") for call in calls if "id" in call] == ["weather"]
    assert len(calls) == 1 and calls[0]["index"] == 0  # whole: half of one could not be taken back
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"city": "北京"}
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("fields", [{}, {"tools": TOOLS, "tool_choice": "none"}])
def test_without_tools_the_text_is_left_alone(tokenizer: Tokenizer, fields: dict[str, Any]) -> None:
    (choice,) = asyncio.run(reply(tokenizer, chat(**fields), script(CALL)).whole())["choices"]
    assert choice["message"]["content"] == CALL and choice["finish_reason"] == "stop"


def test_tool_choice_none_hides_the_tools_from_the_model(tokenizer: Tokenizer) -> None:
    with_tools = tokenizer.decode(api.chat_prompt(tokenizer, chat(tools=TOOLS)))
    without = tokenizer.decode(api.chat_prompt(tokenizer, chat(tools=TOOLS, tool_choice="none")))
    assert "weather" in with_tools and "weather" not in without


def test_an_error_after_the_stream_began_is_an_event(tokenizer: Tokenizer) -> None:
    for error in (UpstreamError("out of memory"), RuntimeError("out of memory")):
        *_, last = stream(tokenizer, chat(stream=True), script("abc", error=error))
        assert "out of memory" in last["error"]["message"] and last["error"]["messages"]["zh"]


def test_usage_comes_last_when_asked_for(tokenizer: Tokenizer) -> None:
    request = chat(stream=True, stream_options={"include_usage": True})
    *others, last = stream(tokenizer, request, script("ab"))
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 6
    assert all(event["usage"] is None for event in others)
    assert all("usage" not in event for event in stream(tokenizer, chat(stream=True), script("ab")))


def test_the_end_token_has_no_logprob_in_the_reply(tokenizer: Tokenizer) -> None:
    async def answer() -> AsyncIterator[tuple[int, Output]]:
        (id,) = tokenizer.encode("a")
        yield 0, Output("r", 0, "a", SampledToken(id, -0.5, [(id, -0.5)]))
        yield 0, Output("r", 0, "", SampledToken(2, -0.1, []), "stop", 2)

    whole = asyncio.run(reply(tokenizer, chat(logprobs=True, top_logprobs=1), answer()).whole())
    content = whole["choices"][0]["logprobs"]["content"]
    assert [(entry["token"], entry["bytes"], entry["logprob"]) for entry in content] == [("a", [97], -0.5)]


def test_text_offsets_of_a_streamed_completion_go_on(tokenizer: Tokenizer) -> None:
    async def answer() -> AsyncIterator[tuple[int, Output]]:
        for number, letter in enumerate("abc"):
            (id,) = tokenizer.encode(letter)
            yield 0, Output("r", 0, letter, SampledToken(id, -1.0), "length" if number == 2 else None)

    request = wire.parse_request(wire.CompletionRequest, {"prompt": "x", "logprobs": 0, "stream": True})
    events = stream(tokenizer, request, answer())
    assert [event["choices"][0]["logprobs"]["text_offset"] for event in events] == [[0], [1], [2]]


def test_a_role_that_the_template_refuses_is_named_with_those_there_are(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "m")
    strict = "{% for m in messages %}{% if m.role not in ['system', 'user', 'critic'] %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
    (model / "chat_template.jinja").write_text(strict)
    own = Tokenizer(model)
    history = [{"role": "user", "content": "x"}, {"role": "critic", "content": "x"}]
    api.chat_prompt(own, chat(messages=history))
    with pytest.raises(InputError, match="the roles are system, developer, user, assistant, tool") as caught:
        api.chat_prompt(own, chat(messages=[*history, {"role": "wizard", "content": "x"}]))
    assert caught.value.param == "messages.2.role"


def test_a_model_whose_author_wants_no_sampling_is_greedy_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps({"do_sample": False}))
    assert api.read_defaults(tmp_path) == {"temperature": 0.0}
    path.write_text(json.dumps({"do_sample": True}))
    assert api.read_defaults(tmp_path) == {}
    path.write_text(json.dumps({"do_sample": False, "temperature": 0.5}))
    assert api.read_defaults(tmp_path) == {"temperature": 0.5}


def test_the_models_defaults_stand_behind_the_requests_wishes(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path)
    stated = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "do_sample": True}
    (model / "generation_config.json").write_text(json.dumps(stated))
    defaults = api.read_defaults(model)
    assert defaults == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}
    params = api.sampling_params(chat(temperature=0, top_k=-1), defaults, room=100)
    assert (params.temperature, params.top_p, params.top_k, params.max_tokens) == (0.0, 0.95, 0, 100)
    assert api.sampling_params(chat(max_completion_tokens=5), {}, room=100).max_tokens == 5
    with pytest.raises(InputError, match="min_tokens 9"):
        api.sampling_params(chat(max_tokens=5, min_tokens=9), {}, room=100)


def test_a_developer_message_is_a_system_message(tokenizer: Tokenizer) -> None:
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
    ]
    text = tokenizer.decode(api.chat_prompt(tokenizer, chat(messages=messages)), skip_special_tokens=False)
    assert text.startswith("<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nx<|im_end|>")


def test_template_variables_cannot_replace_the_messages(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="field of its own"):
        api.chat_prompt(tokenizer, chat(chat_template_kwargs={"messages": []}))


@pytest.mark.parametrize(
    "fields", [{"prompt": "x" * 1_000_001}, {"messages": [{"role": "user", "content": "x" * 1_000_001}]}]
)
def test_tokens_are_counted_of_half_a_million_characters_or_what_a_context_may_hold(fields: dict[str, Any]) -> None:
    body = wire.parse_request(wire.TokenizeRequest, fields)
    with pytest.raises(TooLargeError, match="1000001 characters") as caught:
        api.refuse_uncountable(body, 2048)
    assert (caught.value.http_status, caught.value.param) == (413, next(iter(fields)))
    api.refuse_uncountable(body, 131_072)


def test_tools_are_a_part_of_what_is_counted() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 1000}}] * 1000
    body = wire.parse_request(wire.TokenizeRequest, {"messages": [{"role": "user", "content": "x"}], "tools": tools})
    with pytest.raises(TooLargeError, match="characters"):
        api.refuse_uncountable(body, 2048)
