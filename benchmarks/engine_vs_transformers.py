"""Our runners against ``transformers.generate``: same weights, same machine, same run, same tokens.

    python benchmarks/engine_vs_transformers.py --threads 1 --tokens 128
    python benchmarks/engine_vs_transformers.py --model src/zhilu/models/shipped/nano --no-servers

First each runner as a server process: seconds from its start to a healthy ``/health``, and resident memory then and after
one request. Then greedy decoding of random prompts at several batch sizes; all take turns and the best of ``--rounds``
counts. On a machine that others use as well the tokens per second of processor time are the ones to compare. The answers
are compared, too: a faster wrong answer is worth nothing. Where they differ first, the gap says how much likelier the
reference found its own token (in logits): small, if it was a close call.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = {
    "vocab_size": 16384,
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 64,
}
RUNNERS: dict[str, dict[str, str]] = {
    "torch": {"runner": "torch", "dtype": "float32"},
    "openvino": {"runner": "openvino"},
    "openvino bfloat16": {"runner": "openvino", "dtype": "bfloat16"},
    "openvino int8": {"runner": "openvino", "precision": "int8"},
}
Generate = Callable[[list[list[int]]], list[list[int]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder (default: a random Qwen3 of 26 million parameters)")
    parser.add_argument("--runners", nargs="+", choices=RUNNERS, default=list(RUNNERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=64, help="prompt length, tokens")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-servers", action="store_true", help="leave start time and memory out")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        model = args.model or _random_model(Path(folder))
        for name in () if args.no_servers else args.runners:
            print(json.dumps({"server": name, **_start(model, RUNNERS[name], args)}), flush=True)
        reference = _reference(model)
        generators: dict[str, Generate] = {name: _our_engine(model, RUNNERS[name], args) for name in args.runners}
        generators["transformers"] = _transformers(reference, args.tokens)
        for batch in args.batches:
            prompts = np.random.default_rng(batch).integers(0, 256, (batch, args.prompt)).tolist()
            answers, seconds = _take_turns(generators, prompts, args.rounds)
            for name in generators:
                wall, processor = (round(batch * args.tokens / best) for best in seconds[name])
                figures = {"batch": batch, "threads": args.threads, "tokens_per_s": wall}
                figures["tokens_per_processor_s"] = processor
                difference = _first_difference(reference, prompts, answers[name], answers["transformers"])
                print(json.dumps({"runner": name, **figures, **difference}), flush=True)


def _random_model(folder: Path) -> Path:
    from zhilu.engine.testing import make_tiny_model

    return make_tiny_model(folder, **SHAPE)


def _take_turns(
    generators: dict[str, Generate], prompts: list[list[int]], rounds: int
) -> tuple[dict[str, list[list[int]]], dict[str, tuple[float, float]]]:
    """Answers, and the fewest seconds of any round: by the clock and of the processor."""
    answers: dict[str, list[list[int]]] = {}
    best = {name: (float("inf"), float("inf")) for name in generators}
    for _ in range(rounds):
        for name, generate in generators.items():
            wall, processor = time.perf_counter(), time.process_time()
            answers[name] = generate(prompts)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            best[name] = min(best[name][0], wall), min(best[name][1], processor)
    return answers, best


def _first_difference(
    reference: Any, prompts: list[list[int]], ours: list[list[int]], theirs: list[list[int]]
) -> dict[str, Any]:
    import torch

    differing = [
        next((at for at, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1]), None)
        for a, b in zip(ours, theirs, strict=True)
    ]
    found = [(at, number) for number, at in enumerate(differing) if at is not None]
    if not found:
        return {"same_tokens": True}
    gaps = []
    for at, number in found:
        with torch.inference_mode():
            logits = reference(torch.tensor([prompts[number] + theirs[number][:at]])).logits[0, -1]
        gaps.append(float(logits[theirs[number][at]] - logits[ours[number][at]]))
    return {
        "same_tokens": False,
        "differing_answers": len(found),
        "first_differing_token": min(found)[0],
        "largest_gap": round(max(gaps), 4),
    }


def _our_engine(model: Path, choices: dict[str, str], args: argparse.Namespace) -> Generate:
    from zhilu.engine.choose.sampling import SamplingParams
    from zhilu.engine.engine import load_engine
    from zhilu.engine.options import EngineOptions

    # Without the prefix cache, or later rounds would skip the prompts.
    options = EngineOptions(model, threads=args.threads, max_len=1024, prefix_caching=False, device="cpu", **choices)  # type: ignore[arg-type]
    engine = load_engine(options)

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        answers: list[list[int]] = [[] for _ in prompts]
        for number, prompt in enumerate(prompts):
            engine.add(str(number), prompt, SamplingParams(args.tokens, temperature=0, ignore_eos=True))
        while engine.requests:
            for output in engine.step():
                assert output.token is not None
                answers[int(output.request_id)].append(output.token.id)
        return answers

    return generate


def _reference(model: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()


def _transformers(reference: Any, num_tokens: int) -> Generate:
    import torch

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        ids = torch.tensor(prompts)
        out = reference.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=num_tokens,
            min_new_tokens=num_tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        answers: list[list[int]] = out[:, ids.shape[1] :].tolist()
        return answers

    return generate


def _start(model: Path, choices: dict[str, str], args: argparse.Namespace) -> dict[str, float]:
    """The server as a process, best of ``--rounds`` starts; megabytes are those of the last."""
    import psutil

    best = {"seconds_to_health": float("inf"), "processor_seconds_to_health": float("inf")}
    megabytes = {}
    for _ in range(args.rounds):
        with _server(model, choices, args.threads) as (process, url, seconds):
            here = psutil.Process(process.pid)
            used = here.cpu_times()
            best["seconds_to_health"] = min(best["seconds_to_health"], seconds)
            best["processor_seconds_to_health"] = min(best["processor_seconds_to_health"], used.user + used.system)
            megabytes["megabytes"] = here.memory_info().rss / 2**20
            wish = {"prompt": [1] * 64, "max_tokens": 64, "temperature": 0, "ignore_eos": True}
            request = urllib.request.Request(
                f"{url}/v1/completions", json.dumps(wish).encode(), {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request, timeout=60).read()
            megabytes["megabytes_after_a_request"] = here.memory_info().rss / 2**20
    return {key: round(value, 2) for key, value in best.items()} | {key: round(v) for key, v in megabytes.items()}


@contextmanager
def _server(model: Path, choices: dict[str, str], threads: int) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zhilu.engine.server", "--model", str(model), "--port", str(port)]
    command += ["--threads", str(threads), "--max-len", "1024", "--device", "cpu", "--parent-watch"]
    command += ["--log-level", "warning", *(part for key, value in choices.items() for part in (f"--{key}", value))]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    try:
        url = f"http://127.0.0.1:{port}"
        while not _is_healthy(url):
            if process.poll() is not None or time.perf_counter() - start > 120:
                raise SystemExit("the server did not become healthy")
            time.sleep(0.02)
        yield process, url, time.perf_counter() - start
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=30)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
