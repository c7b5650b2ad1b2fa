"""6.4.3 Longer texts, more experts, and two ways at once.

Read from top to bottom. Three more things that can be split, and a grid in which two ways are combined:

- ``context_parallel``: the text. Everybody has a stretch of the tokens; keys and values go around the ring (2310.01889).
- ``sequence_parallel``: what stands between the matrices. Tensor parallel, but activations are kept in pieces (2205.05198).
- ``expert_parallel``: the experts. Every token travels to the process that has its expert, and back (2006.16668).
- ``two_by_two``: four processes as a grid; rows share a batch's gradient, columns share each matrix.

Shapes: q, k, v ``(n, head_dim)`` of the own stretch; x ``(n, hidden)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from zhilu.internals.lessons.lesson4_parallel import Ring
from zhilu.training.model import MLP

__all__ = ["Group", "Ring", "context_parallel", "expert_parallel", "sequence_parallel", "two_by_two"]


class Group(Ring):
    """A ring of some of the processes."""

    def __init__(self, members: Sequence[int]) -> None:
        super().__init__()
        self.members = list(members)
        self.rank, self.size = self.members.index(self.rank), len(self.members)

    def _pass_on(self, piece: Tensor, by: int = 1) -> Tensor:
        """Give to the right what comes from the left; ``by`` -1: the other way round."""
        got = torch.empty_like(piece)
        sending: Any = distributed.isend(piece.contiguous(), self.members[(self.rank + by) % self.size])
        distributed.recv(got, self.members[(self.rank - by) % self.size])
        sending.wait()
        self.sent += piece.nbytes
        return got


class _Passed(torch.autograd.Function):
    """To the right; the gradient comes back from there."""

    @staticmethod
    def forward(ctx: Any, piece: Tensor, ring: Group) -> Tensor:
        ctx.ring = ring
        return ring._pass_on(piece)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ring._pass_on(grad, -1), None


def context_parallel(ring: Group, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over the whole text, of which this process has a stretch: ring attention with the softmax of lesson 6.3."""
    n = len(q)
    rows = torch.arange(n) + ring.rank * n
    held = torch.stack([k, v])
    top, total = torch.full((n, 1), -torch.inf), torch.zeros(n, 1)
    collected = torch.zeros_like(q)
    for step in range(ring.size):
        owner = (ring.rank - step) % ring.size  # whose keys and values are here now
        columns = torch.arange(n) + owner * n
        scores = (q @ held[0].T * q.shape[-1] ** -0.5).masked_fill(rows[:, None] < columns[None], -torch.inf)
        new_top = torch.maximum(top, scores.amax(-1, keepdim=True)).detach()
        shrink, weights = torch.exp(top - new_top), torch.exp(scores - new_top)
        total = total * shrink + weights.sum(-1, keepdim=True)
        collected = collected * shrink + weights @ held[1]
        top = new_top
        if step < ring.size - 1:
            held = _Passed.apply(held, ring)
    return collected / total


class _Whole(torch.autograd.Function):
    """Pieces of the tokens are gathered; backwards, sums of the gradient are handed out."""

    @staticmethod
    def forward(ctx: Any, piece: Tensor, ring: Ring) -> Tensor:
        ctx.ring, ctx.shape = ring, piece.shape
        return ring.all_gather(piece)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ring.reduce_scatter(grad.reshape(-1)).view(ctx.shape), None


class _Handed(torch.autograd.Function):
    """Sums over the processes, of which each keeps its tokens; backwards they are gathered."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, ring: Ring) -> Tensor:
        ctx.ring = ring
        return ring.reduce_scatter(whole.reshape(-1)).view(-1, whole.shape[-1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ring.all_gather(grad), None


def sequence_parallel(ring: Ring, layers: nn.ModuleList, x: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """The own tokens through all layers. Returns them, and this process's slices of the weights with their gradients to come."""
    cut = _slices(ring, layers)
    for gate, up, down in cut:
        whole = _Whole.apply(x, ring)
        x = x + _Handed.apply(F.linear(F.silu(F.linear(whole, gate)) * F.linear(whole, up), down), ring)
    return x, cut


class _Exchanged(torch.autograd.Function):
    """All to all: ``pieces[i]`` goes to process i, what comes from there takes its place; gradients go the way back."""

    @staticmethod
    def forward(ctx: Any, ring: Group, counts: list[int], *pieces: Tensor) -> tuple[Tensor, ...]:
        ctx.ring, ctx.counts = ring, [len(piece) for piece in pieces]
        return tuple(_all_to_all(ring, list(pieces), counts))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return (None, None, *_all_to_all(ctx.ring, list(grads), ctx.counts))


def expert_parallel(ring: Group, expert: nn.Module, x: Tensor, chosen: Tensor) -> Tensor:
    """Every process has one expert and some tokens. ``chosen[i]``: the expert, and so the process, that token i goes to."""
    order = [torch.nonzero(chosen == rank).flatten() for rank in range(ring.size)]
    mine = torch.tensor([len(places) for places in order])
    everybody = ring.all_gather(mine).view(ring.size, ring.size)  # who sends how many to whom
    comes = everybody[:, ring.rank].tolist()
    arrived = _Exchanged.apply(ring, comes, *(x[places] for places in order))
    done = expert(torch.cat(arrived)).split(comes)
    back = _Exchanged.apply(ring, mine.tolist(), *done)
    return torch.zeros_like(x).index_copy(0, torch.cat(order), torch.cat(back))


def _all_to_all(ring: Group, pieces: list[Tensor], counts: list[int]) -> list[Tensor]:
    got = [pieces[0].new_empty(count, *pieces[0].shape[1:]) for count in counts]
    got[ring.rank] = pieces[ring.rank]  # what stays is not sent
    others = [(ring.rank + step) % ring.size for step in range(1, ring.size)]
    sending = []
    for other in others:
        if len(pieces[other]):
            sending.append(distributed.isend(pieces[other].contiguous(), ring.members[other]))
            ring.sent += pieces[other].nbytes
    for other in others:
        if counts[other]:
            distributed.recv(got[other], ring.members[other])
    for one in sending:
        if one is not None:
            one.wait()
    return got


class _Copied(torch.autograd.Function):
    """Into the cut matrices; backwards the parts of the gradient are summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ring: Ring) -> Tensor:
        ctx.ring = ring
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ring.all_reduce(grad), None


class _Summed(torch.autograd.Function):
    """Out of the cut matrices; backwards nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ring: Ring) -> Tensor:
        return ring.all_reduce(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def two_by_two(
    columns: Ring, rows: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor
) -> tuple[float, list[list[Tensor]]]:
    """``columns`` cut each matrix between them, ``rows`` the batch. Returns the loss and the gradients of the own slices."""
    cut = _slices(columns, layers)
    h, target = x.chunk(rows.size)[rows.rank], target.chunk(rows.size)[rows.rank]
    for gate, up, down in cut:
        inner = _Copied.apply(h, columns)
        h = h + _Summed.apply(F.linear(F.silu(F.linear(inner, gate)) * F.linear(inner, up), down), columns)
    loss = F.mse_loss(h, target)
    loss.backward()
    grads = [[rows.all_reduce(_grad(part)) / rows.size for part in parts] for parts in cut]
    return float(rows.all_reduce(loss.detach().reshape(1)) / rows.size), grads


def _slices(ring: Ring, layers: nn.ModuleList) -> list[list[Tensor]]:
    """Of each layer's gate, up and down, this process's part of the inner width."""
    cut = []
    for layer in layers:
        assert isinstance(layer, MLP)
        parts = [one.weight.chunk(ring.size)[ring.rank] for one in (layer.gate_proj, layer.up_proj)]
        parts.append(layer.down_proj.weight.chunk(ring.size, dim=1)[ring.rank])
        cut.append([part.detach().clone().requires_grad_() for part in parts])
    return cut


def _grad(tensor: Tensor) -> Any:
    return tensor.grad
