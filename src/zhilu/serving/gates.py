"""Gates 2.1 to 2.4, at the served endpoint: 2.1 a greedy answer, 2.2 the OpenAI protocol, 2.3 sampling, 2.4 adapters."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from zhilu.client import connect
from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.serving.proofs.greedy import MAX_TOKENS, PROMPTS, TIE, greedy_chats, reference_of, worst_tie

__all__ = [
    "GATES",
    "check_adapter_applied",
    "check_greedy_answer",
    "check_protocol",
    "check_sampling",
    "first_difference",
]

R = TypeVar("R")


# ---------------------------------------------------------------- 2.2


def check_protocol(context: Context) -> Verdict:
    """2.2: the official OpenAI Python client passes the conformance run against this machine's gateway."""
    from zhilu.serving.proofs.conformance import measure_first_token, run_conformance

    model, key = default_model(context).name, context.settings.api_key
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
            f"The official OpenAI client passed {len(outcomes)} checks against {model}, tools and JSON schema included.",
            f"OpenAI 官方客户端对 {model} 通过了 {len(outcomes)} 项检查，包括工具调用和 JSON schema。",
        )
        return Verdict.passed(why, *figures, artefacts=[artefact])

    return with_model(context, run)


# ---------------------------------------------------------------- 2.1


def check_greedy_answer(context: Context) -> Verdict:
    """2.1: what the served model answers greedily is, token by token, what the reference implementation answers."""
    from zhilu.engine.model.gguf import find_gguf
    from zhilu.models import ModelStore

    if context.settings.base_url:
        return _files_elsewhere(context.settings.base_url)
    name = default_model(context).name
    folder = Path(ModelStore(context).get(name).path)

    def run(url: str) -> Verdict:
        served = asyncio.run(greedy_chats(url, name, PROMPTS, MAX_TOKENS, context.settings.api_key))
        started = time.monotonic()
        reference = reference_of(folder, [answer.prompt for answer in served], MAX_TOKENS)
        if isinstance(reference, Verdict):
            return reference
        num_tokens = sum(map(len, reference["answers"]))
        figures = [
            Figure(T("prompts", "提示"), len(PROMPTS)),
            Figure(T("tokens compared", "对照的 token"), num_tokens),
            Figure(T("reference", "参考实现"), reference["version"]),
            Figure(T("time of the reference", "参考实现耗时"), round(time.monotonic() - started, 1), "s"),
        ]
        files = [folder] if folder.is_file() else sorted([*folder.glob("*.safetensors"), *folder.glob("*.gguf")])
        artefacts = [Artefact.of(path) for path in files]
        is_gguf = find_gguf(folder) is not None
        ties: list[float] = []
        for number, (answer, theirs) in enumerate(zip(served, reference["answers"], strict=True)):
            ours = answer.tokens if answer.has_tokens else _characters(answer.text)
            theirs = theirs if answer.has_tokens else _characters(_text_of(theirs))
            place = first_difference(ours, theirs)
            if place is not None and is_gguf:
                gap = worst_tie(url, name, [(answer, reference["ids"][number])], context.settings.api_key)
                if gap is not None:
                    ties.append(gap)
                    continue
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
        if ties:
            figures.append(Figure(T("largest difference at a tie", "近似平局处的最大差"), round(max(ties), 3)))
            why = T(
                f"{len(PROMPTS) - len(ties)} of {len(PROMPTS)} greedy answers of {name} equal the reference's, token by token. "
                f"{len(ties)} part where two tokens are nearly equally likely, as rounded weights do: given the reference's "
                f"tokens, {name} finds each the likeliest or within {max(ties):.2f} of it (at most {TIE:g}).",
                f"{name} 的 {len(PROMPTS)} 个贪心回答中有 {len(PROMPTS) - len(ties)} 个与参考实现逐 token 相同；{len(ties)} 个在两个 "
                f"token 概率几乎相等处分开，这是量化权重的正常现象：给出参考实现的 token 时，{name} 认为每一个都最可能，"
                f"或相差不超过 {max(ties):.2f}（上限 {TIE:g}）。",
            )
        return Verdict.passed(why, *figures, artefacts=artefacts)

    return with_model(context, run)


def _files_elsewhere(url: str) -> Verdict:
    return Verdict.cannot_run_here(
        T(
            f"The model runs at {url}; its files are not here to compare with.",
            f"模型运行在 {url}，本机没有它的文件，无法对照。",
        ),
        fix="zhilu settings unset base_url",
        because=Because.SETTING,
    )


def first_difference(ours: list[str], theirs: list[str]) -> int | None:
    """Index of the first token that differs, the shorter one's length where one merely ends earlier; None if equal."""
    for index, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if a != b:
            return index
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))


def _text_of(tokens: list[str]) -> str:
    return bytes.fromhex("".join(tokens)).decode(errors="replace")


def _characters(text: str) -> list[str]:
    """What is compared where an engine tells no tokens."""
    return [char.encode().hex() for char in text]


def _spelled(tokens: list[str], place: int) -> str:
    return repr(bytes.fromhex(tokens[place]).decode(errors="replace")) if place < len(tokens) else "-"


# ---------------------------------------------------------------- 2.3


def check_sampling(context: Context) -> Verdict:
    """2.3: every sampling parameter changes or bounds the output at the served endpoint, or is refused by name."""
    from zhilu.serving.proofs.sampling_checks import prove_sampling

    model, key = default_model(context).name, context.settings.api_key

    def run(url: str) -> Verdict:
        proofs = prove_sampling(url, model, api_key=key)
        report = {
            p.parameter.name: {"outcome": p.outcome, "seconds": round(p.seconds, 3), "why": p.why} for p in proofs
        }
        artefact = Artefact.of_bytes("sampling.json", json.dumps(report, ensure_ascii=False, sort_keys=True).encode())
        # An unknown name must be refused; a parameter of OpenAI's own API must not be.
        proven = [p for p in proofs if p.outcome == "proven"]
        refused = [p for p in proofs if p.outcome == "refused" and not p.parameter.is_core]
        wrong = [p for p in proofs if p not in proven and p not in refused]
        figures = [
            Figure(T("parameters proven", "已证明生效的参数"), len(proven)),
            Figure(T("refused by name", "按名字拒绝"), ", ".join(p.parameter.name for p in refused) or "-"),
        ]
        if wrong:
            said = "; ".join(f"{p.parameter.name}: {p.why}" for p in wrong)
            why = T(f"{len(wrong)} parameters are not connected. {said}", f"{len(wrong)} 个参数没有起作用。{said}")
            return Verdict.failed(why, *figures, artefacts=[artefact], fix=f"zhilu engine log {model}")
        why = T(
            f"{len(proven)} parameters, each moved alone, change or bound what {model} answers.",
            f"{len(proven)} 个参数，单独调节时都会改变或限制 {model} 的回答。",
        )
        return Verdict.passed(why, *figures, artefacts=[artefact])

    return with_model(context, run)


# ---------------------------------------------------------------- 2.4


def check_adapter_applied(context: Context) -> Verdict:
    """2.4: with an adapter the endpoint answers otherwise than without it, and as transformers with PEFT does."""
    from zhilu.models import ModelStore
    from zhilu.serving.proofs.adapter_proof import prove_adapter

    if context.settings.base_url:
        return _files_elsewhere(context.settings.base_url)
    folder = Path(ModelStore(context).get(default_model(context).name).path)
    return with_model(context, lambda url: prove_adapter(context, url, folder))


# ---------------------------------------------------------------- a model to ask


def with_model(context: Context, work: Callable[[str], R]) -> R | Verdict:
    """Run ``work(url)`` against the running gateway, or one started for it; ``not_yet`` without the model."""

    async def ask() -> R | Verdict:
        async with connect(context) as client:
            there = [entry["id"] for entry in await client.models()]
            if default_model(context).name not in there:
                return Verdict.not_yet(
                    T(
                        f"The model {default_model(context).name!r} is not here; there are {', '.join(there) or '-'}.",
                        f"还没有模型 {default_model(context).name!r}；现有 {', '.join(there) or '-'}。",
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
    Gate("2.3", T("Sampling parameters are connected", "采样参数真正生效"), check_sampling, ("2.2",), slow=True),
    Gate(
        "2.4", T("A LoRA adapter is really applied", "LoRA 适配器真的生效"), check_adapter_applied, ("2.1",), slow=True
    ),
)
