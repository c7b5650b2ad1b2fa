"""The load: completions streamed over plain sockets, so that the client costs the machine as little as it can."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """When one request's parts came, in seconds after it was sent."""

    first: float = 0.0
    last: float = 0.0
    num_events: int = 0
    num_tokens: int = 0
    text: str = ""


@dataclass
class Figures:
    """Of one workload: all requests were sent together, each on its own connection."""

    wall: float
    answers: list[Answer] = field(default_factory=list)

    @property
    def num_tokens(self) -> int:
        return sum(answer.num_tokens for answer in self.answers)

    @property
    def tokens_per_s(self) -> float:
        return self.num_tokens / self.wall

    @property
    def decode_per_s(self) -> float:
        """Of a single stream, without its prompt."""
        answer = self.answers[0]
        return (answer.num_tokens - 1) / (answer.last - answer.first)


def run_batch(port: int, bodies: Sequence[dict[str, Any]], timeout: float = 600) -> Figures:
    """Send all bodies to ``/v1/completions`` at once and wait for the last answer."""

    async def go() -> Figures:
        begin = time.perf_counter()
        answers = await asyncio.wait_for(asyncio.gather(*(_stream(port, body) for body in bodies)), timeout)
        return Figures(time.perf_counter() - begin, list(answers))

    return asyncio.run(go())


async def _stream(port: int, body: dict[str, Any]) -> Answer:
    data = json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    transport, received = await loop.create_connection(_Received, "127.0.0.1", port)
    begin = time.perf_counter()
    try:
        transport.write(head.encode() + data)
        await received.whole
    finally:
        transport.close()
    return _read(received.parts, begin)


class _Received(asyncio.Protocol):
    """Keeps what comes and when. It is read once all is over: on two cores the engine pays for what a client does meanwhile."""

    def __init__(self) -> None:
        self.parts: list[tuple[float, bytes]] = []
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.parts.append((time.perf_counter(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.whole.done():
            self.whole.set_exception(exc) if exc else self.whole.set_result(None)


def _read(parts: Sequence[tuple[float, bytes]], begin: float) -> Answer:
    raw = b"".join(data for _, data in parts)
    status, _, _ = raw.partition(b"\r\n")
    if b" 200 " not in status:
        raise RuntimeError(raw.decode("utf-8", "replace")[:2000])
    answer, usage, texts = Answer(), {}, []
    rest = b""
    for moment, data in parts:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(str(event["error"]))
            usage = event.get("usage") or usage
            if event.get("choices"):
                answer.last = moment - begin
                answer.first = answer.first or answer.last
                answer.num_events += 1
                texts.append(event["choices"][0].get("text") or "")
    if "completion_tokens" not in usage:
        raise RuntimeError(f"no usage at the end of the stream; the answer: {''.join(texts)[:200]!r}")
    answer.num_tokens, answer.text = int(usage["completion_tokens"]), "".join(texts)
    return answer
