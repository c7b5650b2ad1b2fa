"""The reference for gates 2.1 and 2.4: transformers' greedy answer, with PEFT's adapter if one is given.

    echo '{"prompts": [[1, 2, 3]], "max_tokens": 8}' | python -m zhilu.engine.references.transformers --model PATH [--adapter PATH]

Reads one JSON object from standard input and prints one: ``{"answers": [["hex bytes of a token", ...], ...], "ids": [[...],
...], "logprobs": [[...], ...], "version"}``. A GGUF file's blocks are dequantised to float32 by transformers. A prompt is
token ids, or a list of chat messages for the model's own template. Tokens are identified by their bytes as our own tokenizer
spells them, as in the logprobs of a served answer. The token that ends an answer is not included. Exit code 3: stderr names
the packages that are not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["greedy_answers", "main", "reference_answers"]


def greedy_answers(folder: Path, prompts: list[Any], max_tokens: int) -> list[list[str]]:
    """What ``transformers`` generates for each prompt: float32, on the CPU, one prompt at a time."""
    return reference_answers(folder, prompts, max_tokens)[0]


def reference_answers(
    folder: Path, prompts: list[Any], max_tokens: int, adapter: Path | None = None
) -> tuple[list[list[str]], list[list[float]], list[list[int]]]:
    """The tokens of each answer, the natural logarithm of each one's probability before any sampling parameter, their ids."""
    import torch
    from transformers import AutoModelForCausalLM

    from zhilu.engine.model.weights import find_gguf
    from zhilu.engine.text.tokenizer import Tokenizer

    file = find_gguf(folder)
    where = {"gguf_file": file.name} if file else {}
    model: Any = AutoModelForCausalLM.from_pretrained(
        file.parent if file else folder, dtype=torch.float32, local_files_only=True, **where
    ).eval()
    tokenizer = Tokenizer(folder)
    eos = model.generation_config.eos_token_id
    ends = set(eos if isinstance(eos, list) else [eos]) | {tokenizer.eos_id}
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    answers, logprobs, kept = [], [], []
    for prompt in prompts:
        if isinstance(prompt[0], dict):
            text = tokenizer.render_chat(prompt, None, True)
            prompt = tokenizer.encode(text, add_special_tokens=False)
        done = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=max_tokens,
            do_sample=False,
            repetition_penalty=1.0,
            eos_token_id=[end for end in ends if end is not None] or None,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        ids = done.sequences[0, len(prompt) :].tolist()
        values = [
            torch.log_softmax(logits[0].float(), -1)[id].item() for id, logits in zip(ids, done.logits, strict=True)
        ]
        answers.append([tokenizer.token_bytes(id).hex() for id in ids if id not in ends])
        logprobs.append([value for id, value in zip(ids, values, strict=True) if id not in ends])
        kept.append([id for id in ids if id not in ends])
    return answers, logprobs, kept


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m zhilu.engine.references.transformers", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", type=Path)
    args = parser.parse_args()
    needs = ["torch", "transformers", *(["peft"] if args.adapter else [])]
    missing = [name for name in needs if importlib.util.find_spec(name) is None]
    if missing:
        print(*missing, file=sys.stderr)
        return 3
    version = ", ".join(f"{name} {metadata.version(name)}" for name in needs[1:])
    asked = json.load(sys.stdin)
    answers, logprobs, ids = reference_answers(args.model, asked["prompts"], int(asked["max_tokens"]), args.adapter)
    print(json.dumps({"answers": answers, "logprobs": logprobs, "ids": ids, "version": version}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
