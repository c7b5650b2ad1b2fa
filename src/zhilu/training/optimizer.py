"""Muon for the matrices, AdamW for the rest.

Matrices of equal shape are orthogonalised together, in the dtype that is fast on the machine. ``torch.optim.Muon`` does it one by
one and always in bfloat16, which some CPUs run at half speed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Muon", "make_optimizers"]


def orthogonalize(update: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices to ``update (..., rows, cols)``, roughly: Newton-Schulz, coefficients of Jordan 2024."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = update.mT if update.shape[-2] > update.shape[-1] else update
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if update.shape[-2] > update.shape[-1] else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Keller Jordan 2024), with decoupled weight decay. 2-D parameters only."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.dtype = dtype
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update; gradients must be set."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for weight in group["params"]:
                shapes[weight.shape].append(weight)
            for shape, weights in shapes.items():
                moved = []
                for weight in weights:
                    assert weight.grad is not None
                    buffer = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                    buffer.lerp_(weight.grad, 1 - group["momentum"])
                    moved.append(weight.grad.lerp(buffer, group["momentum"]))  # Nesterov
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for weight, update in zip(
                    weights, orthogonalize(torch.stack(moved).to(self.dtype)).float(), strict=True
                ):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def make_optimizers(
    model: nn.Module, matrix_lr: float, embed_lr: float, dtype: torch.dtype = torch.float32
) -> list[torch.optim.Optimizer]:
    """Muon over the blocks' matrices; AdamW over the (tied) embedding and the norms, which carry no weight decay.

    The large epsilon damps rows whose gradient is tiny: AdamW would otherwise move all rare tokens the same way at full speed,
    until they can no longer be told apart, and a token that cannot be told apart cannot be copied.
    """
    matrices = [w for name, w in model.named_parameters() if w.ndim == 2 and "embed" not in name]
    others = [w for name, w in model.named_parameters() if w.ndim == 1 or "embed" in name]
    return [
        Muon(matrices, lr=matrix_lr, weight_decay=0.01, dtype=dtype),
        torch.optim.AdamW(others, lr=embed_lr, betas=(0.9, 0.98), eps=2e-5, weight_decay=0.0),
    ]
