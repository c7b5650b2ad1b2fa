"""The server as a real process, spoken to by the official client over real HTTP."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from starlette.testclient import TestClient

from zhilu.engine.options import EngineOptions
from zhilu.engine.server import app
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.testing_gguf import write_gguf
from zhilu.errors import ZhiluError

USER = [{"role": "user", "content": "你好"}]


class Server:
    def __init__(self, model: Path, *arguments: str, **env: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "zhilu.engine.server", "--model", str(model), "--name", "tiny"]
        command += ["--port", str(self.port), "--threads", "1", "--device", "cpu", "--parent-watch", *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env}
        )
        self.first_status: int | None = None

    def wait_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                status = httpx.get(f"{self.url}/health").status_code
            except httpx.TransportError:
                status = 0
            self.first_status = self.first_status or status
            if status == 200:
                return
            time.sleep(0.02)
        raise AssertionError("the server did not become ready")

    def stop(self) -> int:
        assert self.process.stdin and self.process.stderr
        self.process.stdin.close()
        code = self.process.wait(timeout=30)
        self.process.stderr.close()
        return code

    def state(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/state").json()

    def wait_idle(self, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.state()
            if not state["running"] and not state["waiting"]:
                return state
            time.sleep(0.02)
        raise AssertionError(f"still busy: {state}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Large enough that an answer of some thousand tokens takes seconds: time to disconnect in its middle.
    model = make_tiny_model(tmp_path_factory.mktemp("m") / "tiny", num_hidden_layers=6, hidden_size=128)
    server = Server(model)
    try:
        server.wait_ready()
        yield server
    finally:
        assert server.stop() == 0


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_health_says_loading_before_it_says_ready(server: Server) -> None:
    assert server.first_status in (503, 200)
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}


def test_chat(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="tiny", messages=USER, max_tokens=7, temperature=0)
    assert reply.object == "chat.completion" and reply.model == "tiny"
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage and reply.usage.completion_tokens == 7
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + 7
    again = client.chat.completions.create(model="tiny", messages=USER, max_tokens=7, temperature=0)
    assert again.choices[0].message.content == reply.choices[0].message.content


def test_a_stream_adds_up_to_the_whole_reply(client: openai.OpenAI) -> None:
    wish: dict[str, Any] = {"model": "tiny", "messages": USER, "max_tokens": 40, "seed": 5, "temperature": 1}
    whole = client.chat.completions.create(**wish)
    chunks = list(client.chat.completions.create(**wish, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert not chunks[-1].choices and chunks[-1].usage == whole.usage.model_copy(
        update={"prompt_tokens_details": chunks[-1].usage.prompt_tokens_details}
    )
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_stop_n_seed_and_bias(client: openai.OpenAI, server: Server) -> None:
    ids = {c: httpx.post(f"{server.url}/tokenize", json={"prompt": c}).json()["tokens"][0] for c in "abcdef"}
    bias = {str(id): 60 for id in ids.values()}
    wish: dict[str, Any] = {"model": "tiny", "messages": USER, "max_tokens": 30, "seed": 11, "logit_bias": bias}
    reply = client.chat.completions.create(**wish, n=3)
    texts = [choice.message.content or "" for choice in reply.choices]
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert all(set(text) <= set("abcdef") and len(text) == 30 for text in texts) and len(set(texts)) == 3
    assert client.chat.completions.create(**wish).choices[0].message.content == texts[0]
    stop = texts[0][12:15]
    stopped = client.chat.completions.create(**wish, stop=[stop]).choices[0]
    assert stopped.finish_reason == "stop" and stopped.message.content == texts[0][: texts[0].index(stop)]


def test_logprobs(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="tiny", messages=USER, max_tokens=4, temperature=0, logprobs=True, top_logprobs=3
    )
    assert reply.choices[0].logprobs and reply.choices[0].logprobs.content
    for entry in reply.choices[0].logprobs.content:
        assert entry.top_logprobs[0].logprob == entry.logprob
        assert len(entry.top_logprobs) == 3 and sum(math.exp(t.logprob) for t in entry.top_logprobs) <= 1


def test_completions(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="tiny", prompt=["a", "b"], max_tokens=3, temperature=0, n=2, logprobs=1)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert reply.choices[0].text == reply.choices[1].text
    assert reply.usage and reply.usage.completion_tokens == 12
    chunks = list(client.completions.create(model="tiny", prompt="a", max_tokens=3, temperature=0, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == reply.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("fields", "status", "param", "needle"),
    [
        ({"extra_body": {"temprature": 1}}, 400, "temprature", "did you mean 'temperature'"),
        ({"response_format": {"type": "xml"}}, 400, "response_format.type", "given 'xml'"),
        ({"extra_body": {"guided_regex": "["}}, 400, "guided_regex", "unclosed"),
        ({"extra_body": {"reasoning_effort": "high"}}, 400, "reasoning_effort", "not supported by this engine"),
        ({"tool_choice": "required"}, 400, "tool_choice", "needs tools"),
        ({"temperature": 9}, 400, "temperature", "at most 2"),
        ({"max_tokens": 9000}, 400, "messages", "too many"),
        ({"model": "gpt-4"}, 404, "model", "'tiny' is"),
        ({"messages": []}, 400, "messages", "must not be empty"),
    ],
)
def test_errors_name_what_is_wrong(
    client: openai.OpenAI, fields: dict[str, Any], status: int, param: str, needle: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**{"model": "tiny", "messages": USER, **fields})
    assert caught.value.status_code == status
    assert caught.value.param == param
    assert needle in str(caught.value)


def test_an_over_long_prompt_says_by_how_much(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="tiny", prompt=[5] * 4100, max_tokens=10)
    assert "14 too many" in str(caught.value)
    assert caught.value.code == "context_length_exceeded" and caught.value.param == "prompt"


def test_errors_speak_the_callers_language(server: Server) -> None:
    url = f"{server.url}/v1/chat/completions"
    body = httpx.post(url, content=b"{", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert body.status_code == 400 and "请求体不是 JSON" in body.json()["error"]["message"]
    missing = httpx.post(f"{server.url}/v1/embeddings", json={})
    assert missing.status_code == 404 and "/v1/embeddings" in missing.json()["error"]["message"]
    assert httpx.get(url).status_code == 405


def test_a_reader_who_leaves_frees_the_blocks(server: Server) -> None:
    body = {"model": "tiny", "messages": USER, "max_tokens": 4000, "ignore_eos": True}
    before = server.wait_idle()["num_steps"]
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json={**body, "stream": True}) as response:
        for number, _ in enumerate(response.iter_lines()):
            if number > 10:
                assert len(server.state()["running"]) == 1
                break
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=httpx.Timeout(5, read=0.3))
    state = server.wait_idle()
    assert state["blocks"]["free"] == state["blocks"]["total"]
    assert state["num_steps"] - before < 7000, "both answers were computed to their end"


def test_many_at_once(server: Server) -> None:
    import asyncio

    async def main() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:

            async def ask(number: int) -> str:
                messages: Any = [{"role": "user", "content": str(number % 4)}]
                reply = await client.chat.completions.create(
                    model="tiny", messages=messages, max_tokens=12, temperature=0
                )
                return reply.choices[0].message.content or ""

            return await asyncio.gather(*map(ask, range(24)))

    answers = asyncio.run(main())
    assert all(answers[i] == answers[i % 4] for i in range(24))
    assert len(set(answers[:4])) > 1


def test_tokenize_and_back(server: Server) -> None:
    reply = httpx.post(f"{server.url}/tokenize", json={"prompt": "你a", "return_token_strs": True}).json()
    assert reply["count"] == 4 and reply["token_strs"][-1] == "a" and reply["max_model_len"] == 4096
    back = httpx.post(f"{server.url}/detokenize", json={"tokens": reply["tokens"]}).json()
    assert back == {"prompt": "你a"}
    chat = httpx.post(f"{server.url}/tokenize", json={"messages": USER}).json()
    text = httpx.post(f"{server.url}/detokenize", json={"tokens": chat["tokens"]}).json()["prompt"]
    assert text == "<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"


def test_models_metrics_and_state(server: Server, client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert model.id == "tiny"
    client.completions.create(model="tiny", prompt="x", max_tokens=2)
    deadline = time.monotonic() + 60
    while True:  # another test's cancelled request may still be on its way out
        lines = httpx.get(f"{server.url}/metrics").text.splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        if values['vllm:num_requests_running{model_name="tiny"}'] == "0":
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert float(values['vllm:generation_tokens_total{model_name="tiny"}']) >= 2
    assert float(values['vllm:time_to_first_token_seconds_count{model_name="tiny"}']) > 0
    runner = server.state()["runner"]
    assert runner["runner"] == "openvino" and runner["why"]["runner"] == "fastest on a CPU"


@pytest.mark.usefixtures("needs_torch")
def test_openvino_needs_no_torch_and_torch_answers_the_same(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "m")
    (tmp_path / "torch.py").write_text("raise AssertionError('torch was imported')")
    wish = {"prompt": "你好", "max_tokens": 20, "temperature": 0, "ignore_eos": True}
    answers = []
    for runner, env in (("auto", {"PYTHONPATH": str(tmp_path)}), ("torch", {})):
        server = Server(model, "--runner", runner, **env)
        try:
            server.wait_ready()
            answers.append(httpx.post(f"{server.url}/v1/completions", json=wish).json()["choices"][0]["text"])
            answers.append(server.state()["runner"]["runner"])
        finally:
            assert server.stop() == 0
    assert answers == [answers[0], "openvino", answers[0], "torch"] and answers[0]


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example:80"}, {"Origin": "http://localhost:5173"}]
)
def test_browsers_are_sent_to_the_gateway(server: Server, headers: dict[str, str]) -> None:
    reply = httpx.get(f"{server.url}/v1/models", headers=headers)
    assert reply.status_code == 403 and "programs on this machine" in reply.json()["error"]["message"]
    assert httpx.get(f"{server.url}/v1/models", headers={"Host": "localhost"}).status_code == 200


def test_a_body_survives_an_offered_upgrade(server: Server) -> None:
    """The JDK's client offers h2c; with httptools uvicorn would lose the body."""
    body = json.dumps({"model": "tiny", "prompt": "a", "max_tokens": 1}).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        f"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode() + body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_model_that_cannot_load_ends_the_process_with_the_reason(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path)
    (model / "model.safetensors").unlink()
    server = Server(model)
    assert server.process.stdin and server.process.stderr
    errors = server.process.stderr.read().decode()
    assert server.process.wait(timeout=30) == 2
    assert "no safetensors weights" in errors
    server.process.stdin.close()
    server.process.stderr.close()


def test_a_gguf_file_is_served(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", make_tiny_model(tmp_path / "tiny", "qwen2"))
    server = Server(file)
    try:
        server.wait_ready()
        body = {"model": "tiny", "messages": USER, "max_tokens": 3, "temperature": 0}
        answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).json()
        assert answer["usage"]["completion_tokens"] == 3 and answer["system_fingerprint"].startswith("fp_")
    finally:
        assert server.stop() == 0


def test_whatever_goes_wrong_while_loading_is_told_by_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise OSError("the disk is gone")

    monkeypatch.setattr(app, "fingerprint", fail)
    model = make_tiny_model(tmp_path / "tiny")
    failures: list[ZhiluError] = []
    served = app.create_app(EngineOptions(model, threads=1), "tiny", on_failure=failures.append)
    with TestClient(served, base_url="http://127.0.0.1:8643") as client:
        deadline = time.monotonic() + 30
        while not failures and time.monotonic() < deadline:
            time.sleep(0.02)
        said = client.get("/health")
    assert said.status_code == 503 and "the disk is gone" in said.text
