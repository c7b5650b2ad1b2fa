"""6.1 Training: the small things around the gradient that decide whether a Transformer learns.

Read from top to bottom. ``train`` is the loop; everything it calls stands above it: how weights begin, how the rate rises and
falls, how a gradient is kept short, what the loss is, and how short documents share a row without seeing each other. The network
is the one that zhilu-nano is (``training/model.py``), and rows are packed by the trainer's own ``pack``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zhilu.training.model import Nano
from zhilu.training.rows import Batch

__all__ = ["Settings", "clip", "document_mask", "initialise", "loss_sum", "rate", "train"]


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        warmup: steps in which the rate rises.
        decay: the last share of the run, in which it falls to ``floor`` of itself.
        clip: the longest gradient that is believed; 0 for any.
        z: weight of the z-loss, which keeps the scores' size in bounds (PaLM, 2204.02311, section 5).
        half: compute in bfloat16 where PyTorch thinks that safe; weights and optimizer stay in float32.
        separate: documents in one row do not see each other.
    """

    rate: float = 3e-3
    warmup: int = 10
    decay: float = 0.3
    floor: float = 0.1
    clip: float = 1.0
    z: float = 1e-4
    half: bool = False
    separate: bool = True


@torch.no_grad()
def initialise(model: Nano, seed: int = 0) -> None:
    """Weights so that numbers keep their size on the way through, and each block begins as doing nothing.

    A sum over n inputs is √n times as large as one of them: matrices are drawn with 1/√n. What writes to the residual
    stream begins at zero, so that at first the embedding reaches the output unchanged.
    """
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.zero_()
        elif name.endswith("proj.weight"):
            weight.normal_(std=weight.shape[1] ** -0.5)
        elif "embed" in name:
            weight.normal_(std=0.04)
        else:  # norms
            weight.fill_(1)


def rate(step: int, steps: int, settings: Settings) -> float:
    """Share of the full rate: up, level, down (WSD, 2404.06395). At first the optimizer knows too little to take full steps."""
    up = min(1.0, (step + 1) / settings.warmup)
    left = 1 - step / steps
    return up * max(settings.floor, min(1.0, left / settings.decay))


@torch.no_grad()
def clip(weights: Iterable[nn.Parameter], longest: float) -> float:
    """Shorten the gradient of all weights together where it is longer; returns how long it was (1211.5063)."""
    grads = [weight.grad for weight in weights if weight.grad is not None]
    length = torch.stack([grad.norm() for grad in grads]).norm()
    if longest and length > longest:
        for grad in grads:
            grad.mul_(longest / (length + 1e-6))
    return float(length)


def document_mask(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """``segments (batch, length)`` to what is added to the scores, ``(batch, 1, 1, length, length)``: 0 or very small.

    A token sees itself and what stands before it in its own document.
    """
    places = torch.arange(segments.shape[1])
    seen = (segments[:, :, None] == segments[:, None, :]) & (places[:, None] >= places[None, :])
    return torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, -3e4)[:, None, None]


def loss_sum(logits: Tensor, targets: Tensor, weights: Tensor, z: float) -> Tensor:
    """Cross entropy, weighted and summed. Softmax does not see a constant added to all scores; the z-loss does."""
    normaliser = logits.float().logsumexp(-1)  # log Z
    right = logits.float().gather(-1, targets[..., None])[..., 0]
    return ((normaliser - right + z * normaliser**2) * weights).sum()


def train(model: Nano, steps: Sequence[Sequence[Batch]], settings: Settings) -> list[float]:
    """One step for each item of ``steps``; its micro-batches are computed one after the other and count as one batch.

    Returns the loss of every step, without the z-loss, for each learned token.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate, betas=(0.9, 0.95), weight_decay=0.0)
    losses = []
    for step, micro_batches in enumerate(steps):
        # The mean is over the tokens of all micro-batches: the mean of their means would favour the shorter ones.
        learned = sum(float(batch.weights[:, 1:].sum()) for batch in micro_batches)
        total = 0.0
        optimizer.zero_grad(set_to_none=True)
        for batch in micro_batches:
            ids, segments, weights = (torch.from_numpy(array) for array in (batch.ids, batch.segments, batch.weights))
            inputs, targets = ids[:, :-1], ids[:, 1:]
            counted = weights[:, 1:]
            if not settings.separate:
                segments = torch.ones_like(segments)
            mask = document_mask(segments[:, :-1], torch.bfloat16 if settings.half else torch.float32)
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.half):
                logits = model.logits(model.model(inputs, mask=mask))
            loss = loss_sum(logits, targets, counted, settings.z) / learned
            loss.backward()  # gradients add up until they are set to nothing
            with torch.no_grad():
                entropy = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
                total += float((entropy * counted.flatten()).sum())
        clip(model.parameters(), settings.clip)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * rate(step, len(steps), settings)
        optimizer.step()
        losses.append(total / learned)
    return losses
