"""What a person's machine has to hold: memory of the gateway and of the engine while streams run for minutes.

    python benchmarks/memory.py                            # zhilu-nano, 16 streams, 10 minutes
    python benchmarks/memory.py --model PATH --streams 16 --minutes 10 --json

Starts `zhilu serve` and its engine as real processes; every stream is followed at once by another, with prompts of mixed
lengths that are never the same. The bars: the engine holds at most its weights, the key-value memory that its log states and
200 MB; the gateway at most 200 MB; neither has grown by more than 3 % over the second half. Exit code 1 otherwise.
Megabytes are millions of bytes of resident memory (RSS), libraries and mapped files included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from soak import serve

from zhilu.models.inspect import estimate_memory

MB = 1_000_000
ROOM = 200  # MB beyond weights and key-value memory, and the gateway's whole share
FLAT = 1.03
NANO = Path(__file__).parents[1] / "src/zhilu/models/shipped/nano"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=NANO, help="a model folder or a GGUF file (default: zhilu-nano)")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--json", action="store_true", dest="as_json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process, url = serve(args.model, Path(folder) / "home")
        try:
            report = asyncio.run(Streams(url, args.model, psutil.Process(process.pid), args.streams).run(args.minutes))
        finally:
            process.terminate()
            process.wait(60)
    print(json.dumps(report, indent=1) if args.as_json else _table(report))
    return 1 if report["missed"] else 0


def _table(report: dict[str, Any]) -> str:
    return "\n".join(f"{key:<28} {value}" for key, value in report.items() if key != "trace")


class Streams:
    def __init__(self, url: str, model: Path, gateway: psutil.Process, streams: int) -> None:
        self.model, self.num_streams = model, streams
        self.name = model.stem if model.is_file() else model.name
        self.gateway, self.url = gateway, url
        self.random = random.Random(0)
        self.trace: list[dict[str, float]] = []
        self.tokens = 0

    async def run(self, minutes: float) -> dict[str, Any]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=self.url, timeout=600.0, trust_env=False, limits=limits) as http:
            await self._stream(http)  # waits for the engine
            (row,) = (await http.get("/zhilu/v1/engines/running")).json()
            engine = psutil.Process(row["pid"])
            kv = await self._kv_megabytes(http)
            end = time.monotonic() + minutes * 60
            watching = asyncio.create_task(self._watch(engine, end))
            await asyncio.gather(*(self._keep_streaming(http, end) for _ in range(self.num_streams)))
            await watching
        return self._report(kv)

    async def _keep_streaming(self, http: httpx.AsyncClient, end: float) -> None:
        while time.monotonic() < end:
            await self._stream(http)

    async def _stream(self, http: httpx.AsyncClient) -> None:
        words = self.random.choices(
            ["alpha", "beta", "gamma", "你好", "世界", "delta"], k=self.random.choice([4, 40, 400])
        )
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": " ".join(words)}],
            "max_tokens": self.random.choice([16, 64, 256]),
            "stream": True,
        }
        async with http.stream("POST", "/v1/chat/completions", json=body) as reply:
            reply.raise_for_status()
            async for line in reply.aiter_lines():
                self.tokens += line.startswith("data: {")

    async def _watch(self, engine: psutil.Process, end: float) -> None:
        started = time.monotonic()
        while time.monotonic() < end:
            sizes = {"gateway_mb": self.gateway.memory_info().rss / MB, "engine_mb": engine.memory_info().rss / MB}
            self.trace.append({"seconds": round(time.monotonic() - started), **sizes})
            await asyncio.sleep(5)

    async def _kv_megabytes(self, http: httpx.AsyncClient) -> float:
        """As the engine states it: the size of its key-value memory in tokens, times what a token takes in 32-bit floats."""
        text = (await http.get("/metrics")).text
        found = re.search(r'kv_cache_size_tokens="(\d+)"', text)
        folder = self.model.parent if self.model.is_file() else self.model
        per_token = estimate_memory(folder).kv_bytes_per_token  # at 16 bits a value; a CPU computes in 32
        return int(found[1]) * 2 * per_token / MB if found and per_token else 0.0

    def _report(self, kv: float) -> dict[str, Any]:
        files = [self.model] if self.model.is_file() else list(self.model.glob("*.safetensors"))
        weights = sum(file.stat().st_size for file in files) / MB
        half = [row for row in self.trace if row["seconds"] >= self.trace[-1]["seconds"] / 2]
        peak = {name: max(row[name] for row in self.trace) for name in ("gateway_mb", "engine_mb")}
        growth = {name: half[-1][name] / half[0][name] for name in peak}
        bars = {"engine_mb": weights + kv + ROOM, "gateway_mb": ROOM}
        missed = [f"{name} {peak[name]:.0f} over {bars[name]:.0f}" for name in peak if peak[name] > bars[name]]
        missed += [f"{name} grew by {growth[name] - 1:.1%} in the second half" for name in peak if growth[name] > FLAT]
        return {
            "weights_mb": round(weights, 1),
            "kv_mb": round(kv, 1),
            "engine_peak_mb": round(peak["engine_mb"], 1),
            "engine_bar_mb": round(bars["engine_mb"], 1),
            "gateway_peak_mb": round(peak["gateway_mb"], 1),
            "gateway_bar_mb": ROOM,
            "second_half": {name: f"{value - 1:+.1%}" for name, value in growth.items()},
            "events": self.tokens,
            "missed": missed,
            "trace": self.trace,
        }


if __name__ == "__main__":
    sys.exit(main())
