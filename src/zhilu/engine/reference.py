"""The reference that gate 2.1 compares with: transformers' greedy answer, in a process of its own.

    echo '{"prompts": [[1, 2, 3]], "max_tokens": 8}' | python -m zhilu.engine.reference --model PATH

Reads one JSON object from standard input and prints one: ``{"answers": [["hex bytes of a token", ...], ...], "version"}``.
Tokens are told by their bytes, as our own tokenizer spells them, which is what a served answer's logprobs hold. The token
that ends an answer is no part of it. Exit code 3: transformers is not installed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["greedy_answers", "main"]


def greedy_answers(folder: Path, prompts: list[list[int]], max_tokens: int) -> list[list[str]]:
    """What ``transformers`` generates for each prompt: float32, on the CPU, one prompt at a time."""
    import torch
    from transformers import AutoModelForCausalLM

    from zhilu.engine.tokenizer import Tokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    tokenizer = Tokenizer(folder)
    eos = model.generation_config.eos_token_id
    ends = set(eos if isinstance(eos, list) else [eos]) | {tokenizer.eos_id}
    answers = []
    for prompt in prompts:
        ids = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=max_tokens,
            do_sample=False,
            repetition_penalty=1.0,
            eos_token_id=[end for end in ends if end is not None] or None,
            pad_token_id=0,
        )[0, len(prompt) :].tolist()
        answers.append([tokenizer.token_bytes(id).hex() for id in ids if id not in ends])
    return answers


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m zhilu.engine.reference", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    args = parser.parse_args()
    try:
        import transformers
    except ImportError as error:
        print(error, file=sys.stderr)
        return 3
    asked = json.load(sys.stdin)
    answers = greedy_answers(args.model, asked["prompts"], int(asked["max_tokens"]))
    print(json.dumps({"answers": answers, "version": transformers.__version__}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
