"""Greedy answers of a served model and of the reference implementation in one shape, which gates 2.1 and 2.4 compare."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zhilu.client import ModelClient
from zhilu.errors import InputError, NotFoundError, UpstreamError
from zhilu.gate import Because, Verdict
from zhilu.messages import T
from zhilu.setup.require import INSTALL_TORCH

__all__ = ["MAX_TOKENS", "PROMPTS", "TIE", "GreedyAnswer", "greedy_chats", "reference_of", "worst_tie"]

PROMPTS = (
    "What is the capital of France?",
    "用一句话介绍你自己。",
    "List three fruits.",
    "1, 1, 2, 3, 5, 8,",
)
MAX_TOKENS = 32
# Of a natural logarithm: how near the likeliest a token must be that the reference chose from the same GGUF file. llama.cpp
# rounds activations to 8 bits and our int8 the weights; each then chooses otherwise where two tokens are nearly equally likely
# (benchmarks/gguf_parity.py: 4 tokens of 100). Another template, base, rotation or a missing adapter is told by far more.
TIE = 0.5


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

    A GGUF file's answers are llama.cpp's, which defines the format and comes with Zhilu; with an adapter transformers', which
    widens the blocks to float32 and needs the memory for it.

    Returns:
        ``{"answers", "ids", "version"}`` and transformers' ``logprobs`` (see ``zhilu.engine.references.transformers``), or the verdict where
        it cannot run.
    """
    from zhilu.engine.model.gguf import find_gguf

    file = find_gguf(folder)
    if file is not None:
        if adapter is None:
            return _of_llamacpp(file, prompts, max_tokens)
        if short := _too_little_memory(file):
            return short
    command = [sys.executable, "-m", "zhilu.engine.references.transformers", "--model", str(folder)]
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


def _of_llamacpp(file: Path, prompts: list[list[Any]], max_tokens: int) -> dict[str, Any] | Verdict:
    if importlib.util.find_spec("xllamacpp") is None:
        return _no_reference(["xllamacpp"])
    from zhilu.engine.references.llamacpp import greedy_tokens
    from zhilu.engine.text.tokenizer import Tokenizer

    tokenizer = Tokenizer(file)
    as_ids = [
        tokenizer.encode(tokenizer.render_chat(prompt, None, True), add_special_tokens=False)
        if isinstance(prompt[0], dict)
        else prompt
        for prompt in prompts
    ]
    try:
        said = greedy_tokens(file, as_ids, max_tokens)
    except UpstreamError as error:
        return Verdict.failed(error.message, fix=error.fix)
    ends = {tokenizer.eos_id}
    ids = [[id for id in answer if id not in ends] for answer in said]
    return {
        "answers": [[tokenizer.token_bytes(id).hex() for id in answer] for answer in ids],
        "ids": ids,
        "version": f"xllamacpp {importlib.metadata.version('xllamacpp')}",
    }


def _too_little_memory(file: Path) -> Verdict | None:
    import psutil

    from zhilu.engine.model.config import read_config, tensor_shapes

    needed = 6 * sum(
        math.prod(shape) for _, shape in tensor_shapes(read_config(file))
    )  # float32, and half of it in passing
    free = psutil.virtual_memory().available
    if needed <= free:
        return None
    need, there = needed / 2**30, free / 2**30
    return Verdict.cannot_run_here(
        T(
            f"The reference with an adapter is transformers in float32, which needs {need:.1f} GB of memory for {file.name}; "
            f"{there:.1f} GB are free.",
            f"带适配器的参考实现是 float32 的 transformers，处理 {file.name} 需要 {need:.1f} GB 内存；目前空闲 {there:.1f} GB。",
        ),
        fix="zhilu settings set model zhilu-nano && zhilu check 2.4",
        because=Because.MACHINE,
    )


def worst_tie(
    url: str, model: str, answers: Sequence[tuple[GreedyAnswer, Sequence[int]]], key: str | None = None
) -> float | None:
    """How far the reference's tokens are behind the server's likeliest, at the worst place of all answers
    (``ModelClient.worst_tie``); None where that cannot be told, or is more than ``TIE``."""

    async def ask() -> list[float | None]:
        async with ModelClient(url, api_key=key) as client:
            return [
                await client.worst_tie(answer.prompt, wanted, model=model, ended=len(wanted) < MAX_TOKENS)
                for answer, wanted in answers
            ]

    if any(not answer.has_tokens or not isinstance(answer.prompt[0], int) for answer, _ in answers):
        return None
    gaps = asyncio.run(ask())
    worst = max((gap for gap in gaps if gap is not None), default=0.0)
    return None if None in gaps or worst > TIE else worst
