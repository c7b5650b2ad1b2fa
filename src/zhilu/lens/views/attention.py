"""1.2: which tokens each token looks at, by layer and head, and what each head seems to do."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from zhilu.engine.observe import Observer
from zhilu.errors import InputError
from zhilu.lens.prompt import PromptIn, read_prompt
from zhilu.lens.subject import Subject
from zhilu.messages import T

__all__ = [
    "AttentionIn",
    "AttentionOut",
    "HeadScore",
    "LookIn",
    "LookOut",
    "head_scores",
    "look",
    "looked_at",
    "strongest",
    "weights_of",
]

_KEEP_BYTES = 96 << 20  # maps of a prompt that are kept whole
_PROBE = 24  # tokens of the sequence that is said twice to find induction heads

Maps = npt.NDArray[np.uint16]


class AttentionIn(PromptIn):
    """``head`` None: the average over all heads of the layer."""

    layer: int = 0
    head: int | None = None


class HeadScore(BaseModel):
    """Shares of a head's attention, 0 to 1: at the token before, at the first token, and behind an earlier copy of itself.

    ``induction`` is measured on random tokens said twice: who looks at what came after the first copy can go on with it.
    """

    layer: int
    head: int
    previous: float
    first: float
    induction: float


class AttentionOut(BaseModel):
    """``map``: the weights, row by row, 16 bits each (65,535 is all attention), little endian, in base64."""

    model: str
    tokens: list[str]
    layers: int
    heads: int
    layer: int
    head: int | None
    map: str
    scores: list[HeadScore]


class LookIn(PromptIn):
    """A prediction: in this head, token number ``token`` looks at token number ``guess`` most."""

    model_config = ConfigDict(extra="forbid")
    layer: int
    head: int
    token: int
    guess: int


class LookOut(BaseModel):
    """``ahead``: the largest weight that lies in the future, anywhere in this head's map; more than 0 is a broken mask."""

    tokens: list[str]
    token: int
    guess: int
    truth: int
    weights: list[float]  # of the tokens up to ``token``
    ahead: float
    passed: bool


def look(subject: Subject, asked: AttentionIn) -> AttentionOut:
    """
    Raises:
        InputError: a layer or head that the model does not have; no text, or too long a one.
    """
    config = subject.observer.config
    _check(subject, asked.layer, asked.head)
    prompt = read_prompt(subject, asked)
    whole = config.num_layers * config.num_heads * len(prompt.ids) ** 2 * 2 <= _KEEP_BYTES
    maps, scores = _seen(subject.observer, tuple(prompt.ids), None if whole else asked.layer)
    layer = maps[asked.layer]
    shown = layer.mean(axis=0, dtype=np.float64).astype("<u2") if asked.head is None else layer[asked.head]
    return AttentionOut(
        model=subject.name,
        tokens=prompt.words,
        layers=config.num_layers,
        heads=config.num_heads,
        layer=asked.layer,
        head=asked.head,
        map=base64.b64encode(shown.astype("<u2").tobytes()).decode(),
        scores=scores,
    )


def looked_at(subject: Subject, asked: LookIn) -> LookOut:
    """Where a token of a head really looks, computed anew.

    Raises:
        InputError: a layer, head or token that is not there.
    """
    _check(subject, asked.layer, asked.head)
    prompt = read_prompt(subject, asked)
    if not 0 <= asked.guess <= asked.token < len(prompt.ids):
        raise InputError(
            T(
                f"token {asked.token} cannot look at token {asked.guess}: there are {len(prompt.ids)} tokens, and it sees "
                "itself and what stands before it",
                f"第 {asked.token} 个 token 看不到第 {asked.guess} 个：共有 {len(prompt.ids)} 个 token，每个只能看到自己和前面的",
            ),
            param="guess",
        )
    whole = subject.observer.observe(prompt.ids, [asked.layer]).attention[asked.layer][asked.head]
    weights = whole[asked.token, : asked.token + 1]
    truth = int(weights.argmax())
    # Two that are equal to a thousandth cannot be told apart by eye.
    passed = bool(weights[asked.guess] >= weights[truth] - 1e-3)
    return LookOut(
        tokens=prompt.words,
        token=asked.token,
        guess=asked.guess,
        truth=truth,
        weights=[round(float(weight), 5) for weight in weights],
        ahead=float(np.triu(whole, 1).max()),
        passed=passed,
    )


def head_scores(attention: dict[int, npt.NDArray[np.float32]], induction: npt.NDArray[np.float32]) -> list[HeadScore]:
    """``attention`` of a prompt by layer; ``induction``: ``(layers, heads)`` (see ``induction_scores``)."""
    scores = []
    for layer, maps in sorted(attention.items()):
        n = maps.shape[1]
        rows = np.arange(1, n)
        previous = maps[:, rows, rows - 1].mean(axis=1) if n > 1 else np.zeros(len(maps))
        first = maps[:, 2:, 0].mean(axis=1) if n > 2 else np.zeros(len(maps))
        scores += [
            HeadScore(
                layer=layer,
                head=head,
                previous=round(float(previous[head]), 4),
                first=round(float(first[head]), 4),
                induction=round(float(induction[layer, head]), 4),
            )
            for head in range(len(maps))
        ]
    return scores


@lru_cache(maxsize=2)
def induction_scores(observer: Observer) -> npt.NDArray[np.float32]:
    """``(layers, heads)``: random tokens are said twice; how much each head looks at what followed the first copy.

    As in "In-context Learning and Induction Heads" (Olsson and others, 2022, arXiv 2209.11895).
    """
    config = observer.config
    ids = np.random.default_rng(0).integers(config.vocab_size // 8, config.vocab_size // 2, _PROBE).tolist()
    seen = observer.observe([*ids, *ids], range(config.num_layers))
    rows = np.arange(_PROBE, 2 * _PROBE - 1)
    return np.stack([seen.attention[i][:, rows, rows - _PROBE + 1].mean(axis=1) for i in range(config.num_layers)])


@lru_cache(maxsize=1)
def _seen(observer: Observer, ids: tuple[int, ...], only: int | None) -> tuple[dict[int, Maps], list[HeadScore]]:
    """The maps of a prompt in 16 bits, all of them or of one layer, and what the heads do."""
    induction = induction_scores(observer)
    kept: dict[int, Maps] = {}
    scores: list[HeadScore] = []
    x, angles = observer.embed(ids), observer.angles(range(len(ids)))
    for layer in range(observer.config.num_layers):
        block = observer.block(layer, x, angles)
        x = block.out
        scores += head_scores({layer: block.weights}, induction)
        if only is None or only == layer:
            kept[layer] = np.rint(block.weights * 65535).astype("<u2")
    return kept, scores


def _check(subject: Subject, layer: int, head: int | None) -> None:
    config = subject.observer.config
    for name, value, size in (("layer", layer, config.num_layers), ("head", head, config.num_heads)):
        if value is not None and not 0 <= value < size:
            raise InputError(
                T(
                    f"{subject.name} has {name}s 0 to {size - 1}, not {value}",
                    f"{subject.name} 的 {name} 编号是 0 到 {size - 1}，没有 {value}",
                ),
                param=name,
            )


def weights_of(seen: AttentionOut) -> npt.NDArray[np.float64]:
    """``(n, n)``: the map of an answer as numbers again."""
    n = len(seen.tokens)
    return np.frombuffer(base64.b64decode(seen.map), "<u2").reshape(n, n) / 65535


def strongest(scores: Sequence[HeadScore]) -> dict[str, HeadScore]:
    """The head that does each thing most."""
    return {kind: max(scores, key=lambda s: getattr(s, kind)) for kind in ("previous", "first", "induction")}
