"""Does it hold? Thousands of requests of mixed lengths, some cancelled, the engine killed on the way.

    python benchmarks/soak.py                                  # 10,000 requests, a tiny random model
    python benchmarks/soak.py --model PATH --requests 2000 --parallel 32 --json

Starts `zhilu serve` and its engine as real processes. Every request must end in a whole answer or in a clear error (an HTTP
error with a message, or an error event and the end of the stream); whoever cancels must not leave work behind. At the end:
no sequence is left at the engine and no block of its KV cache is held; the gateway's memory is within 5 % of what it was
after the warm-up, and the engine's within 5 % of what it was after warming up from its last restart. Exit code 1 otherwise.
``trace`` in the JSON: requests done, megabytes of the gateway and of the engine, and KV blocks that hold something, along the way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

CANCELLED = 0.05
MEMORY = 1.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder (default: a tiny random one)")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--parallel", type=int, default=24)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", dest="as_json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or _tiny(Path(folder) / "tiny")
        process, url = serve(model, Path(folder) / "home")
        try:
            soak = Soak(url, model.name, process.pid, args)
            report = asyncio.run(soak.run())
        finally:
            process.terminate()
            process.wait(60)
    print(json.dumps(report, indent=1) if args.as_json else _table(report))
    return 1 if report["wrong"] else 0


def _table(report: dict[str, Any]) -> str:
    return "\n".join(f"{key:<28} {value}" for key, value in report.items() if key != "trace")


def _tiny(folder: Path) -> Path:
    from zhilu.engine.testing import make_tiny_model

    return Path(make_tiny_model(folder))


def serve(model: Path, home: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "zhilu", "--home", str(home), "serve", str(model), "--port", "0", "--json"]
    env = {**os.environ, "ZHILU_THREADS": os.environ.get("ZHILU_THREADS", "1")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    assert process.stdout is not None
    text = ""
    for line in process.stdout:  # the JSON object that it prints once it answers
        text += line
        if line.startswith("}"):
            break
    return process, str(json.loads(text)["url"]).removesuffix("/v1")


class Soak:
    def __init__(self, url: str, model: str, gateway: int, args: argparse.Namespace) -> None:
        self.url, self.model, self.args = url, model, args
        self.gateway = psutil.Process(gateway)
        self.random = random.Random(args.seed)
        self.outcomes: Counter[str] = Counter()
        self.strange: list[str] = []
        self.num_done = 0
        self.trace: list[dict[str, float]] = []
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=args.parallel)
        self.http = httpx.AsyncClient(base_url=url, timeout=300.0, trust_env=False, limits=limits)

    async def run(self) -> dict[str, Any]:
        async with self.http:
            await self._answer(self._body(stream=False))
            started = time.monotonic()
            warm = max(50, self.args.requests // 10)
            # Legs of equal length between the kills; the engine is killed while requests are in flight.
            leg = self.args.requests // (self.args.kills + 1)
            await self._ask(warm)
            memory = {"gateway_mb_warm": self._megabytes(self.gateway)}
            for _ in range(self.args.kills):
                asking = asyncio.create_task(self._ask(leg))
                await self._until(self.num_done + leg // 2, asking)
                os.kill((await self._engine())["pid"], signal.SIGKILL)
                await asking
            await self._ask(warm)
            memory["engine_mb_warm"] = self._megabytes(psutil.Process((await self._engine())["pid"]))
            await self._ask(max(leg, self.args.requests - self.num_done))
            engine = await self._engine()
            state = await self._settled(engine)
            memory["gateway_mb_end"] = self._megabytes(self.gateway)
            memory["engine_mb_end"] = self._megabytes(psutil.Process(engine["pid"]))
            return self._report(memory, state, engine, time.monotonic() - started)

    async def _ask(self, count: int) -> None:
        """In ten parts, each of which leaves a line in the trace."""
        for part in range(10):
            await self._ask_together(count * (part + 1) // 10 - count * part // 10)
            with suppress(httpx.TransportError, psutil.NoSuchProcess):  # killed just now: a line is missing
                await self._note_memory()

    async def _note_memory(self) -> None:
        engine = await self._engine()
        blocks = (await self.http.get(f"http://127.0.0.1:{engine['port']}/state")).json()["blocks"]
        self.trace.append(
            {
                "requests": self.num_done,
                "gateway_mb": self._megabytes(self.gateway),
                "engine_mb": self._megabytes(psutil.Process(engine["pid"])),
                "blocks_cached": blocks["cached"],
            }
        )

    async def _ask_together(self, count: int) -> None:
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                self.outcomes[await self._one()] += 1
                self.num_done += 1

        await asyncio.gather(*(worker() for _ in range(self.args.parallel)))

    async def _until(self, done: int, asking: asyncio.Task[None]) -> None:
        while self.num_done < done and not asking.done():
            await asyncio.sleep(0.01)

    def _body(self, stream: bool) -> dict[str, Any]:
        words = " ".join(
            self.random.choices(["alpha", "beta", "gamma", "你好", "世界"], k=self.random.choice([1, 8, 40, 120]))
        )
        limit = self.random.choice([1, 4, 16, 64])
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": words}],
            "max_tokens": limit,
            "temperature": self.random.choice([0, 1]),
            "n": self.random.choice([1, 1, 1, 2]),
            "stream": stream,
        }

    async def _one(self) -> str:
        stream = self.random.random() < 0.6
        body = self._body(stream)
        try:
            if self.random.random() < CANCELLED:
                return await self._cancelled(body)
            return await (self._stream(body) if stream else self._answer(body))
        except httpx.HTTPError as error:  # a connection that breaks off is no clear error
            return self._wrong(f"{type(error).__name__}: {error}")

    async def _answer(self, body: dict[str, Any]) -> str:
        reply = await self.http.post("/v1/chat/completions", json=body)
        if reply.is_error:
            return self._clear_error(reply.status_code, reply.content)
        choices = reply.json()["choices"]
        if len(choices) != body["n"] or any(choice["finish_reason"] not in ("stop", "length") for choice in choices):
            return self._wrong(f"half an answer: {choices!r}")
        return "answered"

    async def _stream(self, body: dict[str, Any]) -> str:
        async with self.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            if reply.is_error:
                return self._clear_error(reply.status_code, await reply.aread())
            ends, error, done = 0, False, False
            async for line in reply.aiter_lines():
                if line == "data: [DONE]":
                    done = True
                elif line.startswith("data: "):
                    chunk = json.loads(line[6:])
                    error = error or bool(chunk.get("error", {}).get("message"))
                    ends += sum(bool(choice["finish_reason"]) for choice in chunk.get("choices", []))
        if not done or not (error or ends == body["n"]):
            return self._wrong(f"a stream that ended early: done={done} error={error} ends={ends}")
        return "error" if error else "answered"

    async def _cancelled(self, body: dict[str, Any]) -> str:
        """Leave at a random moment: before the headers, or in the middle of the stream."""
        asking = asyncio.create_task(self._stream({**body, "stream": True, "max_tokens": 256, "ignore_eos": True}))
        await asyncio.wait([asking], timeout=self.random.random() * 0.3)
        if asking.done():
            return asking.result()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return "cancelled"

    def _clear_error(self, status: int, content: bytes) -> str:
        try:
            message = json.loads(content)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = ""
        if not message or status == 500:
            return self._wrong(f"HTTP {status}: {content[:200]!r}")
        return "error"

    def _wrong(self, what: str) -> str:
        self.strange.append(what)
        return "unclear"

    async def _engine(self) -> dict[str, Any]:
        """The engine's row, once it is ready (it may be coming back)."""
        for _ in range(1200):
            (row,) = (await self.http.get("/zhilu/v1/engines/running")).json()
            if row["state"] == "ready" and row["pid"]:
                return dict(row)
            await asyncio.sleep(0.1)
        raise SystemExit("the engine did not come back within two minutes")

    async def _settled(self, engine: dict[str, Any]) -> dict[str, Any]:
        """The engine's state once nothing runs any more; what it is after 30 s otherwise."""
        state: dict[str, Any] = {}
        for _ in range(300):
            state = (await self.http.get(f"http://127.0.0.1:{engine['port']}/state")).json()
            if not state["running"] and not state["waiting"]:
                break
            await asyncio.sleep(0.1)
        return state

    @staticmethod
    def _megabytes(process: psutil.Process) -> float:
        return round(process.memory_info().rss / 2**20, 1)

    def _report(
        self, memory: dict[str, float], state: dict[str, Any], engine: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        blocks = state["blocks"]
        held = blocks["total"] - blocks["free"]
        wrong = [*self.strange[:5]]
        if state["running"] or state["waiting"]:
            wrong.append(f"{len(state['running'])} running and {len(state['waiting'])} waiting sequences are left")
        if held:
            wrong.append(f"{held} blocks are held")
        if engine["in_flight"]:
            wrong.append(f"the gateway counts {engine['in_flight']} requests in flight")
        if engine["restarts"] != self.args.kills:
            wrong.append(f"{engine['restarts']} restarts after {self.args.kills} kills")
        wrong += [
            f"the {who}'s memory grew from {memory[f'{who}_mb_warm']} to {memory[f'{who}_mb_end']} MB"
            for who in ("gateway", "engine")
            if memory[f"{who}_mb_end"] > MEMORY * memory[f"{who}_mb_warm"]
        ]
        return {
            "requests": self.num_done,
            **dict(self.outcomes),
            "kills": self.args.kills,
            **memory,
            "blocks_total": blocks["total"],
            "blocks_held": held,
            "seconds": round(seconds, 1),
            "trace": self.trace,
            "wrong": wrong,
        }


if __name__ == "__main__":
    sys.exit(main())
