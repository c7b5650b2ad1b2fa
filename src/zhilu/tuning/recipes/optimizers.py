"""The optimizers of a run: AdamW, Lion, and AdamW with its moments in 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from zhilu.errors import MissingComponentError
from zhilu.messages import T
from zhilu.tuning.config import Optimizer
from zhilu.tuning.four_bit import INSTALL

__all__ = ["Lion", "make_optimizer", "require_optimizer"]


class Lion(torch.optim.Optimizer):
    """The sign of an interpolated momentum (arXiv 2302.06675, algorithm 2), with decoupled weight decay."""

    def __init__(
        self, params: Sequence[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:  # fmt: skip
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter with a gradient."""
        for group in self.param_groups:
            one, two = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                moment = self.state[weight].setdefault("moment", torch.zeros_like(weight))
                update = moment.lerp(weight.grad, 1 - one).sign_()
                weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])
                moment.lerp_(weight.grad, 1 - two)


def require_optimizer(name: Optimizer) -> None:
    """
    Raises:
        MissingComponentError: it is bitsandbytes', which is not installed; says the one command.
    """
    if name == "adamw8bit" and find_spec("bitsandbytes") is None:
        raise MissingComponentError(
            T("Moments in 8 bits need bitsandbytes, which is not installed; adamw and lion need nothing.",
              "8 位动量需要 bitsandbytes，尚未安装；adamw 和 lion 不需要。"),
            code="optimizer_missing",
            fix=INSTALL,
        )  # fmt: skip


def make_optimizer(
    name: Optimizer, trained: Sequence[nn.Parameter], rate: float, decay: float
) -> torch.optim.Optimizer:
    """
    Args:
        decay: of weights, a step, times the rate, as AdamW's; Lion's rate is smaller, so its decay is larger.

    Raises:
        MissingComponentError: see ``require_optimizer``.
    """
    if name == "lion":
        return Lion(trained, rate, weight_decay=5 * decay)
    if name == "adamw8bit":
        require_optimizer(name)
        from bitsandbytes.optim import AdamW8bit

        made: torch.optim.Optimizer = AdamW8bit(trained, lr=rate, betas=(0.9, 0.999), weight_decay=decay)
        return made
    return torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.999), weight_decay=decay)
