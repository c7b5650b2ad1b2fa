"""Engines that misbehave, seen through the gateway: the client always gets a valid answer or a valid error."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.catalog import FixedCatalog
from zhilu.serving.facts import ServedModel
from zhilu.serving.proofs.conformance import connect_openai
from zhilu.serving.served import Limits
from zhilu.serving.supervise.engine_process import EngineProcess
from zhilu.serving.testing import ScriptedEngine


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    registry: Registry[Any] = Registry(T("engine", "引擎"))
    registry.add("scripted", ScriptedEngine())
    state = {"catalog": FixedCatalog(ServedModel("echo", Path("/nowhere"))), "registry": registry}
    with run_gateway(
        tmp_path_factory.mktemp("faults"), {"model": "echo"}, **state, limits=Limits(in_flight=3)
    ) as running:
        yield running


def ask(gateway: RunningGateway, words: str, **params: Any) -> httpx.Response:
    body = {"model": "echo", "messages": [{"role": "user", "content": words}], **params}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30.0, trust_env=False)


def streaming(gateway: RunningGateway, words: str) -> AbstractContextManager[httpx.Response]:
    body = {"model": "echo", "messages": [{"role": "user", "content": words}], "stream": True}
    return httpx.stream("POST", f"{gateway.url}/v1/chat/completions", json=body, timeout=30.0, trust_env=False)


def test_a_stream_whose_engine_dies_ends_with_a_valid_error(gateway: RunningGateway) -> None:
    text = ask(gateway, "die 3", stream=True).text
    parts = [part for part in text.split("\n\n") if part]
    assert "half" not in text  # the half event was not let through
    assert [json.loads(part[6:])["choices"][0]["delta"]["content"] for part in parts[:3]] == ["t0 ", "t1 ", "t2 "]
    error = json.loads(parts[3][6:])["error"]
    assert error["code"] == "engine_lost"
    assert error["messages"]["zh"]
    assert parts[4:] == ["data: [DONE]"]
    assert ask(gateway, "hello").status_code == 200  # and it is back


def test_the_official_client_raises_that_error(gateway: RunningGateway) -> None:
    with connect_openai(f"{gateway.url}/v1", None, 30.0) as client:
        stream = client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "die 2"}], stream=True
        )
        with pytest.raises(openai.APIError, match="went away"):
            list(stream)
    assert ask(gateway, "hello").status_code == 200


def test_an_error_of_the_engine_is_passed_on_as_it_is(gateway: RunningGateway) -> None:
    reply = ask(gateway, "refuse")
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "too long by 7 tokens"
    assert ask(gateway, "refuse", stream=True).status_code == 400


def test_a_full_queue_says_when_to_come_back(gateway: RunningGateway) -> None:
    with ExitStack() as readers:
        read = [readers.enter_context(streaming(gateway, "slow 5000")).iter_lines() for _ in range(3)]
        assert all(next(lines) for lines in read)  # all three are being answered, however slow this machine is
        refused = [ask(gateway, "hello") for _ in range(3)]
        assert [reply.status_code for reply in refused] == [429] * 3
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert refused[0].json()["error"]["code"] == "rate_limit_exceeded"
    deadline = time.monotonic() + 30
    while (reply := ask(gateway, "hello")).status_code != 200:  # the readers left: their places are free
        assert reply.status_code == 429 and time.monotonic() < deadline
        time.sleep(0.05)


def test_pieces_are_passed_on_as_they_come(gateway: RunningGateway) -> None:
    with streaming(gateway, "slow 50") as stream:
        times = [time.monotonic() for line in stream.iter_lines() if line.startswith("data: {")]
    assert len(times) == 8
    assert max(times) - min(times) > 0.25  # not collected and sent at once


def test_a_broken_stream_is_counted(gateway: RunningGateway) -> None:
    ask(gateway, "die 1", stream=True)
    ask(gateway, "hello")
    text = httpx.get(f"{gateway.url}/metrics", trust_env=False).text
    assert 'zhilu_gateway_broken_streams_total{model="echo",endpoint="/v1/chat/completions"}' in text
    assert 'scripted_aborted_total{model="echo"}' in text


def test_a_stream_with_a_chunk_that_is_none_ends_with_an_error_event(gateway: RunningGateway) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "odd 2"}], "stream": True}
    text = httpx.post(f"{gateway.url}/api/chat", json=body, timeout=30, trust_env=False).text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["message"]["content"] for line in lines[:-1]] == ["t0 ", "t1 "]
    assert "unexpected went wrong" in lines[-1]["error"]


def test_a_request_that_meets_a_just_killed_engine_waits_for_the_next_one(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection: nothing was sent. On a busy machine the supervisor hears late that the engine has ended."""
    wait = EngineProcess.wait

    async def hear_late(self: EngineProcess) -> int:
        code = await wait(self)
        await asyncio.sleep(1.0)
        return code

    monkeypatch.setattr(EngineProcess, "wait", hear_late)
    for _ in range(2):  # the watcher of the second engine is the first that hears late
        ask(gateway, "hello")
        (served,) = gateway.supervisor.states().values()
        assert served.process is not None
        killed, restarts = served.process.id.pid, served.restarts
        os.kill(killed, signal.SIGKILL)
        reply = ask(gateway, "hello")
        assert reply.status_code == 200, reply.text
        assert served.restarts == restarts + 1 and f"pid {killed}" not in reply.text
