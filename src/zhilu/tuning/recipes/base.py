"""What every recipe has: the optimizer, the schedule, the checkpoint, and the judge of held-out figures."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from zhilu.training.loop import Run, warmup_stable_decay
from zhilu.tuning.config import Chosen, TuneConfig
from zhilu.tuning.launch.spread import Spread
from zhilu.tuning.recipes.optimizers import make_optimizer
from zhilu.tuning.recipes.units import Unit

__all__ = ["TuneRun", "keep_only_inputs"]


def keep_only_inputs(model: Any) -> None:
    """Gradient checkpointing: of each layer only its input is kept, and the layer is computed again on the way back (arXiv 1604.06174).

    Answers without gradient are computed as before.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    # Transformers 5.2x has another name for it, and warns of the old one.
    kind = "activation" if hasattr(causal, "activation_checkpointing_enable") else "gradient"
    getattr(causal, f"{kind}_checkpointing_enable")(**{f"{kind}_checkpointing_kwargs": {"use_reentrant": False}})


class TuneRun(Run, ABC):
    """One run. Its checkpoint holds the trained tensors, the optimizer and the step: a few megabytes with LoRA.

    A recipe writes ``accumulate`` (the gradients of a step) and ``measure`` (held-out figures, ``held_out`` being what falls).
    """

    peak_mb: int | None = None  # most memory of the process that trained, where that was another one
    counters: ClassVar[tuple[str, ...]] = ("steps", "best", "best_step", "waited", "tokens", "seconds")

    def __init__(
        self, model: Any, units: Sequence[Unit], config: TuneConfig, chosen: Chosen, path: Path,
        spread: Spread | None = None,
    ) -> None:  # fmt: skip
        self.spread = spread or Spread()
        trained = [p for p in model.parameters() if p.requires_grad]
        decay = 0.01 if config.method == "full" else 0.0
        optimizer = make_optimizer(config.optimizer, trained, chosen.learning_rate, decay)
        if config.checkpointing:
            keep_only_inputs(model)
        super().__init__(model, [optimizer], path)
        self.units, self.config, self.chosen, self.trained = units, config, chosen, trained
        self.best, self.best_step, self.waited = math.inf, 0, 0
        self.tokens, self.seconds = 0, 0.0

    @abstractmethod
    def accumulate(self) -> dict[str, float]:
        """Add up the gradients of step ``self.steps``; returns ``loss``, ``tokens`` and what else is worth a line."""

    @abstractmethod
    def measure(self, held_out: Sequence[Unit], check: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Figures of held-out units; ``held_out`` is the one by which the best weights are kept: lower is better."""

    def weights(self) -> dict[str, torch.Tensor]:
        return self.spread.whole(self._named())

    def load_weights(self, state: dict[str, torch.Tensor]) -> None:
        own = self._named()
        assert own.keys() == state.keys(), "a checkpoint of another run"
        self.spread.load(own, state)

    def _named(self) -> dict[str, Any]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def optimizer_states(self) -> list[Any]:
        return self.spread.optimizer_state(self)

    def load_optimizer_states(self, states: list[Any]) -> None:
        self.spread.load_optimizer_state(self, states)

    def write(self, state: dict[str, Any]) -> None:
        if self.spread.leads:
            super().write(state)

    def step(self) -> dict[str, float]:
        """One optimizer step; returns its loss, gradient norm, learning rate and numbers of tokens."""
        share = warmup_stable_decay(
            self.steps, self.steps / self.chosen.steps, max(1, min(20, self.chosen.steps // 10)), 0.5, 0.02
        )
        self.set_rates(share)
        self.model.train()  # a model from safetensors comes ready to answer: without dropout and checkpointing
        torch.manual_seed(self.config.seed * 1_000_003 + self.steps)  # dropout and samples, the same after a resumption
        values = self.accumulate()
        norm = self.update()
        self.steps += 1
        self.tokens += int(values["tokens"])
        return {**values, "grad_norm": norm, "learning_rate": self.chosen.learning_rate * share}

    def update(self) -> float:
        """Clip, take the optimizer's step, clear the gradients; returns their norm before it was clipped."""
        return self.spread.update(self)

    def judge(self, loss: float) -> bool:
        """Note a held-out figure; True where it is the best so far."""
        if loss < self.best:
            self.best, self.best_step, self.waited = loss, self.steps, 0
            return True
        self.waited += 1
        return False
