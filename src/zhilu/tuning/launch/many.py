"""What all ways to spread a step share: PyTorch's process group, each process its share of the sequences, and sums over all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from zhilu.tuning.launch.spread import Spread, Work, added

__all__ = ["Averaged", "Many", "Through"]


class Through(nn.Module):
    """Any work as the forward pass of a module: where the wrappers of libraries have their hooks."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], Any]) -> Any:
        return work()


class Many(Spread):
    """Every process computes each ``count``-th sequence. Where they do not come out even, some compute one for nothing: libraries
    wait for all processes in every forward and backward pass."""

    def __init__(self) -> None:
        if not distributed.is_initialized():
            distributed.init_process_group("gloo")
        self.rank, self.count = distributed.get_rank(), distributed.get_world_size()

    def mine(self, works: Sequence[Any]) -> list[tuple[Any, float]]:
        """This process's works, each with its weight: 0 for one that is another's."""
        own = [(work, 1.0) for work in works[self.rank :: self.count]]
        return [*own, *[(works[0], 0.0)] * (-(-len(works) // self.count) - len(own))]

    def learn(self, works: Sequence[Work]) -> list[float]:
        rows = []
        share = self.mine(works)
        for at, (work, weight) in enumerate(share):
            loss, *rest = self.forward_and_back(work, weight, is_last=at == len(share) - 1)
            rows.append([weight * float(value.detach()) for value in (loss, *rest)])
        return [float(value) for value in self.sum(torch.tensor(added(rows), dtype=torch.float64))]

    def forward_and_back(self, work: Work, weight: float, *, is_last: bool) -> tuple[Tensor, ...]:
        """What ``work`` returns; its gradients, weighted, are added so that their mean over the processes is the step's."""
        found = self.forward(work)
        (found[0] * (weight * self.count)).backward()
        return found

    def forward(self, work: Callable[[], Any]) -> Any:
        return work()

    @torch.no_grad()
    def each(self, works: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        if not works:
            return []
        own = [self.forward(work) for work, _ in self.mine(works)]
        every: list[Any] = [None] * self.count
        distributed.all_gather_object(every, own)
        return [every[at % self.count][at // self.count] for at in range(len(works))]

    def sum(self, values: Tensor) -> Tensor:
        distributed.all_reduce(values)
        return values

    def agree(self, value: float) -> float:
        shared = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(shared, 0)
        return float(shared)


class Averaged(Many):
    """PyTorch's DistributedDataParallel: the whole model in each process, gradients averaged once a step."""

    wrapped: nn.Module | None = None

    def attach(self, run: Any) -> None:
        from torch.nn.parallel import DistributedDataParallel

        self.wrapped = DistributedDataParallel(Through(run.model), broadcast_buffers=False)

    def forward_and_back(self, work: Work, weight: float, *, is_last: bool) -> tuple[Tensor, ...]:
        assert self.wrapped is not None
        self.wrapped.require_backward_grad_sync = is_last  # type: ignore[assignment]
        found: tuple[Tensor, ...] = self.wrapped(work)
        (found[0] * (weight * self.count)).backward()
        return found
