"""What llama.cpp answers greedily from a GGUF file: asked in a process of its own, token ids in and out.

    python -m zhilu.engine.references.llamacpp FILE.gguf < REQUEST.json

A process of its own, because llama.cpp takes over the signals of the one it runs in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from zhilu.errors import UpstreamError
from zhilu.messages import T

__all__ = ["greedy_tokens"]

_SECONDS = 600.0


def greedy_tokens(file: Path, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
    """The greedy answers to prompts of token ids, without their ends.

    Raises:
        UpstreamError: llama.cpp does not load the file; with what it said last.
    """
    request = json.dumps({"prompts": [list(prompt) for prompt in prompts], "max_tokens": max_tokens})
    done = subprocess.run(
        [sys.executable, "-m", "zhilu.engine.references.llamacpp", str(file)], input=request, capture_output=True, text=True,
        timeout=_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0 or not done.stdout.strip():
        last = " | ".join(done.stderr.strip().splitlines()[-3:])
        raise UpstreamError(
            T(f"llama.cpp does not run {file.name!r}: {last}", f"llama.cpp 无法运行 {file.name!r}：{last}"),
            fix="pip install xllamacpp",
        )
    answers: list[list[int]] = json.loads(done.stdout.strip().splitlines()[-1])
    return answers


def main() -> None:
    import xllamacpp

    asked = json.loads(sys.stdin.read())
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.offline, params.ui = True, False
    params.n_parallel = 1
    params.n_ctx = max(map(len, asked["prompts"])) + asked["max_tokens"] + 8
    params.warmup = params.fit_params = False
    params.verbosity = 1
    server = xllamacpp.Server(params)
    answers = []
    with httpx.Client(base_url=str(server.listening_address), timeout=_SECONDS, trust_env=False) as client:
        for prompt in asked["prompts"]:
            body = {"prompt": prompt, "n_predict": asked["max_tokens"], "temperature": 0, "samplers": ["temperature"],
                    "return_tokens": True, "cache_prompt": False}  # fmt: skip
            answer = client.post("/completion", json=body)
            answer.raise_for_status()
            answers.append(answer.json()["tokens"])
    print("\n" + json.dumps(answers), flush=True)
    os._exit(0)  # its own shutdown waits for requests that never come


if __name__ == "__main__":
    main()
