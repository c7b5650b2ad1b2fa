"""SIGTERM: what runs is finished, what comes is sent elsewhere, and the process ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from zhilu.engine.server.drain import Intake
from zhilu.engine.server.main import main
from zhilu.engine.testing import make_tiny_adapter, make_tiny_model


def test_a_closed_gate_lets_out_and_not_in() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def drive() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://engine") as client:
            begun = asyncio.create_task(client.post("/v1/completions"))
            while not gate.num_open:
                await asyncio.sleep(0)
            gate.is_closed = True
            late = await client.post("/v1/completions", headers={"Accept-Language": "zh"})
            assert late.status_code == 503 and late.headers["retry-after"] == "5"
            assert late.json()["error"]["code"] == "draining" and "正在关闭" in late.json()["error"]["message"]
            assert (await client.get("/health")).json() == {"status": "draining"}
            assert gate.num_open == 1
            release.set()
            assert (await begun).text == "done" and gate.num_open == 0

    release = asyncio.Event()
    gate = Intake(slow)
    asyncio.run(drive())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_an_answer_in_progress_is_finished_and_a_new_one_refused(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "tiny", num_hidden_layers=6, hidden_size=128)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zhilu.engine.server", "--model", str(model), "--name", "tiny", "--threads", "1"]
    command += ["--port", str(port), "--device", "cpu", "--parent-watch", "--speculate", "0"]
    command += ["--lora", f"mine={make_tiny_adapter(tmp_path / 'lora', model)}", "--drain-seconds", "200"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=dict(os.environ))
    assert process.stdin
    url, wish = f"http://127.0.0.1:{port}", {"prompt": "a", "max_tokens": 600, "temperature": 0, "ignore_eos": True}
    answers: list[httpx.Response] = []
    try:
        deadline = time.monotonic() + 200
        while _status(url) != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        long = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/v1/completions", json=wish, timeout=200))
        )
        long.start()
        while not httpx.get(f"{url}/state", timeout=60).json()["running"]:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        while _status(url) == 200:
            time.sleep(0.01)
        refused = httpx.post(f"{url}/v1/completions", json={**wish, "max_tokens": 1}, timeout=60)
        assert refused.status_code == 503 and refused.headers["retry-after"]
        long.join(timeout=200)
        assert answers[0].status_code == 200 and answers[0].json()["usage"]["completion_tokens"] == 600
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)
    finally:
        process.stdin.close()
        if process.poll() is None:
            process.kill()
            process.wait()


def _status(url: str) -> int:
    try:
        return httpx.get(f"{url}/health", timeout=60).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (["--lora", "mine"], "NAME=PATH"),
        (["--lora", "a=x", "--lora", "a=y"], "each name once"),
        (["--lora", "tiny=x"], "not the model's own"),
        (["--speculate", "-1"], "out of range"),
    ],
)
def test_flags_that_cannot_be_end_with_the_reason(
    arguments: list[str], needle: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHILU_LANG", "en")
    assert main(["--model", "nowhere", "--name", "tiny", *arguments]) == 2
    assert needle in capsys.readouterr().err


def test_the_gate_counts_what_fails_too() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("broken")

    gate = Intake(broken)
    scope = {"type": "http", "path": "/v1/completions", "headers": []}
    with pytest.raises(RuntimeError):
        asyncio.run(gate(scope, None, None))  # type: ignore[arg-type]
    assert gate.num_open == 0
