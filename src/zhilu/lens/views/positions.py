"""1.3: what a position does to the score of two tokens: RoPE turned by hand, beside the older sinusoids.

Looked at in the first block, where a token's vectors do not know its neighbours yet: whatever changes between two orders of the
same words is the position's work alone.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from zhilu.engine.observe import Observer, rotate, scale_of
from zhilu.errors import InputError
from zhilu.lens.prompt import PromptIn, read_prompt
from zhilu.lens.subject import Subject
from zhilu.messages import T

__all__ = ["Order", "OrderGuess", "OrderIn", "OrderOut", "Pair", "closed_form", "compare", "judge", "sinusoid"]

_FARTHEST = 512
_POINTS = 160

Array = npt.NDArray[np.float32]


class OrderIn(PromptIn):
    """Token ``query`` looks at token ``key``; then ``key`` changes places with token ``to``. ``factor``: of linear scaling."""

    head: int = 0
    query: int
    key: int
    to: int
    factor: float = Field(4.0, gt=0, le=64)


class OrderGuess(OrderIn):
    """A prediction: which order scores higher, and whether the score would change if positions were not told at all."""

    model_config = ConfigDict(extra="forbid")
    higher: Literal["first", "second"]
    without: Literal["same", "changes"]


class Pair(BaseModel):
    """Two dimensions that turn together: radians a position, tokens of a whole turn, and q and k before the turn."""

    radians: float
    turn: float
    q: tuple[float, float]
    k: tuple[float, float]
    share: float  # of the score that this pair makes in the first order


class Order(BaseModel):
    words: list[str]
    distance: int
    rope: float
    without: float
    sinusoidal: float


class OrderOut(BaseModel):
    model: str
    tokens: list[str]
    heads: int
    theta: float
    context: int
    pairs: list[Pair]
    orders: list[Order]  # two
    distances: list[int]
    rope: list[float]  # score of these two tokens at each distance
    scaled: list[float]  # with positions divided by ``factor``
    sinusoidal: list[float]  # how alike two places are in the older encoding, 1 at distance 0


class OrderTruth(BaseModel):
    seen: OrderOut
    higher: Literal["first", "second"]
    without: Literal["same", "changes"]
    passed: bool


def compare(subject: Subject, asked: OrderIn) -> OrderOut:
    """
    Raises:
        InputError: a head or a token that is not there, or an order in which ``query`` would look ahead.
    """
    observer = subject.observer
    config = observer.config
    prompt = read_prompt(subject, asked, most=256)
    _check(len(prompt.ids), config.num_heads, asked)
    first, second = list(range(len(prompt.ids))), list(range(len(prompt.ids)))
    second[asked.key], second[asked.to] = second[asked.to], second[asked.key]
    orders = [
        _order(
            observer, [prompt.ids[i] for i in order], [prompt.words[i] for i in order], asked, order.index(asked.key)
        )
        for order in (first, second)
    ]
    q, k = _vectors(observer, prompt.ids, asked)
    distances = np.unique(np.geomspace(1, _FARTHEST, _POINTS).astype(int) - 1)
    return OrderOut(
        model=subject.name,
        tokens=prompt.words,
        heads=config.num_heads,
        theta=config.rope.theta,
        context=config.max_positions,
        pairs=_pairs(observer.frequencies, q, k, asked.query - asked.key),
        orders=orders,
        distances=distances.tolist(),
        rope=_curve(q, k, observer.frequencies, distances),
        scaled=_curve(q, k, observer.frequencies / np.float32(asked.factor), distances),
        sinusoidal=[round(float(sinusoid(0, config.head_dim) @ sinusoid(int(d), config.head_dim)) * 2 / config.head_dim, 5)
                    for d in distances],
    )  # fmt: skip


def judge(subject: Subject, guess: OrderGuess) -> OrderTruth:
    """The truth, computed from the model; passed where both parts of the prediction are right."""
    seen = compare(subject, guess)
    one, other = seen.orders
    higher: Literal["first", "second"] = "first" if one.rope > other.rope else "second"
    without: Literal["same", "changes"] = "same" if abs(one.without - other.without) < 1e-4 else "changes"
    passed = guess.higher == higher and guess.without == without and abs(one.rope - other.rope) > 1e-4
    return OrderTruth(seen=seen, higher=higher, without=without, passed=passed)


def sinusoid(position: int, size: int) -> Array:
    """``(size,)``: sines and cosines of a place ("Attention Is All You Need", 3.5)."""
    angles = position / 10000 ** (np.arange(0, size, 2) / size)
    return np.concatenate([np.sin(angles), np.cos(angles)]).astype(np.float32)


def turned_score(q: Array, k: Array, frequencies: npt.NDArray[Any], distance: int) -> float:
    """The score at a distance in closed form: each pair as a complex number, turned by frequency times distance.

    Not how the model computes it, so that each is a check of the other.
    """
    half = len(q) // 2
    product = (q[:half] + 1j * q[half:]) * np.conj(k[:half] + 1j * k[half:])
    return float((product * np.exp(1j * frequencies.astype(np.float64) * distance)).real.sum() * len(q) ** -0.5)


def closed_form(subject: Subject, asked: OrderIn, distance: int) -> float:
    """The score at a distance without turning anything: for the gate, which trusts no single way to compute it."""
    observer = subject.observer
    q, k = _vectors(observer, read_prompt(subject, asked, most=256).ids, asked)
    rope = observer.config.rope
    if rope.kind != "default":
        return turned_score(q, k, observer.frequencies, distance)
    half = observer.config.head_dim // 2
    powers = np.arange(half, dtype=np.float64) / half
    return turned_score(q, k, rope.theta**-powers, distance)


def _vectors(observer: Observer, ids: list[int], asked: OrderIn) -> tuple[Array, Array]:
    """q of the one token and k of the other in the first block, before they are turned: ``(head_dim,)``."""
    _, q, k, _ = observer.project(0, observer.embed(ids))
    q, k = observer.norm_heads(0, q, k)
    shared = observer.config.num_heads // observer.config.num_kv_heads
    return q[asked.query, asked.head], k[asked.key, asked.head // shared]


def _order(observer: Observer, ids: list[int], words: list[str], asked: OrderIn, key: int) -> Order:
    """The score as the model's own block computes it in this order of the tokens."""
    _, q, k, _ = observer.project(0, observer.embed(ids))
    q, k = observer.norm_heads(0, q, k)
    angles = observer.angles(range(len(ids)))
    shared = observer.config.num_heads // observer.config.num_kv_heads
    at = asked.query, asked.head
    to = key, asked.head // shared
    scale, size = scale_of(observer.config.head_dim), observer.config.head_dim
    return Order(
        words=words,
        distance=asked.query - key,
        rope=float(rotate(q, angles)[at] @ rotate(k, angles)[to] * scale),
        without=float(q[at] @ k[to] * scale),
        sinusoidal=float(sinusoid(asked.query, size) @ sinusoid(key, size)) * 2 / size,
    )


def _curve(q: Array, k: Array, frequencies: Array, distances: npt.NDArray[np.int64]) -> list[float]:
    return [round(turned_score(q, k, frequencies, int(distance)), 5) for distance in distances]


def _pairs(frequencies: Array, q: Array, k: Array, distance: int) -> list[Pair]:
    half = len(q) // 2
    product = (q[:half] + 1j * q[half:]) * np.conj(k[:half] + 1j * k[half:]) * np.exp(1j * frequencies * distance)
    shares = product.real * len(q) ** -0.5
    return [
        Pair(
            radians=float(frequencies[i]),
            turn=float(2 * np.pi / frequencies[i]),
            q=(float(q[i]), float(q[i + half])),
            k=(float(k[i]), float(k[i + half])),
            share=float(shares[i]),
        )
        for i in range(half)
    ]


def _check(n: int, heads: int, asked: OrderIn) -> None:
    ok = 0 <= asked.key < n and 0 <= asked.to < n and asked.query < n and 0 <= asked.head < heads
    if not ok or asked.key == asked.to or max(asked.key, asked.to) >= asked.query:
        raise InputError(
            T(
                f"token {asked.query} looks back at token {asked.key}, which changes places with token {asked.to}: both must "
                f"stand before it and differ; there are {n} tokens and {heads} heads",
                f"第 {asked.query} 个 token 回看第 {asked.key} 个，后者与第 {asked.to} 个交换位置：两者都要在它前面且不相同；"
                f"共有 {n} 个 token、{heads} 个头",
            ),
            param="to",
        )
