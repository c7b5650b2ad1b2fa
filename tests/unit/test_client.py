"""The wire client against servers that misbehave; against a real engine it is tested in tests/contract."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import httpx
import psutil
import pytest

from zhilu.client import GATEWAY_FILE, ModelClient, connect, running_gateway
from zhilu.context import open_context
from zhilu.errors import (
    AuthError,
    BusyError,
    InputError,
    NotFoundError,
    UnreachableError,
    UnsupportedError,
    UpstreamError,
    ZhiluError,
)
from zhilu.home import atomic_write


def client_of(answer: httpx.Response | Exception) -> ModelClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ModelClient("http://127.0.0.1:1/v1", transport=httpx.MockTransport(handle))


async def chat(client: ModelClient) -> Any:
    async with client:
        return await client.chat([{"role": "user", "content": "hi"}], model="m")


async def stream(client: ModelClient) -> list[dict[str, Any]]:
    async with client:
        return [chunk async for chunk in client.chat_stream([{"role": "user", "content": "hi"}], model="m")]


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"message": "no", "code": "unsupported_parameter", "param": "topp"}, UnsupportedError),
        (400, {"message": "too long"}, InputError),
        (401, {"message": "key"}, AuthError),
        (404, {"message": "model"}, NotFoundError),
        (429, {"message": "full"}, BusyError),
        (500, {"message": "boom"}, UpstreamError),
        (503, {"message": "starting"}, UnreachableError),
    ],
)
def test_errors_come_back_as_ours(status: int, error: dict[str, Any], expected: type[ZhiluError]) -> None:
    response = httpx.Response(status, json={"error": error}, headers={"Retry-After": "7"})
    with pytest.raises(expected) as caught:
        asyncio.run(chat(client_of(response)))
    assert type(caught.value) is expected
    assert caught.value.message.en == error["message"] and caught.value.param == error.get("param")
    if isinstance(caught.value, BusyError):
        assert caught.value.retry_after == 7


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"[1]", b'{"error": "words"}'])
def test_a_server_that_does_not_speak_the_protocol(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        asyncio.run(chat(client_of(httpx.Response(502, content=body))))
    if body.startswith(b"<"):
        with pytest.raises(UpstreamError, match="not JSON"):
            asyncio.run(chat(client_of(httpx.Response(200, content=body))))


def test_nobody_there() -> None:
    with pytest.raises(UnreachableError, match="No model answers") as caught:
        asyncio.run(chat(client_of(httpx.ConnectError("refused"))))
    assert caught.value.fix == "zhilu up"


def sse(*events: str) -> httpx.Response:
    return httpx.Response(200, text="".join(f"{event}\n\n" for event in events))


def test_a_stream_with_comments_and_without_the_space() -> None:
    chunks = asyncio.run(stream(client_of(sse(": ping", 'data:{"n": 1}', 'event: x\ndata: {"n": 2}', "data: [DONE]"))))
    assert [chunk["n"] for chunk in chunks] == [1, 2]


def test_a_stream_that_breaks_off_is_an_error_and_not_an_end() -> None:
    with pytest.raises(UpstreamError, match="broke off"):
        asyncio.run(stream(client_of(sse('data: {"n": 1}'))))


def test_an_error_inside_a_stream() -> None:
    event = json.dumps({"error": {"message": "engine died", "messages": {"en": "engine died", "zh": "引擎挂了"}}})
    with pytest.raises(UpstreamError) as caught:
        asyncio.run(stream(client_of(sse('data: {"n": 1}', f"data: {event}"))))
    assert caught.value.message.zh == "引擎挂了"


def test_embeddings_are_in_the_order_of_the_texts() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]

    async def run() -> list[list[float]]:
        async with client_of(httpx.Response(200, json={"data": data})) as client:
            return await client.embeddings(["a", "b"], model="m")

    assert asyncio.run(run()) == [[1.0], [2.0]]


def test_a_dead_gateway_is_not_believed() -> None:
    context = open_context()
    started = psutil.Process().create_time()
    state = {"url": "http://127.0.0.1:5", "pid": os.getpid(), "pid_started": started}
    atomic_write(context.home.run / GATEWAY_FILE, json.dumps(state))
    assert running_gateway(context.home.run) == "http://127.0.0.1:5"
    atomic_write(context.home.run / GATEWAY_FILE, json.dumps({**state, "pid_started": started - 100}))
    assert running_gateway(context.home.run) is None
    atomic_write(context.home.run / GATEWAY_FILE, "{broken")
    assert running_gateway(context.home.run) is None


def test_a_configured_url_is_used_and_nothing_is_started() -> None:
    context = open_context({"base_url": "http://127.0.0.1:9/v1"})

    async def run() -> str:
        async with connect(context) as client:
            return client.base_url

    assert asyncio.run(run()) == "http://127.0.0.1:9/v1"
    assert not (context.home.logs / "ephemeral.log").exists()
