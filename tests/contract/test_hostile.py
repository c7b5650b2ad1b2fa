"""Three hundred hostile requests while eight streams run: no error of the server's own, and every stream ends as it should."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model

SEED = 20261129
CHAT, COMPLETE = "/v1/chat/completions", "/v1/completions"
POSTS = (
    *(CHAT, COMPLETE, "/v1/embeddings", "/v1/responses", "/v1/rerank", "/tokenize", "/detokenize", "/v1/score"),
    *("/api/chat", "/api/generate", "/api/embed", "/api/show", "/api/pull", "/api/create", "/invocations", "/pooling"),
    *("/v1/load_lora_adapter", "/v1/chat/completions/batch", "/zhilu/v1/kbs", "/zhilu/v1/conversations"),
)
PATHS = (
    "/%00", "/zhilu/v1/kbs/%00", "/zhilu/v1/kbs/..%2f..%2fetc", "/zhilu/v1/jobs/%00", "/v1/models/%00", "/v1/models/" + "a" * 8000,
    "/zhilu/v1/engines/running/%2e%2e%2fx/log", "/zhilu/v1/models/%ff", "/%ff%fe", "//", "/a" * 2000, "/zhilu/v1/jobs?limit=-1",
    "/zhilu/v1/settings/%00", "/zhilu/v1/roadmap/tasks/%00", "/zhilu/v1/conversations/%00", "/zhilu/v1/evidence/..%2f..", "/metrics?x=%00",
)  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("hostile") / "home"
    (home / "models").mkdir(parents=True)
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny", "embedder": "zhilu-embed", "offline": True}, only=None) as running:
        running.call(running.supervisor.ensure("tiny"))
        yield running


def bodies(random: random.Random) -> Iterator[bytes]:
    """Bodies that nobody means well with: broken, deep, wide, long, of odd types and odd characters."""
    long = [20_000, 400_000, 4_000_000, 12_000_000]
    odd = [
        "\x00",
        "\ud800",
        "\ufffe",
        "🧨",
        "\u202e",
        "ﷺ",
        "a\u0301" * 50,
        "%n%s",
        "<|im_end|>",
        "</tool_call>",
        "{{7*7}}",
    ]
    yield b""
    yield b"\xff\xfe\x00"
    yield b"null"
    yield b"[" * 100_000
    yield b'{"a":' * 50_000
    yield b'{"model": 1' + b"0" * 10_000 + b"}"
    yield b'{"temperature": 1e999, "messages": []}'
    yield b'{"messages": [' + b"{}," * 200_000 + b"{}]}"
    yield b'{"messages": NaN}'
    yield b'{"stream": true, "messages": [{"role": "user", "content": "\\ud800"}]}'
    yield json.dumps({f"k{i}": i for i in range(50_000)}).encode()
    for number in long:
        yield json.dumps({"messages": [{"role": "user", "content": "x" * number}], "prompt": "x" * number}).encode()
        yield json.dumps({"prompt": "!" * number, "input": "!" * number, "stream": True}).encode()
    while True:
        text = random.choice(
            [*odd, "x" * random.choice([1, 3000, 100_000]), " " * 50_000, "!" * 60_000 + "x", "汉" * 9000]
        )
        value = random.choice([None, -1, 1e308, 2**70, True, [], {}, [text] * 3, {"type": text}, text, [[1] * 2000]])
        data = {
            "model": random.choice(["tiny", text[:500], None, 7]), 
            "messages": [{"role": random.choice(["user", text[:100], "tool"]), "content": text}],
            "prompt": value, "input": value, "max_tokens": random.choice([3, -1, 2**40, "3"]), "stream": random.choice([True, False, "yes"]),
            "name": text[:300], "query": text, "documents": value, "tokens": [2**62, -1],
        }  # fmt: skip
        extra = random.choice(
            [
                {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}},
                {"guided_regex": "(a+)+$" * 50}, {"guided_regex": "(((" * 500}, {"stop": [text] * 20}, {"n": 100_000},
                {"logit_bias": {text[:50]: 1}}, {"tools": [{"type": "function", "function": {"name": text[:70]}}]},
                {"chat_template_kwargs": {"messages": 1}}, {text[:40]: value}, {"logprobs": 10**9},
            ]
        )  # fmt: skip
        keep = random.sample(sorted(data), random.randint(1, 4))
        yield json.dumps({key: data[key] for key in {*keep, "model"}} | extra).encode()


class Streams:
    """Eight clients that ask and listen, and note how each stream ended and how long nothing came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ends: Counter[str] = Counter()
        self.longest_gap = 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._listen) for _ in range(8)]

    def __enter__(self) -> Streams:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        body = {"model": "tiny", "messages": [{"role": "user", "content": "go on"}], "max_tokens": 60, "stream": True}
        with httpx.Client(timeout=120, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    self.ends[self._one(client, {**body, "ignore_eos": True})] += 1
                except httpx.HTTPError as error:  # noqa: PERF203 - each is counted
                    self.ends[type(error).__name__] += 1

    def _one(self, client: httpx.Client, body: dict[str, object]) -> str:
        at, last = time.monotonic(), ""
        with client.stream("POST", f"{self.url}{CHAT}", json=body) as answer:
            for line in answer.iter_lines():
                self.longest_gap = max(self.longest_gap, time.monotonic() - at)
                at, last = time.monotonic(), line or last
        return "done" if last == "data: [DONE]" else f"cut: {last[:80]}"


RAW = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x00" * 2000,
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999\r\n\r\n{",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"X" * 70_000,
)


def raw(port: int, data: bytes) -> bytes:
    """The first line that the server answers to bytes that are hardly HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        try:
            return connection.recv(200).split(b"\r\n")[0]
        except OSError:
            return b""


def attack(url: str, port: int, count: int) -> list[tuple[str, int, str]]:
    """``count`` hostile requests; what came back as an error of the server's own."""
    chance = random.Random(SEED)
    made = bodies(chance)
    bad: list[tuple[str, int, str]] = []
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        for number in range(count):
            if number % 10 == 0:
                line = raw(port, chance.choice(RAW))
                if line.startswith(b"HTTP/1.1 5"):
                    bad.append(("raw", 500, line.decode("latin-1")))
            elif number % 7 == 0:
                path = chance.choice(PATHS)
                answer = client.request(chance.choice(["GET", "DELETE", "PUT", "POST", "PATCH"]), path)
                if answer.status_code >= 500 and not allowed(answer):
                    bad.append((path[:80], answer.status_code, answer.text[:200]))
            else:
                path, body = chance.choice(POSTS), next(made)
                kind = chance.choice(["application/json"] * 6 + ["text/plain", "multipart/form-data", ""])
                answer = client.post(path, content=body, headers={"Content-Type": kind})
                if answer.status_code >= 500 and not allowed(answer):
                    bad.append((f"{path} {body[:120]!r}", answer.status_code, answer.text[:200]))
    return bad


def allowed(answer: httpx.Response) -> bool:
    """501: something is not installed here, said with the command that installs it; 503: the page is not built here, said
    with the command that builds it. No faults of the server's."""
    if answer.status_code == 503:
        return "<code>make ui</code>" in answer.text
    return answer.status_code == 501 and bool(answer.json().get("error"))


@pytest.mark.slow
def test_three_hundred_hostile_requests_while_eight_streams_run(gateway: RunningGateway) -> None:
    with Streams(gateway.url) as alone:
        time.sleep(3)
    with Streams(gateway.url) as streams:
        bad = attack(gateway.url, gateway.port, 300)
    assert bad == []
    assert set(streams.ends) == {"done"}, streams.ends
    served = gateway.supervisor.states()["tiny"]
    assert (served.state, served.restarts) == ("ready", 0)
    print(
        f"streams {sum(streams.ends.values())}, longest wait between two lines {streams.longest_gap:.2f} s, "
        f"without the attack {alone.longest_gap:.2f} s"
    )
