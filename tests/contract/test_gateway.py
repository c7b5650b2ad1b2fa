"""The gateway over real HTTP, in front of real engine processes with a tiny random model."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model
from zhilu.serving.engines import engine_registry

HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "temperature": 0}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("gateway")
    for seed, name in enumerate(("tiny", "other", "third")):
        (home / "models").mkdir(exist_ok=True)
        make_tiny_model(home / "models" / name, seed=seed)
    with run_gateway(home, {"model": "tiny"}) as running:
        yield running


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=60.0, trust_env=False) as client:
        yield client


def events(text: str) -> list[Any]:
    lines = [line for line in text.split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines), text
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]


def eventually(condition: Callable[[], Any], otherwise: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def test_what_the_engine_says_comes_through_unchanged(gateway: RunningGateway, http: httpx.Client) -> None:
    served = gateway.call(gateway.supervisor.ensure("tiny"))
    direct = httpx.post(f"{served.launch.url}/v1/chat/completions", json=HELLO, trust_env=False).json()
    through = http.post("/v1/chat/completions", json=HELLO).json()
    for reply in (direct, through):
        del reply["id"], reply["created"], reply["usage"]["prompt_tokens_details"]
    assert direct == through


def test_a_stream_ends_with_done_and_without_counts_that_nobody_asked_for(http: httpx.Client) -> None:
    reply = http.post("/v1/chat/completions", json={**HELLO, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(reply.text)
    assert done == "[DONE]"
    assert all(chunk["choices"] for chunk in chunks)
    asked = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    *_, last, done = events(http.post("/v1/chat/completions", json=asked).text)
    assert (last["choices"], last["usage"]["completion_tokens"], done) == ([], 4, "[DONE]")


def test_models_are_listed_with_their_state(http: httpx.Client) -> None:
    http.post("/v1/chat/completions", json=HELLO)
    entries = {entry["id"]: entry for entry in http.get("/v1/models").json()["data"]}
    assert {"tiny", "other", "third", "minilm"} <= entries.keys()
    assert entries["tiny"]["state"] == "ready"
    assert entries["tiny"]["max_model_len"] > 0
    assert all(entry["object"] == "model" for entry in entries.values())
    assert http.get("/v1/models/tiny").json() == entries["tiny"]


def test_an_unknown_model_is_told_the_others(http: httpx.Client) -> None:
    for reply in (http.get("/v1/models/tinny"), http.post("/v1/chat/completions", json={**HELLO, "model": "tinny"})):
        assert reply.status_code == 404
        error = reply.json()["error"]
        assert (error["code"], error["param"], error["type"]) == ("model_not_found", "model", "invalid_request_error")
        assert "'tiny'" in error["message"]
        assert "third" in error["message"]
        assert "不存在" in error["messages"]["zh"]


def test_messages_are_in_the_language_of_the_caller(http: httpx.Client) -> None:
    def message(language: str) -> str:
        reply = http.post(
            "/v1/chat/completions", json={**HELLO, "temperature": 9}, headers={"accept-language": language}
        )
        return str(reply.json()["error"]["message"])

    assert "不能大于" in message("zh-CN")
    assert "at most" in message("en")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {**HELLO, "temprature": 1}, "temprature"),
        ("/v1/chat/completions", {**HELLO, "max_tokens": 0}, "max_tokens"),
        ("/v1/chat/completions", {**HELLO, "prediction": {"type": "content"}}, "prediction"),
        ("/v1/completions", {"model": "tiny", "prompt": "x", "best_of": 3}, "best_of"),
        ("/v1/embeddings", {"model": "minilm", "input": "x", "size": 3}, "size"),
        ("/v1/embeddings", {"model": "minilm", "input": "x", "dimensions": 3}, "dimensions"),
        ("/v1/embeddings", {"model": "minilm", "input": []}, "input"),
        ("/tokenize", {"model": "tiny"}, "prompt"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    http: httpx.Client, path: str, body: dict[str, Any], param: str
) -> None:
    reply = http.post(path, json=body)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == param


def test_a_body_that_is_no_json_is_refused(http: httpx.Client) -> None:
    for content in (b"", b"{", b"[]", b"\xff\xfe"):
        reply = http.post("/v1/chat/completions", content=content)
        assert reply.status_code == 400, content
        assert reply.json()["error"]["type"] == "invalid_request_error"


def test_over_long_input_is_refused_with_by_how_much(http: httpx.Client) -> None:
    limit = http.get("/v1/models/tiny").json()["max_model_len"]
    reply = http.post("/v1/completions", json={"model": "tiny", "prompt": [10] * (limit + 7), "max_tokens": 1})
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


def test_requests_carry_an_id(http: httpx.Client, gateway: RunningGateway) -> None:
    mine = http.post("/v1/chat/completions", json=HELLO, headers={"x-request-id": "mine-1"})
    assert mine.headers["x-request-id"] == "mine-1"
    strange = http.post("/v1/chat/completions", json=HELLO, headers={"x-request-id": "a b\tc"})
    assert strange.headers["x-request-id"].startswith("req-")
    eventually(lambda: '"id": "mine-1"' in gateway.gateway.ledger.path.read_text(), "not in the log")


def test_the_usage_log_counts_tokens_and_holds_no_words(http: httpx.Client, gateway: RunningGateway) -> None:
    secret = {**HELLO, "messages": [{"role": "user", "content": "SECRET-WORD"}], "stream": True}
    http.post("/v1/chat/completions", json=secret, headers={"x-request-id": "counted"})
    path = gateway.gateway.ledger.path
    eventually(lambda: '"counted"' in path.read_text(), "no line was written")
    text = path.read_text()
    (line,) = [json.loads(row) for row in text.splitlines() if '"counted"' in row]
    assert (line["status"], line["completion_tokens"], line["stream"]) == (200, 4, True)
    assert line["prompt_tokens"] > 0
    assert line["first_byte_s"] <= line["seconds"]
    assert "SECRET" not in text


def test_tokenize_and_back(http: httpx.Client) -> None:
    ids = http.post("/tokenize", json={"model": "tiny", "prompt": "hello"}).json()["tokens"]
    assert http.post("/detokenize", json={"model": "tiny", "tokens": ids}).json()["prompt"] == "hello"
    assert http.post("/tokenize", json={"prompt": "hello"}).json()["tokens"] == ids  # the default model


def test_embeddings_come_in_order_and_of_length_one(http: httpx.Client) -> None:
    reply = http.post("/v1/embeddings", json={"model": "zhilu-embed", "input": ["a cat", "the stock market"]}).json()
    assert [item["index"] for item in reply["data"]] == [0, 1]
    for item in reply["data"]:
        assert sum(x * x for x in item["embedding"]) == pytest.approx(1, abs=1e-3)


def test_embeddings_count_tokens_and_refuse_what_they_would_cut(http: httpx.Client) -> None:
    reply = http.post("/v1/embeddings", json={"model": "minilm", "input": ["a cat", "a cat"]}).json()
    assert reply["usage"]["prompt_tokens"] == 8  # twice [CLS] a cat [SEP]
    reply = http.post("/v1/embeddings", json={"model": "minilm", "input": ["fine", "word " * 300]})
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert (error["param"], error["code"]) == ("input", "context_length_exceeded")
    assert "302" in error["message"]
    assert "46 more" in error["message"]


def test_a_client_that_leaves_ends_its_request(http: httpx.Client, gateway: RunningGateway) -> None:
    served = gateway.call(gateway.supervisor.ensure("tiny"))

    def running() -> list[Any]:
        return list(http.get(f"{served.launch.url}/state").json()["running"])

    endless = {**HELLO, "max_tokens": 4000, "n": 16, "temperature": 1, "ignore_eos": True}
    with http.stream("POST", "/v1/chat/completions", json={**endless, "stream": True}) as stream:
        lines = stream.iter_lines()  # kept: a generator that is collected closes the connection
        assert '"choices"' in next(lines)
        eventually(running, "the engine does not work on it")
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/chat/completions", json=endless, timeout=0.3)
    eventually(lambda: not running() and not served.in_flight, "the engine still works for nobody")


def test_a_killed_engine_is_restarted_and_the_next_request_waits_for_it(
    http: httpx.Client, gateway: RunningGateway
) -> None:
    served = gateway.call(gateway.supervisor.ensure("tiny"))
    restarts = served.restarts
    os.kill(served.pid or 0, signal.SIGKILL)
    reply = http.post("/v1/chat/completions", json=HELLO)
    assert reply.status_code == 200, reply.text
    assert served.restarts == restarts + 1


def test_models_start_on_demand_and_make_room(http: httpx.Client) -> None:
    for name in ("other", "third"):
        assert http.post("/v1/completions", json={"model": name, "prompt": "x", "max_tokens": 1}).status_code == 200
    running = {row["model"]: row for row in http.get("/zhilu/v1/engines/running").json()}
    assert sum(row["state"] == "ready" for row in running.values()) == 2
    assert running["tiny"]["state"] == "stopped"
    assert running["third"]["pid"] and running["third"]["ready_seconds"] > 0
    log = http.get("/zhilu/v1/engines/running/third/log").json()["text"]
    assert "engine_ready" in log


def test_models_are_started_and_stopped_by_the_workbench(http: httpx.Client) -> None:
    assert http.post("/zhilu/v1/models/other/stop").json()["state"] == "stopped"
    started = http.post("/zhilu/v1/models/other/start", json={})
    assert started.status_code == 202
    assert started.json()["state"] in ("starting", "ready")
    assert http.post("/zhilu/v1/models/nope/start").status_code == 404
    assert http.post("/zhilu/v1/models/other/start", json={"enginee": "x"}).status_code == 400
    assert http.post("/zhilu/v1/models/other/start", json={"engine": "warp"}).status_code == 404
    missing = http.post("/zhilu/v1/models/other/start", json={"engine": "vllm"})
    assert (missing.status_code, missing.json()["error"]["fix"]) == (501, "zhilu engine install vllm")


def test_engines_are_listed_with_their_facts(http: httpx.Client) -> None:
    engines = {engine["name"]: engine for engine in http.get("/zhilu/v1/engines").json()}
    assert list(engines) == engine_registry().names()
    assert {"zhilu", "openai", "vllm", "llamacpp"} <= engines.keys()
    assert engines["zhilu"]["installed"] is True
    assert engines["vllm"]["installed"] is False  # in this home
    assert engines["zhilu"]["title"]["zh"]
    assert {"name": "stream", "title": {"en": "streamed answers", "zh": "流式回答"}} in engines["zhilu"]["can"]


def test_metrics_hold_ours_and_the_engines(http: httpx.Client) -> None:
    http.post("/v1/chat/completions", json=HELLO)
    reply = http.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = reply.text
    assert 'zhilu_gateway_requests_total{model="tiny",endpoint="/v1/chat/completions",status="200"}' in text
    assert 'vllm:generation_tokens_total{model="tiny",' in text
    assert text.count("# TYPE vllm:generation_tokens_total") == 1


def test_a_remote_server_is_served_under_a_name_of_ours(http: httpx.Client, gateway: RunningGateway) -> None:
    """The remote server here is an engine of this very gateway, reached by its URL."""
    served = gateway.call(gateway.supervisor.ensure("tiny"))
    body = {"engine": "openai", "base_url": f"{served.launch.url}/v1", "remote_model": "tiny"}
    assert http.post("/zhilu/v1/models/far/start", json=body).status_code == 202
    reply = http.post("/v1/chat/completions", json={**HELLO, "model": "far"})
    assert reply.status_code == 200, reply.text
    assert reply.json()["model"] == "tiny"
    assert "far" in [entry["id"] for entry in http.get("/v1/models").json()["data"]]
    http.post("/zhilu/v1/models/far/stop")
    assert "far" not in [entry["id"] for entry in http.get("/v1/models").json()["data"]]


def test_a_body_that_is_too_large_is_refused(http: httpx.Client) -> None:
    reply = http.post("/v1/chat/completions", content=b" " * (33 * 1024 * 1024))
    assert reply.status_code == 413


def test_a_foreign_page_is_refused(http: httpx.Client, tmp_path: Path) -> None:
    assert http.get("/v1/models", headers={"host": "evil.example"}).status_code == 403
    assert http.post("/v1/chat/completions", json=HELLO, headers={"origin": "https://evil.example"}).status_code == 403


def test_a_client_that_offers_http2_is_answered(gateway: RunningGateway) -> None:
    """What the JDK's HttpClient sends; uvicorn with httptools loses the body of such a POST (uvicorn#2722)."""
    body = json.dumps(HELLO).encode()
    half = len(body) // 2
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as sock:
        sock.sendall(head.encode())
        for part in (body[:half], body[half:], b""):
            sock.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        with HTTPResponse(sock, method="POST") as reply:
            reply.begin()
            assert reply.status == 200
            assert json.loads(reply.read())["usage"]["completion_tokens"] == 4


def test_what_is_sent_to_the_wrong_kind_of_model_or_compressed_is_told_so(http: httpx.Client) -> None:
    import gzip

    wrong = http.post("/v1/embeddings", json={"model": "tiny", "input": "x"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "model")
    assert "vectors" in wrong.json()["error"]["message"]
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    packed = http.post("/v1/chat/completions", content=gzip.compress(json.dumps(HELLO).encode()), headers=headers)
    assert packed.status_code == 415 and "gzip" in packed.json()["error"]["message"]


def test_a_picture_for_a_model_of_text_is_refused_by_its_place(http: httpx.Client) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    answer = http.post("/v1/chat/completions", json={**HELLO, "messages": [{"role": "user", "content": [picture]}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages.0.content.0.type")
    told = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    answer = http.post("/v1/responses", json={"model": "tiny", "input": [{"role": "user", "content": [told]}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input.0.content.0.type")
    assert (
        "input.0.content.0.type" in answer.json()["error"]["message"]
        or "image_url" in answer.json()["error"]["message"]
    )
