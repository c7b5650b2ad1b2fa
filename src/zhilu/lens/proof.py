"""Whether what Lens computes is what the model really answers: the engine that serves it is asked for the same prompt.

Every gate that shows something computed here asks first. A wrong rotation, a mask off by one or a forgotten scale moves the
probabilities of the next token, and the engine, which shares none of this code, does not move with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zhilu.client import connect
from zhilu.engine.choose.sampler import log_softmax
from zhilu.errors import UpstreamError
from zhilu.lens.subject import Subject
from zhilu.lens.views.logits import final_logits
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["NEAR", "Proof", "prove"]

_TOP = 5
NEAR = 0.1  # in log-probability; full precision differs by a thousandth, int8 and its groups by some hundredths


class Proof(NamedTuple):
    """``difference``: the largest of the likeliest tokens' log-probabilities, ours against the engine's."""

    difference: float
    tokens: int

    @property
    def holds(self) -> bool:
        return self.difference <= NEAR


def prove(context: Context, subject: Subject, ids: Sequence[int]) -> Proof:
    """
    Raises:
        UpstreamError: the engine reports no probabilities.
        UnreachableError: as ``client.connect``.
    """
    theirs = asyncio.run(_ask(context, subject.name, list(ids)))
    mine = np.sort(log_softmax(final_logits(subject.observer, list(ids))))[::-1]
    return Proof(max(abs(float(mine[i]) - value) for i, value in enumerate(theirs)), len(ids))


async def _ask(context: Context, model: str, ids: list[int]) -> list[float]:
    """The log-probabilities of the likeliest next tokens, likeliest first."""
    async with connect(context) as client:
        answer = await client.completions(ids, model=model, max_tokens=1, temperature=0, logprobs=_TOP)
    try:
        top = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        values = sorted((float(value) for value in top.values()), reverse=True)[:_TOP]
    except (KeyError, IndexError, TypeError, AttributeError):
        values = []
    if len(values) < 2:
        raise UpstreamError(
            T(
                f"the engine that serves {model} reports no probabilities to compare with",
                f"运行 {model} 的引擎没有给出可以比较的概率",
            ),
            fix="zhilu engine list",
        )
    return values
