"""1.5, the second half: one step of training on a copy of the model, beside an inference that changes nothing."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from zhilu.engine.observe import Observer
from zhilu.errors import InputError
from zhilu.lens.backward import loss_and_gradients, loss_of
from zhilu.lens.prompt import PromptIn, read_prompt
from zhilu.lens.subject import Subject, small_enough, token_text
from zhilu.lens.views.logits import final_logits
from zhilu.messages import T

__all__ = ["Moved", "StepGuess", "StepIn", "StepOut", "StepTruth", "judge", "take"]

_MOST_TOKENS = 128
_MOST_MOVED = 12
_RATE = 0.05


class StepIn(PromptIn):
    """``rate``: how far the weights go against their gradient, which is cut to length 1 as trainers do; ``steps``: how often."""

    rate: float = Field(_RATE, gt=0, le=10)
    steps: int = Field(1, ge=1, le=8)


class Moved(BaseModel):
    """A tensor, the length of its gradient, and by what part of its own length it moved."""

    name: str
    gradient: float
    moved: float


class StepOut(BaseModel):
    """``losses``: before, and after each step. ``slope``: what the gradient says the loss falls by in a small step, over what
    it did fall by; near 1 the gradient is true."""

    model: str
    tokens: int
    losses: list[float]
    hash_before: str
    hash_after_inference: str
    hash_after_training: str
    next_before: str
    next_after: str
    chance_before: float  # of the text's own last token, given the others
    chance_after: float
    gradient: float  # its length over all weights
    slope: float
    parameters: int
    changed: int  # tensors that moved
    tensors: int
    moved: list[Moved]  # those that moved most
    inference_bytes: int  # weights alone
    training_bytes: int  # weights, gradients and Adam's two moments, in 32 bits


class StepGuess(StepIn):
    """A prediction: which way the loss goes, and after which of the two the weights are others."""

    model_config = ConfigDict(extra="forbid")
    loss: Literal["falls", "stays", "rises"]
    changes: Literal["training", "inference", "both", "neither"]


class StepTruth(BaseModel):
    seen: StepOut
    loss: Literal["falls", "stays", "rises"]
    changes: Literal["training", "inference", "both", "neither"]
    passed: bool


class _Copy(Observer):
    """A model whose weights are a copy of another's and may be written to."""

    def __init__(self, source: Observer) -> None:
        self.config = source.config
        self._tensors = source._tensors
        self._kept = source.weights()

    def move(self, name: str, by: np.ndarray) -> None:
        assert self._kept is not None
        self._kept[name] += by

    def hash(self) -> str:
        assert self._kept is not None
        digest = hashlib.sha256()
        for name in sorted(self._kept):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self._kept[name]).data)
        return digest.hexdigest()


def take(subject: Subject, asked: StepIn) -> StepOut:
    """Train a copy on the text. The model's own files and the one that answers are not touched.

    Raises:
        InputError: too large a model, or a text of less than three tokens.
    """
    parameters = small_enough(subject)
    ids = read_prompt(subject, asked, most=_MOST_TOKENS).ids
    if len(ids) < 3:
        raise InputError(
            T(f"{len(ids)} tokens are too few to learn from", f"{len(ids)} 个 token 太少，学不到东西"), param="text"
        )
    copy = _Copy(subject.observer)
    before = copy.hash()
    rows = final_logits(copy, ids[:-1])
    after_inference = copy.hash()
    start = {name: copy.weight(name).copy() for name in copy._tensors}

    losses: list[float] = []
    length, slope = 0.0, 0.0
    first: dict[str, float] = {}
    for step in range(asked.steps):
        loss, gradients = loss_and_gradients(copy, ids)
        losses.append(round(loss, 5))
        if step == 0:
            first = {name: float(np.linalg.norm(gradient)) for name, gradient in gradients.items()}
            length = float(np.sqrt(sum(value**2 for value in first.values())))
            slope = _slope(copy, ids, gradients, length)
        whole = float(np.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values())))
        for name, gradient in gradients.items():
            copy.move(name, -np.float32(asked.rate / max(1.0, whole)) * gradient)
    losses.append(round(loss_of(copy, ids), 5))
    moved = _moved(copy, start, first)
    rows_after = final_logits(copy, ids[:-1])
    spell = subject.tokenizer.token_bytes
    return StepOut(
        model=subject.name,
        tokens=len(ids),
        losses=losses,
        hash_before=before,
        hash_after_inference=after_inference,
        hash_after_training=copy.hash(),
        next_before=token_text(spell(int(rows.argmax()))),
        next_after=token_text(spell(int(rows_after.argmax()))),
        chance_before=_chance(rows, ids[-1]),
        chance_after=_chance(rows_after, ids[-1]),
        gradient=length,
        slope=slope,
        parameters=parameters,
        changed=sum(one.moved > 0 for one in moved),
        tensors=len(moved),
        moved=sorted(moved, key=lambda one: -one.moved)[:_MOST_MOVED],
        inference_bytes=2 * parameters,
        training_bytes=16 * parameters,
    )


def judge(subject: Subject, guess: StepGuess) -> StepTruth:
    """The truth from a step that is taken now."""
    seen = take(subject, guess)
    change = seen.losses[1] - seen.losses[0]
    loss: Literal["falls", "stays", "rises"] = "falls" if change < 0 else "rises" if change > 0 else "stays"
    trained, inferred = (
        seen.hash_after_training != seen.hash_after_inference,
        seen.hash_after_inference != seen.hash_before,
    )
    changes: Literal["training", "inference", "both", "neither"] = (
        "both" if trained and inferred else "training" if trained else "inference" if inferred else "neither"
    )
    return StepTruth(seen=seen, loss=loss, changes=changes, passed=(guess.loss, guess.changes) == (loss, changes))


def _slope(copy: _Copy, ids: list[int], gradients: dict[str, np.ndarray], length: float) -> float:
    """A tiny step one way and one the other: does the loss change as the gradient says?"""
    if not length:
        return 0.0
    tiny = 0.02 / length**2  # so that the loss should change by 0.04
    sides = []
    for sign in (-1, 1):
        for name, gradient in gradients.items():
            copy.move(name, np.float32(sign * tiny) * gradient)
        sides.append(loss_of(copy, ids))
        for name, gradient in gradients.items():
            copy.move(name, np.float32(-sign * tiny) * gradient)
    return round((sides[1] - sides[0]) / (2 * tiny * length**2), 4)


def _moved(copy: _Copy, start: dict[str, np.ndarray], gradients: dict[str, float]) -> list[Moved]:
    return [
        Moved(
            name=name,
            gradient=gradients.get(name, 0.0),
            moved=float(np.linalg.norm(copy.weight(name) - old) / (np.linalg.norm(old) or 1.0)),
        )
        for name, old in start.items()
    ]


def _chance(row: np.ndarray, id: int) -> float:
    shifted = row.astype(np.float64) - row.max()
    return float(np.exp(shifted[id]) / np.exp(shifted).sum())
