"""What the gateway adds: the same requests to the engine directly and through the gateway, taking turns.

    python benchmarks/gateway_overhead.py                       # a tiny random model, so that the engine hides nothing
    python benchmarks/gateway_overhead.py --model PATH --requests 400 --parallel 1 8

Starts `zhilu serve` and its engine as real processes. Time to first token: from the request to the first `data:` line of
a streamed chat. Whole: a chat of one token, not streamed. Median (p50) and 95th percentile, in milliseconds; and the processor
time that the gateway's own process spends on a request. The same for the least that a gateway in Python can be
(`serve/passing.py`: the two hops and nothing else): what it adds no gateway on this machine can save. Throughput: tokens a
second of streamed completions of 128 tokens, as many as are in parallel; the median of rounds that take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from serve.load import run_batch

BODY = {"messages": [{"role": "user", "content": "Say something."}], "temperature": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder (default: a tiny random one)")
    parser.add_argument("--requests", type=int, default=200, help="of each kind, on each way")
    parser.add_argument("--parallel", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=15, help="of the throughput, on each way")
    parser.add_argument("--json", action="store_true", dest="as_json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or _tiny(Path(folder) / "tiny")
        process, url = _serve(model, Path(folder) / "home")
        try:
            gateway = psutil.Process(process.pid)
            rows = [asyncio.run(_measure(url, model.name, args.requests, count, gateway)) for count in args.parallel]
            for row in rows:
                row["throughput"] = _throughput(row["ports"], model.name, row["parallel"], args.rounds)
        finally:
            process.terminate()
            process.wait(30)
    if args.as_json:
        print(json.dumps(rows, indent=1))
        return
    heads = ("engine p50", "gateway p50", "added p50", "added p95", "its CPU", "least added", "its CPU")
    print(f"{'parallel':>8} {'':<12} " + " ".join(f"{head:>11}" for head in heads) + "  ms")
    for row in rows:
        for kind in ("first_token", "whole"):
            direct, through, least = (row[kind][name] for name in ("engine", "gateway", "least"))
            cpu = row[kind]["cpu_ms"]
            figures = (
                direct["p50"],
                through["p50"],
                through["p50"] - direct["p50"],
                through["p95"] - direct["p95"],
                cpu["gateway"],
                least["p50"] - direct["p50"],
                cpu["least"],
            )
            print(f"{row['parallel']:>8} {kind:<12} " + " ".join(f"{figure:>11.2f}" for figure in figures))
        direct, through = row["throughput"]["engine"], row["throughput"]["gateway"]
        print(
            f"{row['parallel']:>8} throughput   {direct:>10.0f} {through:>11.0f} tokens/s: {1 - through / direct:.1%} less"
        )


def _tiny(folder: Path) -> Path:
    from zhilu.engine.testing import make_tiny_model

    return Path(make_tiny_model(folder))


def _serve(model: Path, home: Path) -> tuple[subprocess.Popen[str], str]:
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


async def _measure(url: str, model: str, requests: int, parallel: int, gateway: psutil.Process) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=parallel)
    async with httpx.AsyncClient(timeout=120.0, trust_env=False, limits=limits) as http:
        await _whole(http, url, model)  # waits for the engine
        (row,) = (await http.get(f"{url}/zhilu/v1/engines/running")).json()
        engine = f"http://127.0.0.1:{row['port']}"
        least, port = _least(engine)
        ways = {"engine": engine, "gateway": url, "least": f"http://127.0.0.1:{port}"}
        processes = {"gateway": gateway, "least": psutil.Process(least.pid)}
        result: dict[str, Any] = {"parallel": parallel, "requests": requests, "ready_seconds": row["ready_seconds"]}
        result["ports"] = {name: int(ways[name].rpartition(":")[2]) for name in ("engine", "gateway")}
        for kind, work in (("first_token", _first_token), ("whole", _whole)):
            times: dict[str, list[float]] = {name: [] for name in ways}
            spent = dict.fromkeys(processes, 0.0)
            for number in range(max(1, requests // parallel) + 5):
                for name, base in ways.items():  # taking turns: both see the same machine
                    before = {process: _cpu_seconds(processes[process]) for process in processes}
                    took = await asyncio.gather(*(work(http, base, model) for _ in range(parallel)))
                    if number >= 5:  # warm by then
                        times[name] += took
                        if name in spent:
                            spent[name] += _cpu_seconds(processes[name]) - before[name]
            result[kind] = {name: _summary(values) for name, values in times.items()}
            result[kind]["cpu_ms"] = {name: 1000 * seconds / len(times[name]) for name, seconds in spent.items()}
    least.terminate()
    least.wait(30)
    return result


def _least(engine: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).parent / "serve/passing.py"
    process = subprocess.Popen([sys.executable, script, engine, str(port)])
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.05)
    return process, port


def _throughput(ports: dict[str, int], model: str, parallel: int, rounds: int) -> dict[str, float]:
    fixed = {"model": model, "max_tokens": 128, "temperature": 0, "ignore_eos": True}
    bodies = [{"prompt": f"{number} says something.", **fixed} for number in range(parallel)]
    found: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(rounds + 1):
        for name, port in ports.items():
            found[name].append(run_batch(port, bodies).tokens_per_s)
    return {name: statistics.median(values[1:]) for name, values in found.items()}


async def _first_token(http: httpx.AsyncClient, url: str, model: str) -> float:
    started = time.perf_counter()
    took = 0.0
    body = {**BODY, "model": model, "stream": True, "max_tokens": 2}
    async with http.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not took and line.startswith("data:"):
                took = time.perf_counter() - started
    return took


async def _whole(http: httpx.AsyncClient, url: str, model: str) -> float:
    started = time.perf_counter()
    body = {**BODY, "model": model, "max_tokens": 1}
    (await http.post(f"{url}/v1/chat/completions", json=body)).raise_for_status()
    return time.perf_counter() - started


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _summary(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=20)
    return {"p50": statistics.median(seconds) * 1000, "p95": cuts[18] * 1000}


if __name__ == "__main__":
    main()
