"""6.6 Optimizers written out: SGD, AdamW, Lion, Adafactor, Muon.

Read from top to bottom. Each is one function that takes a weight, its gradient and its state, and changes weight and state in
place. What stands in ``state`` is what the optimizer costs in memory. ``Stepper`` applies one of them to a model.

The order of operations is that of ``torch.optim`` where there is one, so that the results are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["RULES", "Stepper", "adafactor", "adamw", "lion", "muon", "orthogonalize", "sgd"]

State = dict[str, Any]


def sgd(weight: Tensor, grad: Tensor, state: State, *, lr: float, momentum: float = 0.9) -> None:
    """Downhill, with the speed of before (Polyak 1964)."""
    if "speed" not in state:
        state["speed"] = grad.clone()
    else:
        state["speed"].mul_(momentum).add_(grad)
    weight.add_(state["speed"], alpha=-lr)


def adamw(
    weight: Tensor,
    grad: Tensor,
    state: State,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay: float = 0.01,
) -> None:
    """Each number has a step size of its own: mean gradient over root mean square (1412.6980), decay apart (1711.05101)."""
    if "step" not in state:
        state.update(step=0, mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
    state["step"] += 1
    weight.mul_(1 - lr * decay)
    state["mean"].lerp_(grad, 1 - betas[0])
    state["square"].mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
    # Both began at zero and are too small at first: divided by what they can have reached.
    reached_mean, reached_square = 1 - betas[0] ** state["step"], 1 - betas[1] ** state["step"]
    size = (state["square"].sqrt() / reached_square**0.5).add_(eps)
    weight.addcdiv_(state["mean"], size, value=-lr / reached_mean)


def lion(
    weight: Tensor,
    grad: Tensor,
    state: State,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.99),
    decay: float = 0.0,
) -> None:
    """Only the sign counts, so one number a weight is enough (2302.06675, algorithm 2)."""
    if "mean" not in state:
        state["mean"] = torch.zeros_like(weight)
    direction = state["mean"].lerp(grad, 1 - betas[0]).sign_()
    weight.mul_(1 - lr * decay).add_(direction, alpha=-lr)
    state["mean"].lerp_(grad, 1 - betas[1])


def adafactor(
    weight: Tensor,
    grad: Tensor,
    state: State,
    *,
    lr: float,
    power: float = -0.8,
    eps: float = 1e-3,
    clip: float = 1.0,
    decay: float = 0.0,
) -> None:
    """Of the squares of a matrix only the means of rows and columns are kept (1804.04235, algorithm 4)."""
    tiny = torch.finfo(weight.dtype).eps
    if "step" not in state:
        state["step"] = 0
        if grad.dim() > 1:
            state["rows"], state["columns"] = grad.new_zeros(len(grad), 1), grad.new_zeros(1, grad.shape[-1])
        else:
            state["square"] = torch.zeros_like(grad)
    state["step"] += 1
    news = state["step"] ** power  # the share of what is new falls: early squares are forgotten fast
    size = max(eps, weight.norm(2).item() / weight.numel() ** 0.5) * min(lr, 1 / state["step"] ** 0.5)
    if decay:
        weight.mul_(1 - lr * decay)
    if grad.dim() > 1:
        state["rows"].lerp_(torch.norm(grad, dim=-1, keepdim=True).square_().div_(grad.shape[-1]), news)
        state["columns"].lerp_(torch.norm(grad, dim=-2, keepdim=True).square_().div_(grad.shape[-2]), news)
        square = state["rows"] @ state["columns"]  # the product of the two stands for the whole matrix
        square.div_(state["rows"].mean(dim=-2, keepdim=True).clamp_(min=tiny))
    else:
        state["square"].lerp_(grad * grad, news)
        square = state["square"].clone()
    update = square.clamp_(min=tiny * tiny).rsqrt_().mul_(grad)
    too_large = max(1.0, update.norm(2).item() / (update.numel() ** 0.5 * clip))
    weight.add_(update, alpha=-size / too_large)


def orthogonalize(update: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix whose rows are orthogonal, roughly: five rounds of a polynomial (Newton-Schulz, Jordan 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = update.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x.div(x.norm().clamp(min=1e-7))
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def muon(weight: Tensor, grad: Tensor, state: State, *, lr: float, momentum: float = 0.95, decay: float = 0.1) -> None:
    """Momentum, made orthogonal: all directions of a matrix move by the same amount, not only the strongest."""
    if "speed" not in state:
        state["speed"] = torch.zeros_like(grad)
    state["speed"].lerp_(grad, 1 - momentum)
    update = orthogonalize(grad.lerp(state["speed"], momentum))  # Nesterov: looks one step ahead
    weight.mul_(1 - lr * decay)
    weight.add_(update, alpha=-lr * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5)


RULES: dict[str, Callable[..., None]] = {
    "sgd": sgd,
    "adamw": adamw,
    "lion": lion,
    "adafactor": adafactor,
    "muon": muon,
}


class Stepper:
    """One rule on some weights. ``settings`` are the rule's own."""

    def __init__(self, rule: str, weights: Iterable[nn.Parameter], **settings: Any) -> None:
        self.rule, self.weights, self.settings = RULES[rule], list(weights), settings
        self.states: list[State] = [{} for _ in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        for weight, state in zip(self.weights, self.states, strict=True):
            if weight.grad is not None:
                self.rule(weight, weight.grad, state, **self.settings)

    @property
    def nbytes(self) -> int:
        """Of all state that is kept between steps, as tensors."""
        kept = (value for state in self.states for value in state.values())
        return sum(value.nbytes for value in kept if isinstance(value, Tensor))
