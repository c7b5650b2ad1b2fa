"""1.2: which tokens each token looks at, by layer and head, and what each head seems to do."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

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
    "HeadsOut",
    "LookIn",
    "LookOut",
    "head_scores",
    "heads",
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
    induction: float = 0.0


class AttentionOut(BaseModel):
    """``map``: the weights, row by row, 16 bits each (65,535 is all attention), little endian, in base64."""

    model: str
    tokens: list[str]
    layers: int
    heads: int
    layer: int
    head: int | None
    map: str


class HeadsOut(BaseModel):
    model: str
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
    layer = _run(subject.observer, tuple(prompt.ids)).layer(asked.layer)
    shown = layer.mean(axis=0, dtype=np.float64).astype("<u2") if asked.head is None else layer[asked.head]
    return AttentionOut(
        model=subject.name,
        tokens=prompt.words,
        layers=config.num_layers,
        heads=config.num_heads,
        layer=asked.layer,
        head=asked.head,
        map=base64.b64encode(shown.astype("<u2").tobytes()).decode(),
    )


def heads(subject: Subject, asked: PromptIn) -> HeadsOut:
    """What each head of the model does with a text: all layers are computed, which a large model takes its time for.

    Raises:
        InputError: no text, or too long a one.
    """
    observer = subject.observer
    scores = _run(observer, tuple(read_prompt(subject, asked).ids)).scores()
    induction = induction_scores(observer)
    told = [one.model_copy(update={"induction": round(float(induction[one.layer, one.head]), 4)}) for one in scores]
    return HeadsOut(model=subject.name, scores=told)


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


def head_scores(attention: dict[int, npt.NDArray[np.float32]]) -> list[HeadScore]:
    """Of a prompt's ``attention`` by layer; ``induction`` is measured on another (see ``induction_scores``)."""
    scores = []
    for layer, maps in sorted(attention.items()):
        n = maps.shape[1]
        rows = np.arange(1, n)
        previous = maps[:, rows, rows - 1].mean(axis=1) if n > 1 else np.zeros(len(maps))
        first = maps[:, 2:, 0].mean(axis=1) if n > 2 else np.zeros(len(maps))
        scores += [
            HeadScore(
                layer=layer, head=head, previous=round(float(previous[head]), 4), first=round(float(first[head]), 4)
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


class _Run:
    """A prompt's way through the model, as far as anybody has looked: the first layer's map need not wait for the last."""

    def __init__(self, observer: Observer, ids: tuple[int, ...]) -> None:
        config = observer.config
        self._observer, self._angles = observer, observer.angles(range(len(ids)))
        self._states = [observer.embed(ids)]  # what goes into each layer
        self._maps: dict[int, Maps] = {}
        self._whole = config.num_layers * config.num_heads * len(ids) ** 2 * 2 <= _KEEP_BYTES
        self._scores: list[HeadScore] = []
        self._one = Lock()

    def layer(self, number: int) -> Maps:
        """``(heads, n, n)`` in 16 bits."""
        with self._one:
            self._reach(number + 1)
            if number not in self._maps:
                block = self._observer.block(number, self._states[number], self._angles)
                self._keep(number, block.weights)
            return self._maps[number]

    def scores(self) -> list[HeadScore]:
        """Of every head of the model."""
        with self._one:
            self._reach(self._observer.config.num_layers)
            return self._scores

    def _reach(self, layers: int) -> None:
        while len(self._states) <= layers:
            number = len(self._states) - 1
            block = self._observer.block(number, self._states[-1], self._angles)
            self._states.append(block.out)
            self._keep(number, block.weights)
            self._scores += head_scores({number: block.weights})

    def _keep(self, number: int, weights: npt.NDArray[np.float32]) -> None:
        if not self._whole:
            self._maps.clear()
        self._maps[number] = np.rint(weights * 65535).astype("<u2")


@lru_cache(maxsize=1)
def _run(observer: Observer, ids: tuple[int, ...]) -> _Run:
    return _Run(observer, ids)


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
