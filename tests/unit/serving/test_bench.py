"""`zhilu bench serve`: what is asked, what is made of the answers, and a run against a real socket."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from zhilu.errors import UpstreamError
from zhilu.serving.bench.load import Load, Target
from zhilu.serving.bench.measure import Sample, measure_load
from zhilu.serving.bench.report import Result, bars, percentile, rows, svg

TARGET = Target("a", "http://127.0.0.1:1/v1", "m", "sk-secret")


def test_targets_are_asked_the_same_and_no_prompt_is_like_another() -> None:
    load = Load(20, spread=0.5, seed=3)
    first, again = list(load.bodies("m")), list(load.bodies("m"))
    assert first == again
    assert len({body["messages"][0]["content"] for body in first}) == 20
    lengths = [len(body["messages"][0]["content"].split()) for body in first]
    assert 64 <= min(lengths) < max(lengths) <= 192
    assert {body["max_tokens"] for body in Load(5, output_len=9).bodies("m")} == {9}


def test_arrivals_come_at_the_rate() -> None:
    moments = list(Load(2000, None, 10.0).arrivals())
    assert moments == sorted(moments)
    assert 1999 / moments[-1] == pytest.approx(10, rel=0.1)
    gaps = [b - a for a, b in pairwise(moments)]
    assert max(gaps) > 4 * min(gaps)  # at random, not evenly
    assert set(Load(5, 2).arrivals()) == {0.0}


def test_percentiles() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile([0, 10], 90) == pytest.approx(9)
    assert percentile([7], 99) == 7


def sample(start: float, error: str = "") -> Sample:
    pieces = [] if error else [start + 0.1, start + 0.15, start + 0.2]
    return Sample(start, start + 0.25, pieces, 5, 3, error)


def test_figures_are_of_answered_requests_and_errors_are_counted() -> None:
    result = Result(TARGET, Load(3), [sample(0.0), sample(0.5), sample(0.6, "HTTP 429: busy")])
    data = result.data()
    assert (data["answered"], data["errors"]) == (2, {"HTTP 429: busy": 1})
    assert data["ttft_ms"]["p50"] == pytest.approx(100)
    assert data["tpot_ms"]["p50"] == pytest.approx(50)
    assert data["itl_ms"]["p99"] == pytest.approx(50)
    assert data["seconds"] == pytest.approx(0.85)
    assert data["output_tokens_per_second"] == pytest.approx(6 / 0.85, rel=1e-3)
    assert "secret" not in json.dumps(data)


def test_the_plots_show_every_result() -> None:
    results = [Result(TARGET, Load(1), [sample(0.0)]), Result(Target("<b>", "u", "m"), Load(1, 8))]
    text = "\n".join(bars(results))
    assert "a x1" in text and "<b> x8" in text and "█" in text
    picture = ElementTree.fromstring(svg(results))
    assert len(picture.findall("{http://www.w3.org/2000/svg}rect")) == 8
    assert len(rows(results)) == 2


async def _serve(script: bytes, status: int = 200) -> tuple[asyncio.Server, str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        body = json.loads(await reader.readexactly(length))
        if status == 200 and "ignore_eos" in body:
            content, code = b'{"error": {"message": "unknown parameter ignore_eos"}}', 400
        else:
            content, code = script, status
        writer.write(
            f"HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def events(*chunks: dict) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


async def _measure(script: bytes, status: int = 200) -> list[Sample]:
    server, url = await _serve(script, status)
    async with server:
        samples: list[Sample] = []
        await measure_load(Target("t", url, "m"), Load(6, 2), samples)
        return samples


def test_a_server_without_ignore_eos_is_asked_without_it() -> None:
    delta = {"choices": [{"index": 0, "delta": {"content": "x"}}]}
    used = {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}
    samples = asyncio.run(_measure(events(delta, delta, used) + b"data: [DONE]\n\n"))
    assert [s.error for s in samples] == [""] * 6
    assert {(s.prompt_tokens, s.output_tokens, len(s.pieces)) for s in samples} == {(4, 2, 2)}


def test_a_server_that_refuses_is_told_with_its_words() -> None:
    with pytest.raises(UpstreamError, match="overloaded"):
        asyncio.run(_measure(b'{"error": {"message": "overloaded"}}', 500))
