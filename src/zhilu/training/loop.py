"""What every training run has: weights, optimizers, a step count, a checkpoint that survives a kill, a way to stop.

A recipe derives its run from ``Run`` and writes ``step``. A checkpoint is a PyTorch file that is read with ``weights_only``:
tensors and plain values, nothing that could run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, ClassVar

import torch

__all__ = ["Run", "warmup_stable_decay"]


def warmup_stable_decay(step: int, progress: float, warmup_steps: int, decay_share: float, floor: float) -> float:
    """The share of the full learning rate: linear up over ``warmup_steps``, level, then linear down to ``floor`` over the
    last ``decay_share`` of the run (WSD, arXiv 2404.06395). ``progress`` is the share of the run that is done, 0 to 1."""
    warm = min(1.0, (step + 1) / warmup_steps)
    return warm * max(floor, min(1.0, (1 - progress) / decay_share))


class Run:
    """The state of a run: what a checkpoint holds.

    Attributes:
        counters: names of the attributes that a checkpoint keeps beside weights and optimizers.
        path: of the checkpoint.
    """

    counters: ClassVar[tuple[str, ...]] = ("steps",)

    def __init__(self, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer], path: Path) -> None:
        self.model, self.optimizers, self.path = model, optimizers, path
        self._full_rates = [group["lr"] for group in self._groups()]
        self.steps = 0
        self.stopped = False
        self.saved = time.monotonic()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def stop(self, *_: Any) -> None:
        """Ask the run to write its checkpoint and end after the step in hand (a signal handler)."""
        self.stopped = True

    def set_rates(self, share: float) -> None:
        """Every learning rate at ``share`` of its full value."""
        for group, full in zip(self._groups(), self._full_rates, strict=True):
            group["lr"] = full * share

    def weights(self) -> dict[str, Any]:
        """What a checkpoint keeps of the model: all of it, where a recipe says nothing else."""
        return self.model.state_dict()

    def load_weights(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state)

    def optimizer_states(self) -> list[Any]:
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_optimizer_states(self, states: list[Any]) -> None:
        for optimizer, saved in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(saved)

    def save(self, recipe: dict[str, Any]) -> None:
        """Write the checkpoint beside itself, then rename: a kill leaves the old one whole."""
        self.saved = time.monotonic()
        state = {name: getattr(self, name) for name in self.counters}
        state |= {"recipe": recipe, "model": self.weights()}
        state["optimizers"] = self.optimizer_states()
        self.write(state)

    def write(self, state: dict[str, Any]) -> None:
        temporary = self.path.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.path)

    def resume(self, device: str = "cpu") -> bool:
        """Take up the checkpoint; False where there is none."""
        if not self.path.exists():
            return False
        state = torch.load(self.path, map_location=device, weights_only=True)
        self.load_weights(state["model"])
        self.load_optimizer_states(state["optimizers"])
        for name in self.counters:
            setattr(self, name, state[name])
        return True
