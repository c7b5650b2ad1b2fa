"""What programs do with the official OpenAI library beyond the conformance run: its own conveniences, against the gateway.

The model is a random one, so nothing here depends on what a model knows; a schema or a forced tool holds for any model.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel, ConfigDict
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model
from zhilu.serving.proofs.conformance import connect_openai

QUESTION: list[Any] = [{"role": "user", "content": "Count from one to twenty."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["unit", "days"],
            "additionalProperties": False,
        },
    },
}
TIME: Any = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")  # or a random model writes properties of its own without end
    sure: bool
    colour: Literal["red", "green"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("library")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        running.call(running.supervisor.ensure("tiny"))
        yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[openai.OpenAI]:
    with connect_openai(f"{gateway.url}/v1", None, 120.0) as client:
        yield client


def test_the_stream_helper_accumulates(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": QUESTION, "max_tokens": 16, "temperature": 0}
    text = client.chat.completions.create(**asked).choices[0].message.content
    # The helper takes an answer that was cut at max_tokens for an error: let this one end by itself.
    asked["stop"] = [next(letter for letter in reversed(text) if letter.isalnum())]
    whole = client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta"} <= kinds
    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"
    assert final.usage is not None and whole.usage is not None
    assert final.usage.completion_tokens == whole.usage.completion_tokens


def test_a_stream_that_is_left_ends_at_the_engine(gateway: RunningGateway, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="tiny", messages=QUESTION, max_tokens=2000, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    identity = stream.response.headers["x-request-id"]
    stream.close()

    async def idle() -> None:
        while any(served.in_flight for served in gateway.supervisor.states().values()):
            await asyncio.sleep(0.05)

    gateway.call(idle())
    rows = [json.loads(line) for line in (gateway.context.home.logs / "usage.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows if row["id"] == identity] == [499]


def test_an_asynchronous_client_asks_many_at_once(gateway: RunningGateway) -> None:
    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key="none", timeout=120, max_retries=0
        ) as client:
            calls = [
                client.chat.completions.create(model="tiny", messages=QUESTION, max_tokens=8, temperature=0)
                for _ in range(8)
            ]
            return [reply.choices[0].message.content for reply in await asyncio.gather(*calls)]

    answers = asyncio.run(ask())
    assert len(answers) == 8
    assert len(set(answers)) == 1


def test_parse_returns_the_class_that_was_asked_for(client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(
        model="tiny", messages=QUESTION, response_format=Answer, max_tokens=200, temperature=0
    )
    assert isinstance(reply.choices[0].message.parsed, Answer)


def test_a_schema_holds_in_a_stream_and_when_sampled(client: openai.OpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": Answer.model_json_schema()}}
    for seed in range(4):
        stream = client.chat.completions.create(
            model="tiny", messages=QUESTION, response_format=form, max_tokens=300, temperature=1, seed=seed, stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        Answer.model_validate_json(text)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_forced_tool_is_called_with_arguments_of_its_schema(client: openai.OpenAI, choice: Any, stream: bool) -> None:
    asked: dict[str, Any] = {"tools": [WEATHER, TIME], "tool_choice": choice, "max_tokens": 400, "temperature": 0}
    if stream:
        with client.chat.completions.stream(model="tiny", messages=QUESTION, **asked) as events:
            reply: Any = events.get_final_completion()
    else:
        reply = client.chat.completions.create(model="tiny", messages=QUESTION, **asked)
    (message, reason) = reply.choices[0].message, reply.choices[0].finish_reason
    assert message.tool_calls
    # OpenAI ends a reply to a named function by "stop", one to "required" by "tool_calls".
    assert reason in ("tool_calls", "stop")
    for call in message.tool_calls:
        assert call.id
        arguments = json.loads(call.function.arguments)
        if call.function.name == "get_weather":
            assert set(arguments) == {"unit", "days"}
            assert arguments["unit"] in ("C", "F")
            assert 1 <= arguments["days"] <= 9
        else:
            assert choice == "required"
            assert call.function.name == "get_time"


def test_no_tool_is_called_where_none_is_allowed(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="tiny", messages=QUESTION, tools=[WEATHER], tool_choice="none", max_tokens=8
    )
    assert reply.choices[0].message.tool_calls is None


def test_a_tool_that_is_not_there_cannot_be_forced(client: openai.OpenAI) -> None:
    nobody: Any = {"type": "function", "function": {"name": "nobody"}}
    with pytest.raises(openai.BadRequestError, match="nobody") as caught:
        client.chat.completions.create(model="tiny", messages=QUESTION, tools=[WEATHER], tool_choice=nobody)
    assert caught.value.param == "tool_choice"


def test_vectors_are_the_same_as_numbers_and_as_bytes(client: openai.OpenAI) -> None:
    texts = ["Where is the Eiffel Tower?", "It is in Paris."]
    numbers = client.embeddings.create(model="minilm", input=texts, encoding_format="float")
    raw = client.embeddings.with_raw_response.create(model="minilm", input=texts, encoding_format="base64")
    for told, item in zip(numbers.data, json.loads(raw.text)["data"], strict=True):
        packed = base64.b64decode(item["embedding"])
        assert struct.unpack(f"<{len(packed) // 4}f", packed) == pytest.approx(told.embedding, abs=1e-6)
    # Left to itself the library asks for base64 and unpacks it.
    assert client.embeddings.create(model="minilm", input=texts).data[1].index == 1


def test_errors_are_the_librarys_own_classes(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nobody", messages=QUESTION)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="temperatur") as misspelled:
        client.chat.completions.create(model="tiny", messages=QUESTION, extra_body={"temperatur": 1})
    assert misspelled.value.param == "temperatur"
    with pytest.raises(openai.BadRequestError) as too_long:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "word " * 100_000}])
    assert too_long.value.code == "context_length_exceeded"
    assert unknown.value.request_id


def test_a_key_is_asked_for_where_one_is_set(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("keyed")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny", "api_key": "a-long-enough-key"}) as running:
        with (
            connect_openai(f"{running.url}/v1", "another-key", 60.0) as stranger,
            pytest.raises(openai.AuthenticationError),
        ):
            stranger.models.list()
        with connect_openai(f"{running.url}/v1", "a-long-enough-key", 60.0) as friend:
            assert "tiny" in [entry.id for entry in friend.models.list()]
