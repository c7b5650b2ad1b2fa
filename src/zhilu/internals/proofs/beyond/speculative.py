"""6.7.2: what is written is distributed as the target's; greedily it is the target's, token by token; and the formula holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.observe import Observer
from zhilu.internals.proofs.kv_cache import engine_tokens
from zhilu.internals.proofs.text import nano_ids, question_ids
from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_least, at_most, nearest_option, same
from zhilu.messages import T
from zhilu.models.shipped import NANO

__all__ = ["prove"]

Array = npt.NDArray[np.float64]
_WORDS, _DRAWS = 5, 20_000
_CHI_SQUARE = 49.7  # 24 degrees of freedom: a right sampler is above it once in 500 seeds, and the seed is fixed
_COUNT, _GUESSES = 40, 4


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``beyond.speculative`` has."""
    say(0.0, T("twenty thousand draws", "抽两万次"))
    checks = [*_distribution(part)]
    say(0.4, T("counting passes", "数一数遍数"))
    tokens, promised = _passes(part, 0.8)
    checks.append(
        at_most(
            T("tokens a pass against the formula (relative)", "每遍 token 数与公式之差（相对）"),
            abs(tokens / promised - 1),
            0.02,
        )
    )
    say(0.5, T("zhilu-nano as the target", "以 zhilu-nano 为目标模型"))
    target, prompt = _nano(), question_ids()
    alone = engine_tokens(prompt, _COUNT)
    rows, most = list[list[T | str]](), 0.0
    drafts = {
        T("its own first 6 of 8 layers", "它自己的前 6 层（共 8 层）"): _nano(layers=6),
        T("its own first 3 layers", "它自己的前 3 层"): _nano(layers=3),
        T("which token follows which, counted", "数出来的“谁跟着谁”"): _pairs(),
    }
    for index, (name, draft) in enumerate(drafts.items()):
        say(0.55 + 0.15 * index, name)
        rng = np.random.default_rng(1)
        run = part.generate(
            lambda ids: part.one_hot(target(ids)),
            lambda ids, draft=draft: part.one_hot(draft(ids)),
            prompt,
            _COUNT,
            guesses=_GUESSES,
            rng=rng,
        )
        checks.append(
            same(
                T(f"greedy tokens = the engine's; draft: {name.en}", f"贪心 token = 引擎的；草稿：{name.zh}"),
                run.ids[:_COUNT] == alone,
                True,
            )
        )
        most = max(most, run.tokens_per_pass)
        rows.append(
            [
                name,
                f"{run.acceptance:.0%}",
                f"{run.tokens_per_pass:.2f}",
                f"{part.expected_tokens(run.acceptance, _GUESSES):.2f}",
            ]
        )
    checks.append(at_least(T("tokens a pass with the best draft", "最好的草稿，每遍 token 数"), most, 1.3))
    checks.append(
        at_most(
            T("a draft as costly as the target: speed-up", "草稿与目标一样贵时的加速"), part.speed_up(0.8, 4, 1.0), 1.0
        )
    )
    counts = [1, 2, 3, 4, 6, 8, 12]
    return Result(
        task="6.7.2",
        answer=nearest_option(tokens, (1.8, 3.4, 5.0), lambda a, b: abs(a - b)),
        checks=checks,
        charts=[
            Chart(
                title=T(
                    "Speed-up, where the draft costs a tenth of the target", "加速比：草稿的开销是目标的十分之一时"
                ),
                x=T("guesses a pass", "每遍猜几个"),
                y=T("times as fast", "快几倍"),
                series=[
                    Series(
                        name=T(f"{share:.0%} kept", f"{share:.0%} 被接受"),
                        xs=counts,
                        ys=[part.speed_up(share, k, 0.1) for k in counts],
                    )
                    for share in (0.5, 0.7, 0.9)
                ],
            )
        ],
        tables=[
            Table(
                title=T("zhilu-nano writes an answer, four guesses a pass", "zhilu-nano 写一段回答，每遍猜四个"),
                columns=[
                    T("draft", "草稿"),
                    T("kept", "接受"),
                    T("tokens a pass", "每遍 token 数"),
                    T("the formula, if each had the same chance", "公式（假设每个机会相同）"),
                ],
                rows=[[T.of(cell) for cell in row] for row in rows],
            )
        ],
    )


def _chain(seed: int) -> Any:
    """A model of five words in which the next depends on the last: small enough that every probability is known."""
    table = np.random.default_rng(seed).dirichlet(np.full(_WORDS, 0.7), size=_WORDS)
    return lambda ids: table[list(ids)]


def _distribution(part: Any) -> list[Check]:
    """The first two words of many runs against the exact law of the target, by chi-square; and the same for the draft's law."""
    target, draft = _chain(3), _chain(4)
    rng = np.random.default_rng(8)
    counts = np.zeros((_WORDS, _WORDS))
    for _ in range(_DRAWS):
        first, second = part.generate(target, draft, [0], 2, guesses=2, rng=rng).ids[:2]
        counts[first, second] += 1
    law = target([0])[0][:, None] * target(range(_WORDS))
    wrong = draft([0])[0][:, None] * draft(range(_WORDS))
    statistic, of_draft = (float(((counts - _DRAWS * p) ** 2 / (_DRAWS * p)).sum()) for p in (law, wrong))
    return [
        at_most(
            T("two words against the target's law (chi-square)", "两个词与目标分布之差（卡方）"), statistic, _CHI_SQUARE
        ),
        at_least(
            T("against the draft's law: the test can tell", "与草稿分布之差：检验分得出来"), of_draft, 10 * _CHI_SQUARE
        ),
    ]


def _passes(part: Any, share: float) -> tuple[float, float]:
    """Two models whose guesses are kept with the same chance everywhere: Σ min(p, q) = ``share``."""
    p = np.array([1 - 0.1, 0.1])
    q = np.array([1 - 0.1 - (1 - share), 0.1 + (1 - share)])
    run = part.generate(
        lambda ids: np.tile(p, (len(ids), 1)),
        lambda ids: np.tile(q, (len(ids), 1)),
        [0],
        3000,
        guesses=_GUESSES,
        rng=np.random.default_rng(2),
    )
    return run.tokens_per_pass, part.expected_tokens(float(np.minimum(p, q).sum()), _GUESSES)


def _nano(layers: int | None = None) -> Any:
    """zhilu-nano's probabilities, of all its layers or of the first few with the same output matrix."""
    model = _observer()
    count = layers or model.config.num_layers

    def probabilities(ids: Sequence[int]) -> Array:
        x, angles = model.embed(ids), model.angles(range(len(ids)))
        for layer in range(count):
            x = model.block(layer, x, angles).out
        logits = model.logits(x).astype(np.float64)
        likely = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(likely / likely.sum(axis=-1, keepdims=True))

    return probabilities


@cache
def _observer() -> Observer:
    return Observer(NANO)


@cache
def _pairs() -> Any:
    """For each token, what followed it most in a text: the cheapest draft there is."""
    follows: dict[int, dict[int, int]] = {}
    for before, after in pairwise(nano_ids(20_000)):
        counted = follows.setdefault(before, {})
        counted[after] = counted.get(after, 0) + 1
    size = _observer().config.vocab_size

    def probabilities(ids: Sequence[int]) -> Array:
        table = np.full((1, size), 1e-9)
        for token, times in follows.get(ids[-1], {0: 1}).items():
            table[0, token] += times
        return np.asarray(table / table.sum())

    return probabilities
