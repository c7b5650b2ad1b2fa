"""Gate 2.4: an adapter is really applied. With it, the endpoint answers differently than without, and as the trainer does.

If an adapter is loaded, it is used. Otherwise one is made on the spot, random and large enough to be seen, and unloaded again.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.engine.model.gguf import find_gguf
from zhilu.errors import InputError, ZhiluError
from zhilu.gate import Artefact, Because, Figure, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.serving.proofs.greedy import (
    MAX_TOKENS,
    PROMPTS,
    TIE,
    GreedyAnswer,
    greedy_chats,
    reference_of,
    worst_tie,
)

__all__ = ["TOLERANCE", "make_adapter", "prove_adapter"]

PROOF = "zhilu-proof-adapter"
# Of a natural logarithm. Weights of eight bits move one by a few hundredths; an adapter that is not applied, by far more.
TOLERANCE = 0.15


def prove_adapter(context: Context, url: str, folder: Path) -> Verdict:
    """The verdict for the model in ``folder``, served at ``url`` under the name in the settings."""
    name, key = default_model(context).name, context.settings.api_key
    with tempfile.TemporaryDirectory() as temporary:
        loaded = asyncio.run(_loaded_adapter(url, name, key))
        if loaded is not None:
            return _compare(url, name, folder, *loaded, key)
        made = make_adapter(folder, Path(temporary) / PROOF)
        try:
            _lora(url, "load", key, lora_name=PROOF, lora_path=str(made), model=name)
        except InputError as error:
            return Verdict.cannot_run_here(
                T(
                    f"The engine of {name!r} loads no adapter: {error.message.en}",
                    f"模型 {name!r} 的引擎不能加载适配器：{error.message.zh}",
                ),
                fix="zhilu engine list",
                because=Because.SETTING,
            )
        try:
            return _compare(url, name, folder, PROOF, made, key)
        finally:
            with suppress(ZhiluError):
                _lora(url, "unload", key, lora_name=PROOF)


async def _loaded_adapter(url: str, parent: str, key: str | None) -> tuple[str, Path] | None:
    """An adapter of the model that is served already, if its folder is on this machine."""
    async with ModelClient(url, api_key=key) as client:
        for entry in await client.models():
            root = Path(str(entry.get("root") or ""))
            if entry.get("parent") == parent and (root / "adapter_config.json").is_file():
                return str(entry["id"]), root
    return None


def _lora(url: str, verb: str, key: str | None, **body: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    path = f"{url.rstrip('/').removesuffix('/v1')}/v1/{verb}_lora_adapter"
    response = httpx.post(path, json=body, headers=headers, timeout=300.0, trust_env=False)
    if response.is_error:
        try:
            error = response.json()["error"]
            words = error.get("messages") or {}
            said = T(words.get("en") or error["message"], words.get("zh") or error["message"])
        except (ValueError, KeyError, TypeError, AttributeError):
            said = T.of(f"HTTP {response.status_code}")
        raise (InputError if response.status_code < 500 else ZhiluError)(said)


def _compare(url: str, name: str, folder: Path, adapter: str, adapter_folder: Path, key: str | None) -> Verdict:
    plain = asyncio.run(greedy_chats(url, name, PROMPTS, MAX_TOKENS, key))
    served = asyncio.run(greedy_chats(url, adapter, PROMPTS, MAX_TOKENS, key, template_of=name))
    reference = reference_of(folder, [answer.prompt for answer in served], MAX_TOKENS, adapter_folder)
    if isinstance(reference, Verdict):
        return reference
    effect = max(_effect(a, b) for a, b in zip(plain, served, strict=True))
    num_equal, num_tokens, gap = _against(served, reference["answers"], reference["logprobs"])
    tie = None
    if num_equal < num_tokens and find_gguf(folder) is not None:
        tie = worst_tie(url, adapter, list(zip(served, reference["ids"], strict=True)), key)
    figures = [
        Figure(T("adapter", "适配器"), adapter),
        Figure(T("greedy tokens equal to the trainer's", "与训练器相同的贪心 token"), f"{num_equal}/{num_tokens}"),
        Figure(T("largest difference from the trainer's log-probability", "与训练器对数概率的最大差"), round(gap, 4)),
        Figure(T("largest change by the adapter", "适配器引起的最大变化"), round(effect, 4)),
        Figure(T("reference", "参考实现"), reference["version"]),
    ]
    artefacts = [Artefact.of(path) for path in sorted(adapter_folder.glob("adapter_*")) if path.is_file()]
    if effect <= max(0.01, 2 * gap) and [a.text for a in plain] == [b.text for b in served]:
        why = T(
            f"{adapter} changes nothing at the endpoint: with and without it the answers are the same.",
            f"{adapter} 在服务端没有任何作用：有无适配器，回答都一样。",
        )
        return Verdict.failed(why, *figures, artefacts=artefacts, fix=f"zhilu engine log {name}")
    allowed = TOLERANCE if tie is None else TIE
    if (num_equal < num_tokens and tie is None) or gap > allowed:
        why = T(
            f"With {adapter} the endpoint does not answer as the trainer: {num_equal} of {num_tokens} tokens are equal, "
            f"log-probabilities differ by up to {gap:.3f} (at most {allowed:g}).",
            f"加上 {adapter} 后，服务端的回答与训练器不同：{num_tokens} 个 token 中 {num_equal} 个相同，"
            f"对数概率相差最多 {gap:.3f}（上限 {allowed:g}）。",
        )
        return Verdict.failed(why, *figures, artefacts=artefacts, fix=f"zhilu engine log {name}")
    if tie is not None:
        figures.append(Figure(T("largest difference at a tie", "近似平局处的最大差"), round(tie, 3)))
        why = T(
            f"{adapter} is applied: it moves log-probabilities by up to {effect:.2f}. Given the tokens of transformers with PEFT, "
            f"the endpoint finds each the likeliest or within {tie:.2f} of it (at most {TIE:g}): weights rounded to 8 bits choose "
            f"otherwise where two are nearly equal.",
            f"{adapter} 真的生效：对数概率最多变化 {effect:.2f}。给出 transformers + PEFT 的 token 时，服务端认为每一个都最可能，"
            f"或相差不超过 {tie:.2f}（上限 {TIE:g}）：8 位权重会在两个 token 概率几乎相等处作出不同选择。",
        )
        return Verdict.passed(why, *figures, artefacts=artefacts)
    why = T(
        f"{adapter} is applied: it moves log-probabilities by up to {effect:.2f}, and {num_tokens} greedy tokens equal "
        f"those of transformers with PEFT, within {gap:.3f}.",
        f"{adapter} 真的生效：对数概率最多变化 {effect:.2f}，{num_tokens} 个贪心 token 与 transformers + PEFT 相同，"
        f"相差不超过 {gap:.3f}。",
    )
    return Verdict.passed(why, *figures, artefacts=artefacts)


def _effect(plain: GreedyAnswer, served: GreedyAnswer) -> float:
    """How far the adapter moves the first token's candidates; 1 where only the texts can tell that it does."""
    shared = plain.first.keys() & served.first.keys()
    if shared:
        return max(abs(plain.first[token] - served.first[token]) for token in shared)
    return float(plain.text != served.text)


def _against(
    served: Sequence[GreedyAnswer], answers: Sequence[Sequence[str]], logprobs: Sequence[Sequence[float]]
) -> tuple[int, int, float]:
    """Equal tokens, all tokens, and the largest difference of a log-probability up to the first token that differs."""
    num_equal = num_tokens = 0
    gap = 0.0
    for answer, theirs, values in zip(served, answers, logprobs, strict=True):
        if not answer.has_tokens:  # only text can be compared
            same = answer.text == bytes.fromhex("".join(theirs)).decode(errors="replace")
            num_equal, num_tokens = num_equal + same * len(theirs), num_tokens + len(theirs)
            continue
        num_tokens += max(len(theirs), len(answer.tokens))
        for ours, told, token, value in zip(answer.tokens, answer.logprobs, theirs, values, strict=False):
            if ours != token:
                break
            num_equal += 1
            gap = max(gap, abs(told - value))
    return num_equal, num_tokens, gap


def make_adapter(model: Path, to: Path, rank: int = 4, seed: int = 0) -> Path:
    """Write a random adapter in PEFT's format for the attention of ``model``; the same seed gives the same files.

    Small enough that a deep model still writes words: what it moves adds up over the layers, and where nothing makes sense all
    tokens are nearly equally likely, and rounding alone decides.
    """
    import numpy as np
    from safetensors.numpy import save_file

    from zhilu.engine.model.config import read_config
    from zhilu.engine.model.weights import tensor_shapes

    to.mkdir(parents=True)
    random = np.random.default_rng(seed)
    targets = ("q_proj", "v_proj")
    tensors: dict[str, Any] = {}
    config_read = read_config(model)
    size = 0.3 * min(1.0, (8 / config_read.num_layers) ** 2.5)
    for name, shape in tensor_shapes(config_read):
        if not name.endswith(tuple(f"{target}.weight" for target in targets)):
            continue
        num_out, num_in = shape
        place = f"base_model.model.{name.removesuffix('.weight')}"
        tensors[f"{place}.lora_A.weight"] = random.standard_normal((rank, num_in), dtype=np.float32) / np.sqrt(num_in)
        tensors[f"{place}.lora_B.weight"] = size * random.standard_normal((num_out, rank), dtype=np.float32)
    save_file(
        {name: np.ascontiguousarray(t, dtype=np.float32) for name, t in tensors.items()},
        to / "adapter_model.safetensors",
    )
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.name,
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "target_modules": list(targets),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "use_rslora": False,
    }
    (to / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return to
