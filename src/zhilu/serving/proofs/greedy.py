"""Greedy answers of a served model and of the reference implementation in one shape, which gates 2.1 and 2.4 compare."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zhilu.client import ModelClient
from zhilu.errors import InputError, NotFoundError
from zhilu.gate import Because, Verdict
from zhilu.messages import T
from zhilu.setup.require import INSTALL_TORCH

__all__ = ["MAX_TOKENS", "PROMPTS", "GreedyAnswer", "greedy_chats", "reference_of"]

PROMPTS = (
    "What is the capital of France?",
    "用一句话介绍你自己。",
    "List three fruits.",
    "1, 1, 2, 3, 5, 8,",
)
MAX_TOKENS = 32


@dataclass(frozen=True)
class GreedyAnswer:
    """
    Attributes:
        prompt: token ids, as the server counts them; the chat messages where it has no ``/tokenize``.
        has_tokens: False for a server that tells no log-probabilities; then there is only ``text``.
        tokens: bytes of each token in hex. logprobs: natural logarithms. first: alternatives to the first token.
    """

    prompt: list[Any]
    text: str
    has_tokens: bool
    tokens: list[str] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)


async def greedy_chats(
    url: str,
    model: str,
    prompts: Sequence[str],
    max_tokens: int,
    key: str | None = None,
    template_of: str | None = None,
) -> list[GreedyAnswer]:
    """Ask each prompt as a chat. ``template_of``: the model to tokenize with, where ``model`` is an adapter of it."""
    answers = []
    async with ModelClient(url, api_key=key) as client:
        for text in prompts:
            messages = [{"role": "user", "content": text}]
            try:
                told = await client.tokenize(model=template_of or model, messages=messages)
            except (InputError, NotFoundError):
                told = None
            reply = await _greedy(client, model, messages, max_tokens)
            (choice,) = reply["choices"]
            content = (choice.get("logprobs") or {}).get("content") or []
            has_tokens = bool(content) and all(token.get("bytes") is not None for token in content)
            answers.append(
                GreedyAnswer(
                    prompt=told["tokens"] if told else messages,
                    text=choice["message"].get("content") or "",
                    has_tokens=has_tokens or not choice["message"].get("content"),
                    tokens=[bytes(token["bytes"]).hex() for token in content] if has_tokens else [],
                    logprobs=[float(token["logprob"]) for token in content],
                    first={alt["token"]: float(alt["logprob"]) for alt in content[0]["top_logprobs"]}
                    if content
                    else {},
                )
            )
    return answers


async def _greedy(client: ModelClient, model: str, messages: list[dict[str, Any]], max_tokens: int) -> dict[str, Any]:
    """A greedy chat with log-probabilities; asked without what the engine refuses by name, as not all have it.

    ``repetition_penalty``: a model's author may recommend one, which the reference must not be held to.
    """
    wishes: dict[str, Any] = {"repetition_penalty": 1.0, "top_logprobs": 5, "logprobs": True}

    async def ask() -> dict[str, Any]:
        try:
            return await client.chat(messages, model=model, max_tokens=max_tokens, temperature=0, **wishes)
        except InputError as error:
            refused = next((name for name in wishes if name in f"{error.param} {error.message.en}"), None)
            if refused is None:
                raise
        for name in ("top_logprobs", "logprobs") if "logprobs" in refused else (refused,):
            wishes.pop(name, None)
        return await ask()

    return await ask()


def _no_reference(missing: list[str]) -> Verdict:
    """What is not installed, by name. PyTorch has builds to choose from, and a command of its own."""
    names = ", ".join(missing)
    plain = f"{sys.executable} -m pip install {' '.join(missing)}"
    return Verdict.cannot_run_here(
        T(
            f"It compares with the reference implementation, which is not complete here: {names} not installed.",
            f"它要与参考实现对照，而本机还没有安装 {names}。",
        ),
        fix=INSTALL_TORCH if "torch" in missing else plain,
        because=Because.COMPONENT,
    )


def reference_of(
    folder: Path, prompts: list[list[Any]], max_tokens: int, adapter: Path | None = None
) -> dict[str, Any] | Verdict:
    """transformers' answers, from a process of its own: it is heavy, and not everyone has it.

    Returns:
        ``{"answers", "logprobs", "version"}`` (see ``zhilu.engine.reference``), or the verdict where it cannot run.
    """
    command = [sys.executable, "-m", "zhilu.engine.reference", "--model", str(folder)]
    command += ["--adapter", str(adapter)] if adapter else []
    asked = json.dumps({"prompts": prompts, "max_tokens": max_tokens})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode == 3:
        return _no_reference(done.stderr.splitlines()[-1].split())
    if done.returncode != 0:
        last = "\n".join(done.stderr.splitlines()[-5:])
        return Verdict.failed(
            T(f"The reference did not run:\n{last}", f"参考实现运行失败：\n{last}"), fix="zhilu doctor"
        )
    reply: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return reply
