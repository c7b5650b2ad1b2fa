"""Our own reading of the two fixed prompts, as one JSON object: how many tokens they are, and how a small model begins.

    python -m zhilu.serving.proofs.own_reading --model FOLDER [--tokens 8]

A process of its own: a tokenizer of 150,000 words takes 100 MB, a model more, and the gateway needs neither afterwards.
Prints ``{"messages", "counts", "plain", "beginnings", "cpu_seconds"}``; see ``OwnReading``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zhilu.errors import InputError

__all__ = ["NUM_TOKENS", "PROMPTS", "OwnReading", "Step", "read"]

PROMPTS = ("What is the capital of France?", "中国的首都是哪里？")
NUM_TOKENS = 8
# Said with each prompt, since some programs say a sentence of their own where nobody does.
_SYSTEM = "You are a helpful assistant."
_ALTERNATIVES = 5

# The likeliest tokens at one place of the answer, each with its natural logarithm; the first is the one that was taken.
Step = list[tuple[str, float]]


@dataclass
class OwnReading:
    """
    Attributes:
        messages: of each prompt, as they are to be sent.
        counts: tokens of each prompt through the chat template. plain: of the messages' words alone, without any template.
        beginnings: of each greedy answer, token by token; empty where the model was not run.
        cpu_seconds: that the reading took.
    """

    messages: list[list[dict[str, str]]]
    counts: list[int]
    plain: list[int]
    beginnings: list[list[Step]] = field(default_factory=list)
    cpu_seconds: float = 0.0


def read(model: Path, num_tokens: int = 0) -> OwnReading:
    """Read ``PROMPTS`` with the model's own tokenizer and template, and run it for ``num_tokens``.

    Raises:
        InputError: no tokenizer, no chat template, or files that we cannot read.
    """
    from zhilu.engine.text.tokenizer import Tokenizer

    started = time.process_time()
    tokenizer = Tokenizer(model)
    messages, prompts = [], []
    for words in PROMPTS:
        user = {"role": "user", "content": words}
        asked = [{"role": "system", "content": _SYSTEM}, user]
        try:
            text = tokenizer.render_chat(asked)
        except InputError as error:
            if error.code == "no_chat_template":
                raise
            asked = [user]  # some templates refuse a system message
            text = tokenizer.render_chat(asked)
        messages.append(asked)
        prompts.append(tokenizer.encode(text, add_special_tokens=False))
    said = ("\n".join(message["content"] for message in asked) for asked in messages)
    plain = [len(tokenizer.encode(words, add_special_tokens=False)) for words in said]
    beginnings = _run(model, prompts, num_tokens) if num_tokens else []
    seconds = time.process_time() - started
    return OwnReading(messages, [len(ids) for ids in prompts], plain, beginnings, round(seconds, 2))


def _run(model: Path, prompts: list[list[int]], num_tokens: int) -> list[list[Step]]:
    from zhilu.engine.choose.sampling import SamplingParams
    from zhilu.engine.engine import load_engine
    from zhilu.engine.options import EngineOptions

    room = max(map(len, prompts)) + num_tokens + 8
    options = EngineOptions(
        model, threads=1, max_len=room, max_num_seqs=len(prompts), kv_tokens=len(prompts) * (room + 32)
    )
    engine = load_engine(options)
    greedy = SamplingParams(num_tokens, temperature=0, num_top_logprobs=_ALTERNATIVES)
    for number, ids in enumerate(prompts):
        engine.add(str(number), ids, greedy)
    told: list[list[Step]] = [[] for _ in prompts]
    while engine.requests:
        for output in engine.step():
            if output.token is not None and output.token.logprob is not None and output.finish_reason != "stop":
                told[int(output.request_id)].append(
                    [
                        (engine.tokenizer.token_bytes(id).decode("utf-8", "ignore"), value)
                        for id, value in output.token.top
                    ]
                )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m zhilu.serving.proofs.own_reading", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=0)
    given = parser.parse_args()
    told: dict[str, Any]
    try:
        told = asdict(read(given.model, given.tokens))
    except InputError as error:
        told = {"error": {"en": error.message.en, "zh": error.message.zh}}
    print(json.dumps(told, ensure_ascii=False))


if __name__ == "__main__":
    main()
