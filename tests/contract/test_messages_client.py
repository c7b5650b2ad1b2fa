"""Anthropic's own Python client against the gateway, with the model that ships: a program written for its API needs only another host."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model
from zhilu.serving.api import messages_relay

MODEL = "zhilu-nano"
ASK: list[Any] = [{"role": "user", "content": "What can you do?"}]
# A schema in which no model can lose itself.
SURE = {
    "type": "object",
    "properties": {"sure": {"type": "boolean"}, "colour": {"enum": ["red", "green"]}},
    "required": ["sure", "colour"],
    "additionalProperties": False,
}
PAINT = {"name": "paint", "description": "Paint the wall.", "input_schema": SURE}
KEY = "key-0123456789abcdef"
# Added to a template whose model is said to think: Qwen3's switch.
SWITCH = (
    "{%- if add_generation_prompt and enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
)


# As a coding agent sends it (Claude Code, by its documentation and what it puts on the wire): a long system prompt in blocks, many tools
# with large schemas, a system message behind the user's, and hints of betas.
_AREAS = ("file", "folder", "shell", "search", "plan", "note", "task", "page", "branch", "review")
CODERS_TOOLS: list[dict[str, Any]] = [
    {
        "name": f"{verb}_{area}",
        "description": f"Use this to {verb} a {area} of the project.\n"
        + f"- Before you {verb} a {area}, look whether it exists.\n" * 5,
        "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                f"{area}_{field}": {
                    "type": kind,
                    "description": f"The {field} of the {area}, as the person wrote it. ",
                }
                for field, kind in (("path", "string"), ("limit", "number"), ("all", "boolean"))
            },
            "required": [f"{area}_path"],
            "additionalProperties": False,
        },
    }
    for verb in ("read", "write")
    for area in _AREAS
]
CODER: dict[str, Any] = {
    "model": "reader",
    "max_tokens": 32_000,
    "system": [
        {"type": "text", "text": "x-agent-header: version=1; entrypoint=cli;"},
        {"type": "text", "text": "You are an agent that writes code.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "# How to work\n" + "Say little. Read before you write. Never guess an address.\n" * 40,
         "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "<reminder>Today is Tuesday.</reminder>"}, {"type": "text", "text": "Read a.txt"}]},
        {"role": "system", "content": [{"type": "text", "text": "# Environment\nlinux\n" * 40, "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "", "signature": "EqQBCg"},
            {"type": "text", "text": "I read it."},
            {"type": "tool_use", "id": "toolu_01A", "name": "read_file", "input": {"file_path": "/work/a.txt"}, "caller": {"type": "direct"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_01A", "content": "1\thello", "cache_control": {"type": "ephemeral"}}]},
    ],
    "tools": [*CODERS_TOOLS, {"name": "placeholder", "description": "Never call it.", "input_schema": {"type": "object"}, "defer_loading": True}],
    "metadata": {"user_id": '{"device_id":"0","session_id":"0"}'},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high"},
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("messages")
    (home / "models").mkdir()
    text = "".join(tool["description"] for tool in CODERS_TOOLS)
    folder = make_tiny_model(home / "models" / "reader", vocab_text=text, max_position_embeddings=32_768)
    known = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
    (folder / "chat_template.jinja").write_text(known + SWITCH)
    with run_gateway(home, {"api_key": KEY}) as running:
        running.call(running.supervisor.ensure(MODEL))
        yield running


@pytest.fixture(autouse=True)
def nobodys_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package reads keys and addresses from the environment."""
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0, timeout=120) as client:
        yield client


def create(client: anthropic.Anthropic, **wish: Any) -> Any:
    """What the client's types have left out (``temperature``) goes into the body all the same."""
    return client.messages.create(
        **{"model": MODEL, "max_tokens": 24, "messages": ASK, "extra_body": {"temperature": 0}, **wish}
    )


def texts(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.parametrize("question", ["What can you do?", "你能做什么？"])
def test_a_stream_says_what_the_whole_answer_says(client: anthropic.Anthropic, question: str) -> None:
    ask = [{"role": "user", "content": question}]
    whole = create(client, messages=ask, system="You are brief.")
    assert (whole.type, whole.role, whole.model) == ("message", "assistant", MODEL)
    assert whole.id.startswith("msg_")
    assert texts(whole).strip()
    with client.messages.stream(
        model=MODEL, max_tokens=24, messages=ask, system="You are brief.", extra_body={"temperature": 0}
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert texts(final) == texts(whole)
    assert final.stop_reason == whole.stop_reason
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert final.usage.output_tokens == whole.usage.output_tokens > 0


def test_the_events_come_in_order_and_tell_the_prompts_length_at_once(gateway: RunningGateway) -> None:
    body = {"model": MODEL, "max_tokens": 16, "messages": ASK, "stream": True}
    url, more = (
        f"{gateway.url}/v1/messages?beta=true",
        {"headers": {"x-api-key": KEY}, "timeout": 120, "trust_env": False},
    )
    with httpx.stream("POST", url, json=body, **more) as reply:  # type: ignore[arg-type]
        frames = [frame.split("\n") for frame in "".join(reply.iter_text()).strip().split("\n\n")]
        assert reply.headers["request-id"] == reply.headers["x-request-id"]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in frames]
    assert all(name == data["type"] for name, data in events)
    names = [name for name, _ in events if name != "content_block_delta"]
    assert names == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    used, ended = events[0][1]["message"]["usage"], events[-2][1]["usage"]
    assert used["input_tokens"] > 0
    assert ended["input_tokens"] + ended["cache_read_input_tokens"] == used["input_tokens"]


def test_a_stream_says_that_it_lives_while_nothing_comes(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages_relay, "PING_SECONDS", 0.0005)  # far less than the prompt takes to be read
    body = {"model": MODEL, "max_tokens": 4, "messages": [{"role": "user", "content": "read " * 1500}], "stream": True}
    reply = httpx.post(
        f"{gateway.url}/v1/messages", json=body, headers={"x-api-key": KEY}, timeout=120, trust_env=False
    )
    names = [line.removeprefix("event: ") for line in reply.text.split("\n") if line.startswith("event: ")]
    assert names.count("ping") > 2
    assert (names[0], names[-1]) == ("message_start", "message_stop")
    assert sum(name != "ping" for name in names) == len(reply.text.strip().split("\n\n")) - names.count("ping")


def test_a_forced_tool_its_result_and_the_same_streamed(client: anthropic.Anthropic) -> None:
    choice = {"type": "tool", "name": "paint", "disable_parallel_tool_use": True}
    asked = {"tools": [PAINT], "tool_choice": choice, "max_tokens": 200}
    whole = create(client, **asked)
    (call,) = whole.content
    assert (whole.stop_reason, call.type, call.name) == ("tool_use", "tool_use", "paint")
    assert set(call.input) == {"sure", "colour"}
    with client.messages.stream(model=MODEL, messages=ASK, extra_body={"temperature": 0}, **asked) as stream:
        events = list(stream)
        streamed = stream.get_final_message()
    assert streamed.content[0].input == call.input
    partial = "".join(e.delta.partial_json for e in events if e.type == "content_block_delta")
    assert json.loads(partial) == call.input
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "done"}]}
    history = [*ASK, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    after = create(client, messages=history, tools=[PAINT])
    assert after.role == "assistant"
    failed = create(
        client, messages=[*history[:2], {"role": "user", "content": [{**result, "is_error": True}]}], tools=[PAINT]
    )
    assert total(failed.usage) > total(after.usage)  # the model is told
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.2\.content\.0\.tool_use_id"):
        create(client, messages=[*history[:2], {"role": "user", "content": [{**result, "tool_use_id": "toolu_other"}]}])


def test_any_tool_none_and_a_schema(client: anthropic.Anthropic) -> None:
    many = create(client, tools=[PAINT, {**PAINT, "name": "wash"}], tool_choice={"type": "any"}, max_tokens=200)
    assert many.stop_reason == "tool_use"
    assert {block.name for block in many.content} <= {"paint", "wash"}
    none = create(client, tools=[PAINT], tool_choice={"type": "none"})
    assert [block.type for block in none.content] == ["text"]
    format = {"type": "json_schema", "schema": SURE}
    told = json.loads(texts(create(client, output_config={"format": format, "effort": "low"}, max_tokens=200)))
    assert set(told) == {"sure", "colour"}


def test_how_an_answer_ends(client: anthropic.Anthropic) -> None:
    cut = create(client, max_tokens=3)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    words = texts(create(client)).split()
    stop = words[2]
    ended = create(client, stop_sequences=["never said", stop])
    assert (ended.stop_reason, ended.stop_sequence) == ("stop_sequence", stop)
    assert stop not in texts(ended)
    begun = create(client, messages=[*ASK, {"role": "assistant", "content": " ".join(words[:2])}])
    assert texts(begun).split()[:2] != words[:2]  # it goes on, and does not begin again
    full = create(client, max_tokens=100_000, messages=[{"role": "user", "content": "word " * 1700}])
    assert full.stop_reason in ("end_turn", "model_context_window_exceeded")


def total(usage: Any) -> int:
    """All tokens of the prompt: those that the engine's cache had are told apart."""
    return int(usage.input_tokens + (usage.cache_read_input_tokens or 0))


def test_tokens_are_counted_as_they_are_used(client: anthropic.Anthropic, gateway: RunningGateway) -> None:
    history = [
        *ASK,
        {"role": "assistant", "content": "Much."},
        {"role": "user", "content": [{"type": "text", "text": "例如？"}]},
    ]
    for wish in (
        {"messages": ASK},
        {
            "messages": history,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        },
        {"messages": ASK, "tools": [PAINT], "tool_choice": {"type": "any"}},
        {"messages": [*ASK, {"role": "assistant", "content": "I can"}]},
    ):
        counted = client.messages.count_tokens(model=MODEL, **wish)  # type: ignore[arg-type]
        assert counted.input_tokens == total(create(client, **wish).usage), wish
    long = {"role": "user", "content": "The same long beginning. " * 40}
    first, again = (create(client, messages=[long]).usage for _ in range(2))
    assert again.cache_read_input_tokens > 0
    assert total(first) == total(again)


def test_a_models_thoughts_can_be_switched_off(client: anthropic.Anthropic) -> None:
    def count(**wish: Any) -> int:
        return client.messages.count_tokens(model="reader", messages=ASK, **wish).input_tokens

    assert count(thinking={"type": "disabled"}) > count() == count(thinking={"type": "enabled", "budget_tokens": 2000})
    budget = {"type": "enabled", "budget_tokens": 1024}
    assert create(
        client, thinking=budget, max_tokens=1200, stop_sequences=["."]
    ).content  # to who does not think it says nothing


def test_a_coding_agents_request_passes(client: anthropic.Anthropic) -> None:
    betas = [
        "interleaved-thinking-2025-05-14",
        "context-management-2025-06-27",
        "mid-conversation-tool-changes-2026-07-01",
    ]
    with client.beta.messages.stream(**{**CODER, "max_tokens": 30}, betas=betas) as stream:  # type: ignore[arg-type]
        final = stream.get_final_message()
    assert final.stop_reason == "max_tokens"
    counted = {name: CODER[name] for name in ("model", "messages", "system", "tools", "thinking")}
    num_tokens = client.messages.count_tokens(**counted).input_tokens
    assert num_tokens == total(final.usage) > 4000
    assert final.context_management is not None and final.context_management.applied_edits == []
    # It may ask for more than the context holds behind its prompt, and is not refused for it.
    asked = {**CODER, "max_tokens": 32_000, "stop_sequences": list("aeiou .")}
    assert client.beta.messages.create(**asked, betas=betas).stop_reason != "max_tokens"


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
        (
            {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
            "container_upload",
        ),
        ({"extra_body": {"magic": 1}}, "magic"),
        ({"extra_body": {"container": "c"}}, "container"),
        ({"extra_body": {"temperature": 3}}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [{**PAINT, "name": "no blanks"}]}, r"tools\.0\.name"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "budget_tokens"),
        ({"stop_sequences": ["a"] * 17}, "stop_sequences"),
        ({"messages": [{"role": "user", "content": "word " * 40_000}]}, "prompt is too long"),
    ],
)
def test_what_is_refused_is_named(client: anthropic.Anthropic, wish: dict[str, Any], named: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=named) as caught:
        create(client, **wish)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id == caught.value.body["request_id"]  # type: ignore[index]


def test_a_picture_is_refused_by_its_place_where_the_model_cannot_see(client: anthropic.Anthropic) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"\x89PNG").decode()}
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]
    with pytest.raises(anthropic.BadRequestError, match=r"pictures in messages") as caught:
        create(client, messages=[{"role": "user", "content": parts}])
    assert caught.value.details.param == "messages.0.content.1"  # type: ignore[union-attr]


def test_errors_have_the_apis_own_kinds(client: anthropic.Anthropic, gateway: RunningGateway) -> None:
    with pytest.raises(anthropic.NotFoundError, match="nobody") as unknown:
        create(client, model="nobody")
    with pytest.raises(anthropic.NotFoundError, match="batches") as nowhere:
        client.messages.batches.list()
    assert {unknown.value.type, nowhere.value.type} == {"not_found_error"}
    for given in ({"api_key": "wrong"}, {"auth_token": "wrong"}):
        stranger = anthropic.Anthropic(base_url=gateway.url, max_retries=0, **given)  # type: ignore[arg-type]
        with stranger, pytest.raises(anthropic.AuthenticationError) as locked:
            create(stranger)
        assert locked.value.type == "authentication_error"
    url = f"{gateway.url}/v1/messages"
    text = httpx.post(url, content=b"{", headers={"x-api-key": KEY}, trust_env=False).json()
    form = httpx.post(url, data={"a": "b"}, headers={"x-api-key": KEY}, trust_env=False)
    big = httpx.post(url, content=b" " * (33 << 20), headers={"x-api-key": KEY}, timeout=60, trust_env=False)
    assert text["error"]["type"] == form.json()["error"]["type"] == "invalid_request_error"
    assert (form.status_code, big.status_code, big.json()["error"]["type"]) == (415, 413, "request_too_large")


def test_models_are_listed_for_who_speaks_this_api(client: anthropic.Anthropic, gateway: RunningGateway) -> None:
    listed = list(client.models.list(limit=1))  # page by page
    assert {"zhilu-nano", "reader"} <= {model.id for model in listed}
    assert len({model.id for model in listed}) == len(listed)
    assert not {"zhilu-embed"} & {model.id for model in listed}
    shown = client.models.retrieve(MODEL)
    assert (shown.id, shown.type, shown.lifecycle) == (MODEL, "model", "active")
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        client.models.list(limit=0)
    openai = httpx.get(f"{gateway.url}/v1/models", headers={"x-api-key": KEY}, trust_env=False).json()
    assert openai["object"] == "list"


def test_a_client_that_leaves_ends_its_answer(client: anthropic.Anthropic, gateway: RunningGateway) -> None:
    served = gateway.supervisor.states()[MODEL]
    with client.messages.stream(model=MODEL, max_tokens=1500, messages=ASK) as stream:
        next(iter(stream.text_stream))
        assert served.in_flight == 1
    until = time.monotonic() + 30
    while served.in_flight and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert served.in_flight == 0
    rows = [json.loads(line) for line in (gateway.context.home.logs / "usage.jsonl").read_text().splitlines()]
    mine = [row for row in rows if row["endpoint"] == "/v1/messages"]
    assert mine[-1]["code"] == "client_left"
    done = [row for row in mine if row["status"] == 200 and not row["code"]]
    assert done
    assert all(row["model"] in (MODEL, "reader") and row["completion_tokens"] for row in done)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_hostile_requests_are_refused_and_break_nothing(gateway: RunningGateway, path: str) -> None:
    def nested(depth: int) -> Any:
        inner: Any = {}
        for _ in range(depth):
            inner = {"properties": {"a": inner}}
        return inner

    good: dict[str, Any] = {"model": MODEL, "max_tokens": 4, "messages": ASK}
    block = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    bodies: list[Any] = [
        {**good, "tools": [{**PAINT, "input_schema": nested(depth)}]} for depth in (60, 400, 900, 5000)
    ] + [
        {**good, "messages": [{"role": "user", "content": nested(300)}]},
        {**good, "messages": [{"role": "user", "content": [{"type": ["text"], "text": "x"}]}]},
        {**good, "messages": [{"role": "user", "content": [None, 1, "x"]}]},
        {**good, "messages": [{"role": [], "content": "x"}]},
        {**good, "messages": [{"role": "assistant", "content": ""}]},
        {**good, "messages": block * 9999},
        {**good, "messages": block * 10_001},
        {**good, "tools": [PAINT] * 5000},
        {**good, "tools": {"a": 1}, "tool_choice": []},
        {**good, "tool_choice": {"type": "tool", "name": 5}},
        {**good, "system": [[]]},
        {**good, "stop_sequences": [""]},
        {**good, "model": ""},
        {**good, "model": "\u202e" * 500},
        {**good, "max_tokens": 10**30},
        {**good, "max_tokens": True},
        {**good, "metadata": {"user_id": 5}},
        {**good, "thinking": {"type": "enabled", "budget_tokens": -1}},
        {**good, "output_config": {"format": {"type": "json_schema", "schema": {"$ref": "#"}}}},
        {**good, "messages": [{"role": "user", "content": "\ud800"}]},
        [good],
        None,
    ]
    with httpx.Client(base_url=gateway.url, headers={"x-api-key": KEY}, timeout=120, trust_env=False) as http:
        for body in bodies:
            raw = deep(body) if body is not None else b"\xff{"
            reply = http.post(path, content=raw, headers={"content-type": "application/json"})
            assert reply.status_code < 500, (raw[:200], reply.text[:300])
            if reply.status_code != 200:
                said = reply.json()
                assert (said["type"], bool(said["error"]["message"])) == ("error", True)
        assert http.post("/v1/messages", json=good).status_code == 200


def deep(body: Any) -> bytes:
    """JSON of any depth: Python's own writer ends at a thousand levels."""
    try:
        return json.dumps(body).encode()
    except RecursionError:
        return b'{"model":"m","max_tokens":1,"messages":' + b"[" * 5000 + b"]" * 5000 + b"}"
