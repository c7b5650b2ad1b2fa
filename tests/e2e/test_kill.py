"""kill -9 at random moments: of the engine, and of the gateway itself. Real processes, `zhilu up` as a person starts it.

ZHILU_KILLS says how often (CI: 20). The service must be back within ten seconds each time, with nothing left over.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from zhilu.engine.testing import make_tiny_model
from zhilu.serving.supervise.ports import reserve_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = int(os.environ.get("ZHILU_KILLS", "5"))
BACK_WITHIN = 10.0  # seconds, on a machine that has nothing else to do
BODY = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "temperature": 0}
LONG = {**BODY, "stream": True, "max_tokens": 3000, "n": 4, "temperature": 1, "ignore_eos": True}


class Service:
    """`zhilu up` on one home and one port, started again and again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = reserve_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)

    def start(self) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("ZHILU_")}
        env |= {"ZHILU_HOME": str(self.home), "ZHILU_MODEL": "tiny", "ZHILU_THREADS": "1"}
        env |= {"ZHILU_STARTER": "none", "ZHILU_TORCH": "none"}  # nothing from the network
        command = [sys.executable, "-m", "zhilu", "up", "--port", str(self.port), "--no-open"]
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def answer(self) -> dict[str, Any]:
        """One answer, as soon as there is a server that gives one."""
        while True:
            assert self.process.poll() is None, (self.home / "up.log").read_text()[-3000:]
            with suppress(httpx.TransportError):
                reply = self.http.post("/v1/chat/completions", json=BODY)
                assert reply.status_code == 200, reply.text
                return dict(reply.json())
            time.sleep(0.02)

    def engines(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "zhilu.engine.server" in " ".join(_command(child))]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def _budget() -> float:
    """Ten seconds, and as much longer as there are more processes that want a core than cores."""
    return BACK_WITHIN * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "models").mkdir()
    make_tiny_model(tmp_path / "models" / "tiny")
    service = Service(tmp_path)
    service.start()
    try:
        yield service
    finally:
        service.http.close()
    engines = service.engines() if service.process.poll() is None else []
    assert service.stop() in (0, -signal.SIGTERM)  # uvicorn ends by the signal it was sent, once it has shut down
    assert not [engine for engine in engines if engine.is_running()], "the gateway left an engine behind"


@contextmanager
def busy(service: Service, results: list[str], clients: int = 2) -> Iterator[None]:
    """Clients that stream long answers; what each received, to its end, goes into ``results``."""

    def stream() -> None:
        text = ""
        with suppress(httpx.TransportError):
            with httpx.stream(
                "POST", f"{service.url}/v1/chat/completions", json=LONG, timeout=30, trust_env=False
            ) as r:
                for part in r.iter_text():
                    text += part
            results.append(text)

    threads = [threading.Thread(target=stream) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(60)


def test_the_engine_is_back_after_every_kill(service: Service, record_property: Any) -> None:
    chance = random.Random(20)
    service.answer()
    times = []
    for _ in range(KILLS):
        results: list[str] = []
        with busy(service, results):
            time.sleep(chance.uniform(0.0, 1.0))
            (engine,) = service.engines()
            killed = time.monotonic()
            engine.send_signal(signal.SIGKILL)
            service.answer()
            times.append(time.monotonic() - killed)
        assert len(results) == 2
        for text in results:  # the stream ended as a stream: every event whole, the last one saying so
            events = [event for event in text.split("\n\n") if event]
            assert events[-1] == "data: [DONE]", text[-300:]
            for event in events[:-1]:
                json.loads(event.removeprefix("data: "))
        assert max(times) < _budget(), times
    (row,) = service.http.get("/zhilu/v1/engines/running").json()
    assert row["restarts"] >= KILLS
    assert row["state"] == "ready"
    _report("engine", times, record_property)


def test_the_gateway_is_back_after_every_kill(service: Service, record_property: Any) -> None:
    chance = random.Random(7)
    times = []
    for number in range(KILLS):
        if number % 2:  # in the middle of answers; else at some moment of its start
            service.answer()
            with busy(service, []):
                time.sleep(chance.uniform(0.1, 0.8))
                orphans = service.engines()
                service.kill()
        else:
            time.sleep(chance.uniform(0.2, 4.0))
            orphans = service.engines()
            service.kill()
        started = time.monotonic()
        service.start()
        assert service.answer()["usage"]["completion_tokens"] == 4
        times.append(time.monotonic() - started)
        assert max(times) < _budget(), times
        _, alive = psutil.wait_procs(orphans, timeout=_budget())
        assert not alive, "an engine outlived its gateway"
        _assert_no_half_state(service)
    _report("gateway", times, record_property)


def _assert_no_half_state(service: Service) -> None:
    records = json.loads((service.home / "run" / "engines.json").read_text())
    assert all(record["owner"]["pid"] == service.process.pid for record in records)
    assert all(psutil.pid_exists(record["process"]["pid"]) for record in records if record["process"])
    assert not list((service.home / "run").glob(".engines.json*.tmp"))
    assert json.loads((service.home / "run" / "gateway.json").read_text())["pid"] == service.process.pid
    for log in (service.home / "logs").glob("usage.jsonl*"):
        for line in log.read_text().splitlines():
            json.loads(line)
    assert service.http.get("/v1/models/tiny").json()["state"] == "ready"


def test_a_post_that_offers_http2_keeps_its_body(service: Service) -> None:
    """The JDK's HttpClient sends ``Upgrade: h2c``; uvicorn with httptools then loses the body (uvicorn#2722)."""
    service.answer()
    body = json.dumps(BODY).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as sock:
        sock.sendall(head.encode())
        for part in (body[:20], body[20:], b""):
            time.sleep(0.05)
            sock.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        with HTTPResponse(sock, method="POST") as reply:
            reply.begin()
            assert reply.status == 200
            assert json.loads(reply.read())["usage"]["completion_tokens"] == 4
    # uvicorn takes the offer for a WebSocket that it has no library for, and would warn with every request
    said = (service.home / "up.log").read_text().lower()
    assert "upgrade" not in said and "websocket" not in said


def _report(what: str, times: list[float], record_property: Any) -> None:
    """Shown with ``-s``, and kept in a JUnit report."""
    figures = f"{what} killed {len(times)} times, back after {min(times):.1f} to {max(times):.1f} s"
    record_property("figures", figures)
    print(f"\n{figures}: {[round(seconds, 1) for seconds in times]}")
