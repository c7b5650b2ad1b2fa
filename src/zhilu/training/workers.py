"""Several processes, one step: each computes the gradient of its own batch, and all use the mean.

On a machine that others use too, two processes of one thread beat one process of two threads: they meet once per step instead of
once per operation. Started by torchrun, which also spreads the same run over several GPUs:

    torchrun --nproc-per-node 2 -m zhilu.training.nano.train --threads 1 --out DIR
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import torch
from torch import distributed, nn

__all__ = ["Workers"]


class Workers:
    """This process's place (``rank``) among ``count``; one process alone without torchrun."""

    def __init__(self, device: str = "cpu") -> None:
        self.rank, self.count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        if self.count > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if device == "cuda" else "gloo")

    @property
    def leads(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the workers: one message for all of them."""
        if self.count == 1:
            return
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        distributed.all_reduce(flat)
        flat /= self.count
        for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(mean.view_as(grad))

    def agree(self, values: Sequence[float], device: str = "cpu") -> list[float]:
        """The leader's values, in every process: clocks and signals differ, decisions must not."""
        if self.count == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.broadcast(shared, 0)
        return [float(value) for value in shared]
