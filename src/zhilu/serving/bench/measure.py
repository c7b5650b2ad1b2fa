"""Sends the requests and records when each piece arrives.

Nothing is parsed twice, because the client itself must not become what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from zhilu.errors import UnreachableError, UpstreamError
from zhilu.messages import T
from zhilu.serving.bench.load import Load, Target
from zhilu.serving.gateway.stream import EventStream

__all__ = ["Sample", "measure_load"]


@dataclass
class Sample:
    """One request. Moments are seconds on a clock of this process; ``error`` is empty where it was answered."""

    sent: float
    done: float = 0.0
    pieces: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    error: str = ""

    @property
    def ttft(self) -> float:
        """Seconds to the first piece."""
        return self.pieces[0] - self.sent

    @property
    def tpot(self) -> float | None:
        """Seconds a token after the first; None for a single one."""
        return (self.pieces[-1] - self.pieces[0]) / (self.output_tokens - 1) if self.output_tokens > 1 else None

    @property
    def gaps(self) -> list[float]:
        """Seconds between pieces (inter-token latency, where a piece is a token)."""
        return [b - a for a, b in zip(self.pieces, self.pieces[1:], strict=False)]


async def measure_load(
    target: Target,
    load: Load,
    into: list[Sample],
    on_done: Callable[[Sample], None] | None = None,
    timeout: float = 600.0,
) -> None:
    """Ask everything in ``load``; each finished request is added to ``into`` at once, so that an interruption keeps it.

    Raises:
        UnreachableError, UpstreamError: the target does not answer a first request, which is not measured.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
    headers = {"authorization": f"Bearer {target.key}"} if target.key else {}
    local = httpx.URL(target.url).host in ("127.0.0.1", "localhost", "::1")
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=timeout, trust_env=not local) as http:
        extra = await _warm_up(http, target, load)
        gate = asyncio.Semaphore(load.concurrency) if load.rate is None and load.concurrency else None
        started = time.perf_counter()

        async def one(body: Mapping[str, Any], arrival: float) -> None:
            await asyncio.sleep(max(0.0, started + arrival - time.perf_counter()))
            if gate is not None:
                async with gate:
                    sample = await _ask(http, target, load, {**body, **extra})
            else:
                sample = await _ask(http, target, load, {**body, **extra})
            into.append(sample)
            if on_done:
                on_done(sample)

        asked = zip(load.bodies(target.model), load.arrivals(), strict=True)
        tasks = [asyncio.create_task(one(body, arrival)) for body, arrival in asked]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _warm_up(http: httpx.AsyncClient, target: Target, load: Load) -> dict[str, Any]:
    """One request that is not counted: it waits for the engine, and finds out whether it knows ``ignore_eos``."""
    body = next(load.bodies(target.model)) | {"max_tokens": 2}
    for extra in ({"ignore_eos": True}, {}):
        sample = await _ask(http, target, load, {**body, **extra})
        if not sample.error:
            return dict(extra)
        if "ignore_eos" not in sample.error:
            break
    said = T(f"{target.url} does not answer: {sample.error}", f"{target.url} 没有正确应答：{sample.error}")
    error = UpstreamError if sample.error.startswith("HTTP") else UnreachableError
    raise error(said, fix="zhilu engine running")


async def _ask(http: httpx.AsyncClient, target: Target, load: Load, body: Mapping[str, Any]) -> Sample:
    path = "chat/completions" if load.endpoint == "chat" else "completions"
    sample = Sample(time.perf_counter())
    events = EventStream()
    num_pieces = 0
    try:
        async with http.stream("POST", f"{target.url}/{path}", json=body) as response:
            if response.is_error:
                content = await response.aread()
                sample.error = f"HTTP {response.status_code}: {content[:300].decode(errors='replace')}"
            else:
                async for data in response.aiter_raw():
                    now = time.perf_counter()
                    for chunk in events.chunks(data):
                        if "error" in chunk:
                            sample.error = str(chunk["error"])[:300]
                        elif _says_something(chunk):
                            sample.pieces.append(now)
                            num_pieces += 1
    except httpx.HTTPError as error:
        sample.error = str(error) or type(error).__name__
    sample.done = time.perf_counter()
    used = events.usage or {}
    sample.prompt_tokens = int(used.get("prompt_tokens") or 0)
    sample.output_tokens = int(used.get("completion_tokens") or num_pieces)
    if not sample.error and not events.finished:
        sample.error = "the stream ended without [DONE]"
    if not sample.error and not sample.pieces:
        sample.error = "the answer is empty"
    return sample


def _says_something(chunk: Mapping[str, Any]) -> bool:
    """A piece of the answer, or its end: a token may have no text (half a character), and the last one has none."""
    for choice in chunk.get("choices") or []:
        delta = choice.get("delta") or {}
        if choice.get("text") or delta.get("content") or delta.get("reasoning_content") or choice.get("finish_reason"):
            return True
    return False
