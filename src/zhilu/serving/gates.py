"""The gates of stage 2 that run today: 2.1 a model's greedy answer, 2.2 the OpenAI protocol. Both at the served endpoint."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from zhilu.client import ModelClient, connect
from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.gate import Artefact, Figure, Gate, Verdict
from zhilu.messages import T

__all__ = ["GATES", "check_greedy_answer", "check_protocol", "first_difference"]

R = TypeVar("R")
_PROMPTS = (
    "What is the capital of France?",
    "用一句话介绍你自己。",
    "List three fruits.",
    "1, 1, 2, 3, 5, 8,",
)
_MAX_TOKENS = 32


# ---------------------------------------------------------------- 2.2


def check_protocol(context: Context) -> Verdict:
    """2.2: the official OpenAI Python client passes the conformance run against this machine's gateway."""
    from zhilu.serving.conformance import measure_first_token, run_conformance

    model, key = context.settings.model, context.settings.api_key
    remote = context.settings.base_url is not None

    def run(url: str) -> Verdict:
        outcomes = run_conformance(url, model, api_key=key, embedder=None if remote else "zhilu-embed")
        failed = [outcome for outcome in outcomes if not outcome.passed]
        report = {o.check.name: {"passed": o.passed, "seconds": round(o.seconds, 3), "why": o.why} for o in outcomes}
        artefact = Artefact.of_bytes(
            "conformance.json", json.dumps(report, ensure_ascii=False, sort_keys=True).encode()
        )
        figures = [Figure(T("checks passed", "通过的检查"), f"{len(outcomes) - len(failed)}/{len(outcomes)}")]
        if failed:
            said_en = "; ".join(f"{o.check.title.en}: {o.why}" for o in failed)
            said_zh = "；".join(f"{o.check.title.zh}：{o.why}" for o in failed)
            why = T(f"{len(failed)} checks failed. {said_en}", f"{len(failed)} 项检查未通过。{said_zh}")
            return Verdict.failed(why, *figures, artefacts=[artefact], fix=f"zhilu engine log {model}")
        seconds = measure_first_token(url, model, api_key=key)
        figures.append(
            Figure(T("time to first token, median", "首个 token 耗时（中位数）"), round(seconds * 1000, 1), "ms")
        )
        why = T(
            f"The official OpenAI client passed {len(outcomes)} checks against {model}; "
            "tools and JSON schema are not among them yet.",
            f"OpenAI 官方客户端对 {model} 通过了 {len(outcomes)} 项检查；其中还不包括工具调用和 JSON schema。",
        )
        return Verdict.passed(why, *figures, artefacts=[artefact])

    return _with_model(context, run)


# ---------------------------------------------------------------- 2.1


def check_greedy_answer(context: Context) -> Verdict:
    """2.1: what the served model answers greedily is, token by token, what the reference implementation answers."""
    from zhilu.models import ModelStore

    if context.settings.base_url:
        return Verdict.cannot_run_here(
            T(
                f"The model runs at {context.settings.base_url}; its files are not here to compare with.",
                f"模型运行在 {context.settings.base_url}，本机没有它的文件，无法对照。",
            ),
            fix="zhilu settings unset base_url",
        )
    name = context.settings.model
    folder = Path(ModelStore(context).get(name).path)

    def run(url: str) -> Verdict:
        prompts, served = asyncio.run(_served_answers(url, name, context.settings.api_key))
        started = time.monotonic()
        reference = _reference_answers(folder, prompts)
        if isinstance(reference, Verdict):
            return reference
        num_tokens = sum(map(len, reference["answers"]))
        figures = [
            Figure(T("prompts", "提示"), len(prompts)),
            Figure(T("tokens compared", "对照的 token"), num_tokens),
            Figure(T("reference", "参考实现"), f"transformers {reference['version']}"),
            Figure(T("time of the reference", "参考实现耗时"), round(time.monotonic() - started, 1), "s"),
        ]
        artefacts = [Artefact.of(path) for path in sorted(folder.glob("*.safetensors"))]
        for number, (ours, theirs) in enumerate(zip(served, reference["answers"], strict=True)):
            place = first_difference(ours, theirs)
            if place is not None:
                said = [_spelled(tokens, place) for tokens in (ours, theirs)]
                why = T(
                    f"Prompt {number + 1}, token {place + 1}: served {said[0]}, reference {said[1]}.",
                    f"第 {number + 1} 个提示的第 {place + 1} 个 token：服务给出 {said[0]}，参考实现给出 {said[1]}。",
                )
                return Verdict.failed(why, *figures, artefacts=artefacts, fix=f"zhilu engine log {name}")
        if not num_tokens:
            return Verdict.failed(T("The model answered nothing at all.", "模型没有给出任何回答。"), *figures)
        why = T(
            f"{num_tokens} greedy tokens of {name} equal the reference's, one by one.",
            f"{name} 的 {num_tokens} 个贪心 token 与参考实现逐个相同。",
        )
        return Verdict.passed(why, *figures, artefacts=artefacts)

    return _with_model(context, run)


async def _served_answers(url: str, model: str, key: str | None) -> tuple[list[list[int]], list[list[str]]]:
    """The prompts' token ids, and the bytes (hex) of each token that the endpoint answers greedily."""
    prompts, answers = [], []
    async with ModelClient(url, api_key=key) as client:
        for text in _PROMPTS:
            messages = [{"role": "user", "content": text}]
            prompt = await client.tokenize(model=model, messages=messages)
            assert prompt is not None, "our own gateway has /tokenize"
            prompts.append(prompt["tokens"])
            reply = await client.chat(
                messages, model=model, max_tokens=_MAX_TOKENS, temperature=0, repetition_penalty=1.0, logprobs=True
            )
            answers.append([bytes(token["bytes"]).hex() for token in reply["choices"][0]["logprobs"]["content"]])
    return prompts, answers


def _reference_answers(folder: Path, prompts: list[list[int]]) -> dict[str, Any] | Verdict:
    """transformers in a process of its own: it is heavy, and not everyone has it."""
    command = [sys.executable, "-m", "zhilu.engine.reference", "--model", str(folder)]
    asked = json.dumps({"prompts": prompts, "max_tokens": _MAX_TOKENS})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode == 3:
        return Verdict.cannot_run_here(
            T(
                "The reference implementation, transformers, is not installed here.",
                "本机没有安装参考实现 transformers。",
            ),
            fix=f"{sys.executable} -m pip install transformers torch",
        )
    if done.returncode != 0:
        last = "\n".join(done.stderr.splitlines()[-5:])
        return Verdict.failed(
            T(f"The reference did not run:\n{last}", f"参考实现运行失败：\n{last}"), fix="zhilu doctor"
        )
    reply: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return reply


def first_difference(ours: list[str], theirs: list[str]) -> int | None:
    """Index of the first token that differs, the shorter one's length where one merely ends earlier; None if equal."""
    for index, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if a != b:
            return index
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))


def _spelled(tokens: list[str], place: int) -> str:
    return repr(bytes.fromhex(tokens[place]).decode(errors="replace")) if place < len(tokens) else "-"


# ---------------------------------------------------------------- a model to ask


def _with_model(context: Context, work: Callable[[str], R]) -> R | Verdict:
    """Run ``work(url)`` against the running gateway, or one started for it; ``not_yet`` without the model."""

    async def ask() -> R | Verdict:
        async with connect(context) as client:
            there = [entry["id"] for entry in await client.models()]
            if context.settings.model not in there:
                return Verdict.not_yet(
                    T(
                        f"The model {context.settings.model!r} is not here; there are {', '.join(there) or '-'}.",
                        f"还没有模型 {context.settings.model!r}；现有 {', '.join(there) or '-'}。",
                    ),
                    fix="zhilu model list",
                )
            return await asyncio.to_thread(work, client.base_url)

    try:
        return asyncio.run(ask())
    except ZhiluError as error:
        return Verdict.failed(error.message, fix=error.fix)


GATES: tuple[Gate, ...] = (
    Gate("2.1", T("A greedy answer equals the reference's", "贪心回答与参考实现一致"), check_greedy_answer, slow=True),
    Gate(
        "2.2", T("The official OpenAI client passes", "OpenAI 官方客户端全部通过"), check_protocol, ("2.1",), slow=True
    ),
)
