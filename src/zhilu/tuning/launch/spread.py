"""How the work of a step is spread over processes. This base: not at all; its derivations do it with PyTorch and DeepSpeed.

A step's losses are sums over packed sequences, each already divided by what the whole step learns from. So the gradient of the
step is the sum over all processes, whoever computed which sequence, and one process and several draw the same curve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["CLIP", "Spread", "Work", "added"]

CLIP = 1.0  # the norm that gradients are cut to
Work = Callable[[], tuple[Tensor, ...]]  # of a packed sequence: its loss, then sums of what else is told of the step


class Spread:
    """One process, and what others do differently. All processes call every method at the same place of the run.

    Attributes:
        rank: this process's place among ``count``.
    """

    rank, count = 0, 1

    @property
    def leads(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0

    def shard(self, model: Any) -> None:
        """Called before the optimizer is made: the model's parameters may become parts of themselves."""

    def attach(self, run: Any) -> None:
        """Called with the run, before its first step and before its checkpoint is read."""

    def learn(self, works: Sequence[Work]) -> list[float]:
        """Add the gradients of the sum of these losses to the parameters; returns the sums of what the works return.

        Args:
            works: all of the step's; each process does its share of them.
        """
        return added([self._learn_one(work) for work in works])

    def _learn_one(self, work: Work) -> list[float]:
        loss, *rest = work()
        loss.backward()
        return [float(value.detach()) for value in (loss, *rest)]

    def each(self, works: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """What each of the works returns, without gradient."""
        with torch.no_grad():
            return [work() for work in works]

    def update(self, run: Any) -> float:
        """Clip, take the optimizer's step, clear the gradients; returns their norm before it was clipped."""
        norm = self.clip(run.trained)
        for optimizer in run.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return norm

    def clip(self, parameters: Sequence[Any]) -> float:
        return float(torch.nn.utils.clip_grad_norm_(parameters, CLIP))

    def whole(self, parameters: dict[str, Any]) -> dict[str, Tensor]:
        """The whole tensors of trained parameters."""
        return {name: p.detach() for name, p in parameters.items()}

    def load(self, parameters: dict[str, Any], state: dict[str, Tensor]) -> None:
        """Set trained parameters from whole tensors."""
        for name, p in parameters.items():
            p.detach().copy_(state[name])

    def optimizer_state(self, run: Any) -> list[Any]:
        """Of each optimizer, as one process alone would keep it."""
        return [optimizer.state_dict() for optimizer in run.optimizers]

    def load_optimizer_state(self, run: Any, states: list[Any]) -> None:
        for optimizer, state in zip(run.optimizers, states, strict=True):
            optimizer.load_state_dict(state)

    def agree(self, value: float) -> float:
        """The leader's value: clocks differ, decisions must not."""
        return value


def added(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) for column in zip(*rows, strict=True)]
