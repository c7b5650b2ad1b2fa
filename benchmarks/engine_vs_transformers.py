"""Our torch runner against ``transformers.generate``: same weights, same machine, same run, same tokens.

    python benchmarks/engine_vs_transformers.py --threads 1 --tokens 128

Greedy decoding of random prompts at several batch sizes; the two take turns and the best of ``--rounds`` counts. The
answers are compared as well: a faster wrong answer is worth nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder (default: a random Qwen3 of 26 million parameters)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=64, help="prompt length, tokens")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        model = args.model or _random_model(Path(folder))
        ours, theirs = _our_engine(model, args), _transformers(model, args)
        for batch in args.batches:
            rng = np.random.default_rng(batch)
            prompts = rng.integers(0, 256, (batch, args.prompt)).tolist()
            best = {"zhilu": float("inf"), "transformers": float("inf")}
            answers: dict[str, list[list[int]]] = {}
            for _ in range(args.rounds):
                for name, generate in (("zhilu", ours), ("transformers", theirs)):
                    start = time.perf_counter()
                    answers[name] = generate(prompts)
                    best[name] = min(best[name], time.perf_counter() - start)
            figures: dict[str, Any] = {f"{n}_tokens_per_s": round(batch * args.tokens / s) for n, s in best.items()}
            figures["ratio"] = round(best["transformers"] / best["zhilu"], 2)
            figures["same_tokens"] = answers["zhilu"] == answers["transformers"]
            print(json.dumps({"batch": batch, "threads": args.threads, **figures}), flush=True)


def _random_model(folder: Path) -> Path:
    from zhilu.engine.testing import make_tiny_model

    return make_tiny_model(folder, **SHAPE)


def _our_engine(model: Path, args: argparse.Namespace) -> Callable[[list[list[int]]], list[list[int]]]:
    from zhilu.engine.engine import load_engine
    from zhilu.engine.options import EngineOptions
    from zhilu.engine.sampling import SamplingParams

    # Without the prefix cache, or later rounds would skip the prompts.
    engine = load_engine(
        EngineOptions(model, threads=args.threads, max_len=2048, prefix_caching=False, dtype="float32")
    )

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


def _transformers(model: Path, args: argparse.Namespace) -> Callable[[list[list[int]]], list[list[int]]]:
    import torch
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        ids = torch.tensor(prompts)
        out = reference.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=args.tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        answers: list[list[int]] = out[:, ids.shape[1] :].tolist()
        return answers

    return generate


if __name__ == "__main__":
    main()
