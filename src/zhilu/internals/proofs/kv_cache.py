"""6.2: the same tokens with the cache, without it, and from the engine that serves; cost by length; sizes, computed and held."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from zhilu.engine.choose.sampler import log_softmax
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import load_engine
from zhilu.engine.observe import Observer
from zhilu.engine.options import EngineOptions
from zhilu.internals.proofs.text import nano_ids, question_ids
from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_least, at_most, nearest_option, same
from zhilu.messages import T
from zhilu.models.shipped import NANO

__all__ = ["engine_tokens", "prove"]

_NEW = 16
_LENGTHS = (32, 64, 128, 256, 512)
# Name, layers, heads, key-value heads, head dimension: from the models' own config.json.
_KNOWN = (
    ("Llama 2 7B", 32, 32, 32, 128),
    ("Llama 3 8B", 32, 32, 8, 128),
    ("Qwen2.5 0.5B", 24, 14, 2, 64),
    ("StarCoder (MQA)", 40, 48, 1, 128),
)
_DEEPSEEK = (61, 512, 64)  # DeepSeek-V3: layers, kv_lora_rank, qk_rope_head_dim


def prove(part: Any, say: Say) -> Result:
    """``part`` is ``lesson2_kv_cache`` or has what it has."""
    model, ids = Observer(NANO), nano_ids(600)
    prompt = question_ids()
    say(0.0, T("writing tokens with and without the cache", "有缓存与无缓存各写一遍"))
    without = part.generate(model, prompt, _NEW, cached=False)
    with_cache = part.generate(model, prompt, _NEW, cached=True)
    checks = [same(T("tokens with the cache = without it", "有缓存的 token = 无缓存的"), with_cache, without)]
    say(0.2, T("asking the engine", "与推理引擎比较"))
    checks.append(
        same(T("tokens = the serving engine's", "token = 推理引擎的"), with_cache, engine_tokens(prompt, _NEW))
    )
    checks.append(_run_through(part, model, prompt))
    checks.append(_in_pieces(part, model, prompt))
    say(0.35, T("8 bits", "8 位缓存"))
    checks += _rounded(part, model, prompt)
    checks.append(_latent(part))
    checks.append(_held(part, model, prompt))
    say(0.45, T("measuring time", "测量时间"))
    cost = [_seconds(part, model, ids, n, say) for n in _LENGTHS]
    slow, fast = [one[0] for one in cost], [one[1] for one in cost]
    whole = _sums(slow), _sums(fast)
    powers = [float(np.polyfit(np.log(_LENGTHS), np.log(one), 1)[0]) for one in whole]
    ratio = slow[-1] / fast[-1], slow[0] / fast[0]
    checks += [
        at_least(T("an answer without the cache: length to the power", "无缓存的整段开销：长度的几次方"), powers[0], 1.4),
        at_most(T("an answer with the cache: length to the power", "有缓存的整段开销：长度的几次方"), powers[1], 1.35),
        at_least(
            T(
                f"speed-up of one token at {_LENGTHS[-1]} over that at {_LENGTHS[0]}",
                f"长度 {_LENGTHS[-1]} 处的加速与 {_LENGTHS[0]} 处之比",
            ),
            ratio[0] / ratio[1],
            1.5,
        ),
    ]  # fmt: skip
    names = T("without the cache", "无缓存"), T("with the cache", "有缓存")
    charts = [
        Chart(title=title, x=T("tokens so far", "已有 token 数"), y=T("ms", "毫秒"), log=True,
              series=[Series(name=name, xs=list(_LENGTHS), ys=[1000 * s for s in ys]) for name, ys in zip(names, pair, strict=True)])
        for title, pair in (
            (T("One more token (CPU time)", "再写一个 token（CPU 时间）"), (slow, fast)),
            (T("An answer of that length, summed up", "写出这么长的回答，总计"), whole),
        )
    ]  # fmt: skip
    answer = nearest_option(2.0 ** powers[1], (1, 2, 4), lambda a, b: abs(np.log(a / b)))
    return Result(task="6.2", answer=answer, checks=checks, charts=charts, tables=[_sizes(part)])


def engine_tokens(prompt: list[int], count: int) -> list[int]:
    """Greedy tokens of our own engine, in full precision."""
    options = EngineOptions(
        NANO, max_len=512, max_num_seqs=1, kv_tokens=1024, precision="full", dtype="float32", runner="openvino"
    )
    engine = load_engine(options)
    engine.add("lesson", prompt, SamplingParams(max_tokens=count, temperature=0, ignore_eos=True))
    found: list[int] = []
    while len(found) < count:
        found += [output.token.id for output in engine.step() if output.token is not None]
    return found


def _run_through(part: Any, model: Observer, prompt: list[int]) -> Check:
    """A cache that is there and not used gives the same tokens and saves nothing: what goes through the model is counted."""
    forward, seen = part.forward, list[int]()

    def counted(model: Observer, ids: list[int], cache: Any) -> Any:
        seen.append(len(ids))
        return forward(model, ids, cache)

    part.forward = counted
    try:
        part.generate(model, prompt, _NEW, cached=True)
    finally:
        part.forward = forward
    return same(
        T(
            "tokens run through the model = prompt + new ones but the last",
            "经过模型的 token 数 = 提示 + 新 token（除最后一个）",
        ),
        sum(seen),
        len(prompt) + _NEW - 1,
    )


def _in_pieces(part: Any, model: Observer, prompt: list[int]) -> Check:
    """A prompt run in three pieces gives the logits that it gives whole: what chunked prefill relies on."""
    whole, pieces = part.Cache(model.config, len(prompt)), part.Cache(model.config, len(prompt))
    right = part.forward(model, prompt, whole)
    for piece in (prompt[:8], prompt[8:9], prompt[9:]):
        mine = part.forward(model, piece, pieces)
    off = float(np.abs(mine - right).max())
    return at_most(T("logits of a prompt in pieces against the whole", "分段输入与整段输入的 logits 之差"), off, 1e-3)


def _rounded(part: Any, model: Observer, prompt: list[int]) -> list[Check]:
    plain, small = part.Cache(model.config, len(prompt)), part.Int8Cache(model.config, len(prompt))
    right, mine = (log_softmax(part.forward(model, prompt, cache)) for cache in (plain, small))
    likely = right > right.max() - 5
    off, share = float(np.abs(right - mine)[likely].max()), small.nbytes / max(1, plain.nbytes)
    of_likely = T("8-bit cache: log-probability of likely tokens off by", "8 位缓存：可能 token 的对数概率之差")
    return [
        at_most(of_likely, off, 0.25),
        at_most(T("8-bit cache: bytes against float32", "8 位缓存：相对 float32 的字节数"), share, 0.3),
    ]


def _latent(part: Any) -> Check:
    """DeepSeek's shapes, one sixteenth of the heads."""
    rng = np.random.default_rng(3)
    q, latents, up = (rng.standard_normal(shape, dtype=np.float32) for shape in ((8, 128), (200, 512), (8, 128, 512)))
    keys = np.einsum("hdr,nr->hnd", up, latents)
    right = np.einsum("hd,hnd->hn", q, keys)
    off = float(np.abs(part.absorbed_scores(q, latents, up) - right).max() / np.abs(right).max())
    return at_most(
        T("MLA: scores in the latent space against those of full keys", "MLA：潜空间得分与完整键得分之差"), off, 1e-5
    )


def _held(part: Any, model: Observer, prompt: list[int]) -> Check:
    cache, config = part.Cache(model.config, 512), model.config
    part.forward(model, prompt, cache)
    computed = len(prompt) * part.bytes_per_token(config.num_layers, config.num_kv_heads, config.head_dim, 4)
    return same(T("bytes in the cache = computed", "缓存里的字节数 = 计算值"), cache.nbytes, computed)


def _seconds(part: Any, model: Observer, ids: list[int], n: int, say: Say) -> tuple[float, float]:
    """CPU seconds for one more token behind ``n``: without the cache, and with it."""
    say(0.45 + 0.5 * _LENGTHS.index(n) / len(_LENGTHS), T(f"{n} tokens", f"{n} 个 token"))
    text = (ids * 2)[:n]
    cache = part.Cache(model.config, n + 64)
    part.forward(model, text, cache)
    slow = _least(lambda: part.forward(model, text, part.Cache(model.config, n)), 2)
    fast = _least(lambda: part.forward(model, text[:1], cache), 8)
    return slow, fast


def _least(run: Callable[[], Any], times: int) -> float:
    found = []
    for _ in range(times):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return max(1e-6, min(found))


def _sums(each: list[float]) -> list[float]:
    """Cost of all tokens up to each length, the cost between two measured lengths taken as a straight line."""
    totals, total, before = [], each[0] * _LENGTHS[0], _LENGTHS[0]
    for index, n in enumerate(_LENGTHS):
        if index:
            total += (each[index - 1] + each[index]) / 2 * (n - before)
        before = n
        totals.append(total)
    return totals


def _sizes(part: Any) -> Table:
    rows = []
    for name, layers, heads, kv_heads, head_dim in _KNOWN:
        each = part.bytes_per_token(layers, kv_heads, head_dim)
        all_heads = part.bytes_per_token(layers, heads, head_dim)
        rows.append(
            [name, f"{heads} / {kv_heads}", f"{each:,}", f"{each * 32768 / 2**30:.2f}", f"{all_heads / each:.0f}×"]
        )
    layers, rank, rope = _DEEPSEEK
    each, all_heads = part.latent_bytes_per_token(layers, rank, rope), part.bytes_per_token(layers, 128, 128)
    rows.append(
        ["DeepSeek-V3 (MLA)", "128 / –", f"{each:,}", f"{each * 32768 / 2**30:.2f}", f"{all_heads / each:.0f}×"]
    )
    return Table(
        title=T("What a token costs in the cache, in 16 bits", "每个 token 在缓存里占多少（16 位）"),
        columns=[
            T("model", "模型"),
            T("heads / key heads", "头 / 键值头"),
            T("bytes a token", "每 token 字节"),
            T("GiB for 32,768 tokens", "32,768 个 token 的 GiB"),
            T("smaller than one key a head", "比每头一键小"),
        ],
        rows=[[T.of(cell) for cell in row] for row in rows],
    )
