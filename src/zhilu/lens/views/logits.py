"""1.5, the first half: what the model thinks comes next, how each sampling parameter bends it, and what each block would say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from zhilu.engine.choose.sampler import candidates, log_softmax, penalize
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.observe import Observer
from zhilu.lens.prompt import PromptIn, read_prompt
from zhilu.lens.subject import Subject, token_text

__all__ = ["LogitsIn", "LogitsOut", "NextToken", "final_logits", "look"]

_SHOWN = 30


class LogitsIn(PromptIn):
    """The penalties take the text itself for what was written so far, so that one sees what repeating does."""

    temperature: float = Field(1.0, ge=0, le=5)
    top_k: int = Field(0, ge=0, le=100_000)
    top_p: float = Field(1.0, gt=0, le=1)
    min_p: float = Field(0.0, ge=0, le=1)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    repetition_penalty: float = Field(1.0, gt=0, le=3)


class NextToken(BaseModel):
    """``probability``: as the model means it; ``after``: with the sampling parameters, 0 where the token cannot come."""

    id: int
    text: str
    logit: float
    probability: float
    after: float
    special: bool


class LayerToken(BaseModel):
    """What the model would say if it ended after this block (0: with the embedding alone)."""

    layer: int
    text: str
    probability: float


class LogitsOut(BaseModel):
    model: str
    tokens: list[str]
    next: list[NextToken]
    kept: int  # tokens that can come
    vocabulary: int
    entropy: float  # bits, as the model means it
    after_entropy: float
    layers: list[LayerToken]
    kv_bytes: int  # what keys and values of this prompt take, in 16 bits


def look(subject: Subject, asked: LogitsIn) -> LogitsOut:
    """
    Raises:
        InputError: no text, or too long a one.
    """
    prompt = read_prompt(subject, asked)
    observer, tokenizer = subject.observer, subject.tokenizer
    rows = _rows(observer, tuple(prompt.ids))
    row = rows[-1]
    probabilities = np.exp(log_softmax(row))
    after = _after(row, asked, prompt.ids)
    # What the settings have lifted above the likeliest is shown as well.
    best = np.argsort(-np.maximum(probabilities, after), kind="stable")[:_SHOWN]
    best = best[np.argsort(-row[best], kind="stable")]
    return LogitsOut(
        model=subject.name,
        tokens=prompt.words,
        next=[
            NextToken(
                id=int(id),
                text=token_text(tokenizer.token_bytes(int(id))),
                logit=float(row[id]),
                probability=float(probabilities[id]),
                after=float(after[id]),
                special=int(id) in tokenizer.special_ids,
            )
            for id in best
        ],
        kept=int((after > 0).sum()),
        vocabulary=len(row),
        entropy=_entropy(probabilities),
        after_entropy=_entropy(after),
        layers=[_layer_token(tokenizer.token_bytes, layer, logits) for layer, logits in enumerate(rows)],
        kv_bytes=observer.config.kv_bytes_per_token(2) * len(prompt.ids),
    )


def final_logits(observer: Observer, ids: list[int]) -> npt.NDArray[np.float32]:
    """``(vocab_size,)`` after the last token."""
    row: npt.NDArray[np.float32] = observer.logits(observer.observe(ids).hidden[-1][-1:])[0]
    return row


@lru_cache(maxsize=4)
def _rows(observer: Observer, ids: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """``(layers + 1, vocab_size)``: the last token's logits if the model ended after each block (the "logit lens")."""
    return observer.logits(np.stack([states[-1] for states in observer.observe(ids).hidden]))


def _after(row: npt.NDArray[np.float32], asked: LogitsIn, ids: list[int]) -> npt.NDArray[np.float64]:
    """Probabilities with the engine's own penalties and filters; temperature 0 takes the likeliest."""
    params = SamplingParams(
        max_tokens=1,
        temperature=asked.temperature,
        top_k=asked.top_k,
        top_p=asked.top_p,
        min_p=asked.min_p,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        repetition_penalty=asked.repetition_penalty,
    )
    row = penalize(row, params, ids, Counter(ids))
    after = np.zeros(len(row))
    if asked.temperature < 1e-5:
        after[int(row.argmax())] = 1.0
        return after
    kept, weights = candidates(row, params)
    after[kept] = weights / weights.sum()
    return after


def _entropy(probabilities: npt.NDArray[np.float64]) -> float:
    some = probabilities[probabilities > 0]
    return round(abs(float(-(some * np.log2(some)).sum())), 4)


def _layer_token(spell: Callable[[int], bytes], layer: int, logits: npt.NDArray[np.float32]) -> LayerToken:
    id = int(logits.argmax())
    return LayerToken(
        layer=layer,
        text=token_text(spell(id)),
        probability=float(np.exp(log_softmax(logits)[id])),
    )
