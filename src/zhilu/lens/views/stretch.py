"""1.3, the second half: what a text costs the model when its positions are divided or multiplied, and where that breaks.

Dividing positions is how contexts are made longer without training ("position interpolation", arXiv 2306.15595): far tokens look
nearer than they are. Here the learner's own text is read at each factor, and the model's surprise says how much it still understands.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel

from zhilu.engine.choose.sampler import log_softmax
from zhilu.errors import InputError
from zhilu.lens.prompt import PromptIn, read_prompt
from zhilu.lens.subject import Subject, small_enough
from zhilu.messages import T

__all__ = ["StretchOut", "Stretched", "stretch"]

_FACTORS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_MOST_TOKENS, _LEAST_TOKENS = 192, 8


class Stretched(BaseModel):
    """``spacing``: positions between neighbours; 0.25 is "divided by four". ``surprise``: bits a token, on average.

    ``right``: share of the tokens that the model would have put first itself.
    """

    spacing: float
    surprise: float
    right: float


class StretchOut(BaseModel):
    model: str
    tokens: int
    at: list[Stretched]
    chance: float  # bits of who knows nothing: the logarithm of the vocabulary


def stretch(subject: Subject, asked: PromptIn) -> StretchOut:
    """
    Raises:
        InputError: too short or long a text, or too large a model.
    """
    small_enough(subject)
    ids = read_prompt(subject, asked, most=_MOST_TOKENS).ids
    if len(ids) < _LEAST_TOKENS:
        raise InputError(
            T(
                f"{len(ids)} tokens say too little; write at least {_LEAST_TOKENS}",
                f"{len(ids)} 个 token 太少，至少写 {_LEAST_TOKENS} 个",
            ),
            param="text",
        )
    return StretchOut(
        model=subject.name,
        tokens=len(ids),
        at=[_read(subject, ids, spacing) for spacing in _FACTORS],
        chance=float(np.log2(subject.observer.config.vocab_size)),
    )


def _read(subject: Subject, ids: list[int], spacing: float) -> Stretched:
    observer = subject.observer
    x = observer.embed(ids)
    angles = np.arange(len(ids), dtype=np.float32)[:, None] * np.float32(spacing) * observer.frequencies
    for layer in range(observer.config.num_layers):
        x = observer.block(layer, x, angles).out
    rows = observer.logits(x[:-1])
    bits = [-float(log_softmax(row)[after]) / np.log(2) for row, after in zip(rows, ids[1:], strict=True)]
    return Stretched(
        spacing=spacing,
        surprise=round(float(np.mean(bits)), 4),
        right=round(float((rows.argmax(axis=1) == np.array(ids[1:])).mean()), 4),
    )
