"""Ollama's own Python client against the gateway: a program written for Ollama needs only another host."""

from __future__ import annotations

import json
from collections.abc import Iterator

import ollama
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model

ASKED = {"model": "tiny", "messages": [{"role": "user", "content": "Count from one to twenty."}]}
OPTIONS = {"num_predict": 12, "temperature": 0}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("ollama")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        running.call(running.supervisor.ensure("tiny"))
        yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[ollama.Client]:
    with ollama.Client(gateway.url, trust_env=False, timeout=120) as client:
        yield client


def test_lists_what_is_there_and_what_runs(client: ollama.Client) -> None:
    assert "tiny" in [entry.model for entry in client.list().models]
    assert [entry.model for entry in client.ps().models] == ["tiny"]


def test_shows_a_model(client: ollama.Client) -> None:
    shown = client.show("tiny")
    assert shown.details is not None
    assert shown.details.family == "qwen3"
    assert "completion" in (shown.capabilities or [])
    assert shown.modelinfo is not None
    assert shown.modelinfo["qwen3.context_length"] > 0


def test_chat_streamed_equals_whole(client: ollama.Client) -> None:
    whole = client.chat(**ASKED, options=OPTIONS)
    parts = list(client.chat(**ASKED, options=OPTIONS, stream=True))
    assert whole.message.role == "assistant"
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    for reply in (whole, parts[-1]):
        assert reply.done_reason in ("stop", "length")
        assert reply.prompt_eval_count
        assert reply.eval_count is not None and 0 < reply.eval_count <= 12
        assert reply.total_duration and reply.eval_duration


def test_generate_streamed_equals_whole(client: ollama.Client) -> None:
    whole = client.generate("tiny", "Once upon a time", options=OPTIONS)
    parts = list(client.generate("tiny", "Once upon a time", options=OPTIONS, stream=True))
    assert "".join(part.response or "" for part in parts) == whole.response
    assert whole.done and parts[-1].done


def test_options_reach_the_engine(client: ollama.Client) -> None:
    one = client.chat(**ASKED, options={**OPTIONS, "num_predict": 3})
    assert one.eval_count is not None and one.eval_count <= 3
    hot = {"num_predict": 12, "temperature": 1.5, "seed": 7}
    first, again = (client.chat(**ASKED, options=hot).message.content for _ in range(2))
    assert first == again


def test_a_schema_holds(client: ollama.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"sure": {"type": "boolean"}, "colour": {"enum": ["red", "green"]}},
        "required": ["sure", "colour"],
        "additionalProperties": False,
    }
    reply = client.chat(**ASKED, format=schema, options={"num_predict": 200, "temperature": 0})
    told = json.loads(reply.message.content or "")
    assert set(told) == {"sure", "colour"}
    assert isinstance(told["sure"], bool)
    assert told["colour"] in ("red", "green")


def test_tools_are_taken(client: ollama.Client) -> None:
    def get_weather(city: str) -> str:
        """Get the current weather of a city.

        Args:
            city: The city
        """
        return f"{city}: sunny"

    reply = client.chat(**ASKED, tools=[get_weather], options=OPTIONS)
    history = [
        *ASKED["messages"],
        {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]},
        {"role": "tool", "tool_name": "get_weather", "content": get_weather("Paris")},
    ]
    with_result = client.chat("tiny", history, tools=[get_weather], options=OPTIONS)
    assert reply.prompt_eval_count and with_result.prompt_eval_count
    assert with_result.prompt_eval_count > reply.prompt_eval_count


def test_embeds(client: ollama.Client) -> None:
    one = client.embed("minilm", "Where is the Eiffel Tower?").embeddings
    both = client.embed("minilm", ["Where is the Eiffel Tower?", "It is in Paris."]).embeddings
    assert [len(vector) for vector in both] == [384, 384]
    assert one[0] == pytest.approx(both[0], abs=1e-3)


def test_an_unknown_model_is_ollamas_own_error(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="nobody") as caught:
        client.chat("nobody", ASKED["messages"])
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="nobody"):
        list(client.chat("nobody", ASKED["messages"], stream=True))


def test_an_option_that_nobody_has_is_refused_by_name(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="mirostat") as caught:
        client.chat(**ASKED, options={"mirostat": 2})
    assert caught.value.status_code == 400


def test_what_is_here_is_pulled_at_once_and_what_was_put_here_by_hand_is_not_deleted(client: ollama.Client) -> None:
    assert client.pull("tiny").status == "success"
    with pytest.raises(ollama.ResponseError, match="by hand") as caught:
        client.delete("tiny")
    assert caught.value.status_code == 409
    with pytest.raises(ollama.ResponseError, match="published") as caught:
        client.push("tiny")
    assert caught.value.status_code == 501


def test_the_gateways_log_has_them(gateway: RunningGateway, client: ollama.Client) -> None:
    client.chat(**ASKED, options=OPTIONS)
    rows = [json.loads(line) for line in (gateway.context.home.logs / "usage.jsonl").read_text().splitlines()]
    mine = [row for row in rows if row["endpoint"] == "/api/chat" and row["status"] == 200]
    assert mine
    assert all(row["model"] == "tiny" and row["completion_tokens"] for row in mine)
