"""Learning from judged answers: DPO on pairs (arXiv 2305.18290), KTO on single ones (arXiv 2402.01306).

Both compare the model with what it was before the run. Its log-probabilities of all rows are taken once, before the first step
and again at a resumption, since the base is then the same: no second model is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zhilu.tuning.config import Chosen, TuneConfig
from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.launch.spread import Spread, Work
from zhilu.tuning.recipes.base import TuneRun
from zhilu.tuning.recipes.batches import shared_length, tensors
from zhilu.tuning.recipes.sft import hidden_of, token_losses
from zhilu.tuning.recipes.units import Unit, crossed, pack_units, step_units

_ROUNDING = 1e-4  # nats: margins that are none, but for the order in which rows were packed

__all__ = ["DpoRun", "KtoRun", "dpo_losses", "kto_losses", "row_logps"]


def row_logps(model: Any, rows: Sequence[Rendered]) -> Tensor:
    """Sum of the log-probabilities of each row's learned tokens ``(num_rows)``; the rows are packed into one sequence."""
    batch = tensors(list(rows))
    losses = token_losses(model, hidden_of(model, batch)[batch["places"]], batch["labels"])
    return torch.zeros(len(rows)).index_add(0, batch["rows"], -losses)


def dpo_losses(chosen: Tensor, rejected: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Equation 7 of the paper, of each pair ``(num_pairs)``, and the margin of its implicit rewards.

    Args:
        chosen, rejected: log-probability under the model less that under the reference.
    """
    margins = beta * (chosen - rejected)
    return -F.logsigmoid(margins), margins.detach()


def kto_losses(ratios: Tensor, labels: Tensor, kl: Tensor, beta: float) -> Tensor:
    """Equations 7 and 8 of the paper, of each answer, good and bad ones weighing the same.

    Args:
        ratios: log-probability under the model less that under the reference. labels: whether the answer is good.
        kl: how far the model is from the reference on answers to other prompts, at least 0, without gradient.
    """
    return 1 - torch.sigmoid(beta * torch.where(labels, ratios - kl, kl - ratios))


class _JudgedRun(TuneRun):
    """With the reference's log-probabilities of all rows, by unit."""

    def __init__(
        self, model: Any, units: Sequence[Unit], held_out: Sequence[Unit], config: TuneConfig, chosen: Chosen, path: Path,
        spread: Spread | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, units, config, chosen, path, spread)
        self.beta = config.strength
        self.crossed: dict[int, Unit] = {}
        for group in (units, held_out):
            self._cross(group)
        # Group by group: held-out units are packed then as they are measured later, to the last bit the same for the base.
        self.reference = {
            at: logps
            for group in (units, held_out, list(self.crossed.values()))
            for at, logps in self._logps(group).items()
        }

    def _cross(self, group: Sequence[Unit]) -> None:
        pass

    def _logps(self, units: Sequence[Unit], check: Callable[[], None] = lambda: None) -> dict[int, Tensor]:
        """By unit, without gradient: ``(rows of the unit)``."""
        was = self.model.training
        self.model.eval()

        def work(members: Sequence[Unit]) -> Tensor:
            check()
            return row_logps(self.model, [row for unit in members for row in unit.rows])

        packs = pack_units(units, self.chosen.max_len)
        found = {}
        for members, logps in zip(packs, self.spread.each([partial(work, pack) for pack in packs]), strict=True):
            parts = logps.split([len(unit.rows) for unit in members])
            found.update({id(unit): part for unit, part in zip(members, parts, strict=True)})
        self.model.train(was)
        return found

    def _packs(self) -> tuple[list[Unit], list[list[Unit]]]:
        """The units of this step, and the same in sequences."""
        units = step_units(self.units, self.chosen.batch_tokens, self.steps, self.config.seed)
        return units, pack_units(units, shared_length(units, self.chosen.max_len, self.spread.count))

    def _ratios(self, members: Sequence[Unit]) -> Tensor:
        reference = torch.cat([self.reference[id(unit)] for unit in members])
        return row_logps(self.model, [row for unit in members for row in unit.rows]) - reference


class DpoRun(_JudgedRun):
    def accumulate(self) -> dict[str, float]:
        units, packs = self._packs()

        def work(members: Sequence[Unit]) -> tuple[Tensor, ...]:
            ratios = self._ratios(members)
            losses, margins = dpo_losses(ratios[0::2], ratios[1::2], self.beta)
            return losses.sum() / len(units), margins.sum(), (margins > _ROUNDING).float().sum()

        works: list[Work] = [partial(work, members) for members in packs]
        total, margin, right = self.spread.learn(works)
        return {
            "loss": total,
            "train_margin": margin / len(units),
            "train_accuracy": right / len(units),
            "tokens": sum(unit.size for unit in units),
        }

    def measure(self, held_out: Sequence[Unit], check: Callable[[], None] = lambda: None) -> dict[str, float]:
        logps = self._logps(held_out, check)
        ratios = torch.stack([logps[id(unit)] - self.reference[id(unit)] for unit in held_out])
        losses, margins = dpo_losses(ratios[:, 0], ratios[:, 1], self.beta)
        neither = margins.abs() < _ROUNDING  # the base itself prefers neither
        better = torch.where(neither, 0.5, (margins > 0).float())
        return {"held_out": float(losses.mean()), "margin": float(margins.mean()), "accuracy": float(better.mean())}


class KtoRun(_JudgedRun):
    def _cross(self, group: Sequence[Unit]) -> None:
        for at, unit in enumerate(group):
            self.crossed[id(unit)] = Unit((crossed(unit.rows[0], group[(at + 1) % len(group)].rows[0]),))

    def _kl(self, units: Sequence[Unit], check: Callable[[], None] = lambda: None) -> Tensor:
        across = [self.crossed[id(unit)] for unit in units]
        logps = self._logps(across, check)
        return torch.cat([logps[id(unit)] - self.reference[id(unit)] for unit in across]).mean().clamp(min=0)

    def accumulate(self) -> dict[str, float]:
        units, packs = self._packs()
        kl = self._kl(units)

        def work(members: Sequence[Unit]) -> tuple[Tensor, ...]:
            labels = torch.tensor([bool(unit.label) for unit in members])
            return (kto_losses(self._ratios(members), labels, kl, self.beta).sum() / len(units),)

        works: list[Work] = [partial(work, members) for members in packs]
        (total,) = self.spread.learn(works)
        return {"loss": total, "kl": float(kl), "tokens": sum(unit.size for unit in units)}

    def measure(self, held_out: Sequence[Unit], check: Callable[[], None] = lambda: None) -> dict[str, float]:
        logps = self._logps(held_out, check)
        ratios = torch.cat([logps[id(unit)] - self.reference[id(unit)] for unit in held_out])
        labels = torch.tensor([bool(unit.label) for unit in held_out])
        losses = kto_losses(ratios, labels, self._kl(held_out, check), self.beta)
        rewards = self.beta * ratios
        sides = [rewards[labels], rewards[~labels]]
        margin = float(sides[0].mean() - sides[1].mean()) if all(len(side) for side in sides) else 0.0
        return {"held_out": float(losses.mean()), "margin": margin}
