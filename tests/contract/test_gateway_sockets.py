"""Clients that behave badly at the socket: half a request, half a read, gone in the middle. Nobody may be stuck."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model
from zhilu.serving.gateway.stream import EventStream

ENDLESS = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 2000,
    "ignore_eos": True,
    "stream": True,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("sockets")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        assert httpx.post(
            f"{running.url}/v1/completions", json={"prompt": "x", "max_tokens": 1}, timeout=120.0
        ).is_success
        yield running


def eventually(condition: Callable[[], Any], otherwise: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def request(body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def nothing_is_left(gateway: RunningGateway) -> None:
    served = gateway.supervisor.states()["tiny"]
    eventually(lambda: served.in_flight == 0, "the gateway still holds a request")
    assert served.launch is not None

    def idle() -> bool:
        state = httpx.get(f"{served.launch.url}/state", timeout=60.0, trust_env=False).json()
        return not state["running"] and not state["waiting"] and state["blocks"]["free"] == state["blocks"]["total"]

    eventually(idle, "the engine still works, or holds blocks")


def test_consumers_that_stop_anywhere_leave_nothing_behind(gateway: RunningGateway) -> None:
    random_ = random.Random(7)
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as sock:
            sock.sendall(request(ENDLESS))
            left = random_.choice([0, 1, 17, 300, 4000])
            while left > 0:
                data = sock.recv(min(left, random_.choice([1, 7, 64])))
                assert data
                left -= len(data)
            if random_.random() < 0.5:  # a reset instead of an orderly close
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    nothing_is_left(gateway)


def test_half_a_request_holds_nothing(gateway: RunningGateway) -> None:
    whole = request(ENDLESS)
    with ExitStack() as opened:
        for number in range(20):
            sock = opened.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=60))
            sock.sendall(whole[: max(1, len(whole) * number // 20)])
        reply = httpx.post(f"{gateway.url}/v1/completions", json={"prompt": "x", "max_tokens": 1}, timeout=60.0)
        assert reply.status_code == 200  # others are served meanwhile
        # The client may have its answer before the gateway has closed its books.
        eventually(lambda: gateway.supervisor.states()["tiny"].in_flight == 0, "half a request counts as one in flight")
    nothing_is_left(gateway)


def test_a_reader_that_closed_its_writing_side_is_a_client_that_left(gateway: RunningGateway) -> None:
    """Half-open: asyncio takes the end of the input for the end of the connection. What counts is that nothing stays."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as sock:
        sock.sendall(request(ENDLESS))
        assert sock.recv(100)
        sock.shutdown(socket.SHUT_WR)
        nothing_is_left(gateway)


@pytest.mark.parametrize("seed", range(20))
def test_events_are_the_same_however_the_bytes_are_cut(seed: int) -> None:
    """The stream's reader is fed the same bytes in random pieces; CRLF and multi-byte characters are cut in the middle."""
    random_ = random.Random(seed)
    chunks = [{"choices": [{"delta": {"content": text}}]} for text in ("a", "你好", "\n\n", "data: [DONE]", "é" * 40)]
    ending = random_.choice([b"\n\n", b"\r\n\r\n"])
    raw = b"".join(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + ending for chunk in chunks)
    raw += b'data: {"choices": [], "usage": {"prompt_tokens": 1}}' + ending + b"data: [DONE]" + ending
    events = EventStream()
    seen: list[Any] = []
    while raw:
        size = random_.randint(1, 9)
        seen += events.chunks(raw[:size])
        raw = raw[size:]
    assert seen[:-1] == chunks
    assert events.finished
    assert events.usage == {"prompt_tokens": 1}
