"""6.4.2 ZeRO: data parallel training in which nobody keeps what another has (arXiv 1910.02054).

Read from top to bottom. Training with Adam keeps for every weight: the weight, its gradient, and two moments. In plain data parallel
training every process keeps all of it. ZeRO's stages let it go, one after the other:

- ``zero1``: moments. Everybody updates only the own piece of the weights, then all pieces are gathered.
- ``zero2``: moments and gradients. As soon as a layer's gradient is there, its pieces go to their owners and the rest is forgotten.
- ``zero3``: weights too. Lesson 6.4's ``sharded`` gathers a layer just before it is needed; here with Adam, over several steps.

Each takes ``steps`` steps, and returns the weights and the most bytes of gradients and of moments that it ever kept at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zhilu.internals.lessons.lesson4_parallel import Ring, loss_of

__all__ = ["Adam", "Kept", "Ring", "loss_of", "zero1", "zero2", "zero3"]


class Kept(NamedTuple):
    """Bytes at their largest, in this process."""

    weights: int
    gradients: int
    moments: int


class Adam:
    """Adam (1412.6980) on one piece of flat numbers, which is all that a process is responsible for."""

    def __init__(self, piece: Tensor, rate: float) -> None:
        self.mean, self.square = torch.zeros_like(piece), torch.zeros_like(piece)
        self.rate, self.step = rate, 0

    def update(self, piece: Tensor, grad: Tensor, beta: float = 0.9, gamma: float = 0.999) -> None:
        self.step += 1
        self.mean.lerp_(grad, 1 - beta)
        self.square.mul_(gamma).addcmul_(grad, grad, value=1 - gamma)
        mean, square = self.mean / (1 - beta**self.step), self.square / (1 - gamma**self.step)
        piece.sub_(self.rate * mean / (square.sqrt() + 1e-8))

    @property
    def nbytes(self) -> int:
        return self.mean.nbytes + self.square.nbytes


def zero1(ring: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor, rate: float, steps: int = 3) -> Kept:
    """Moments in pieces. The gradient is summed only where it is used, so as much is sent as in data parallel training."""
    x, target = _share(ring, x), _share(ring, target)
    optimizers = [Adam(_piece(ring, layer), rate) for layer in layers]
    gradients = 0
    for _ in range(steps):
        loss_of(layers, x, target).backward()
        gradients = max(gradients, sum(_grads(layer).nbytes for layer in layers))
        for layer, optimizer in zip(layers, optimizers, strict=True):
            mean = ring.reduce_scatter(_grads(layer)) / ring.size
            _update(ring, layer, optimizer, mean)
        layers.zero_grad()
    return Kept(_bytes(layers), gradients, sum(one.nbytes for one in optimizers))


def zero2(ring: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor, rate: float, steps: int = 3) -> Kept:
    """Gradients in pieces as well: a layer's is cut up while those before it are still being computed."""
    x, target = _share(ring, x), _share(ring, target)
    optimizers = [Adam(_piece(ring, layer), rate) for layer in layers]
    pieces: dict[int, Tensor] = {}
    largest = 0

    def when_ready(number: int, layer: nn.Module) -> Callable[[Tensor], None]:
        missing = sum(1 for _ in layer.parameters())
        waiting = missing

        def ready(_: Tensor) -> None:
            nonlocal waiting, largest
            waiting -= 1
            if waiting:
                return
            waiting = missing
            whole = _grads(layer)
            largest = max(largest, whole.nbytes + sum(piece.nbytes for piece in pieces.values()))
            pieces[number] = ring.reduce_scatter(whole) / ring.size
            layer.zero_grad()  # what belongs to others is forgotten at once

        return ready

    hooks = [
        weight.register_post_accumulate_grad_hook(ready)
        for number, layer in enumerate(layers)
        for ready in [when_ready(number, layer)]
        for weight in layer.parameters()
    ]
    for _ in range(steps):
        loss_of(layers, x, target).backward()
        for number, layer in enumerate(layers):
            _update(ring, layer, optimizers[number], pieces.pop(number))
    for hook in hooks:
        hook.remove()
    return Kept(_bytes(layers), largest, sum(one.nbytes for one in optimizers))


class _Gathered(torch.autograd.Function):
    """A layer's weights from everybody's pieces; backwards, everybody gets the gradient of the own piece."""

    @staticmethod
    def forward(ctx: Any, piece: Tensor, ring: Ring) -> Tensor:
        ctx.ring = ring
        return ring.all_gather(piece)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ring.reduce_scatter(grad) / ctx.ring.size, None


def zero3(ring: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor, rate: float, steps: int = 3) -> Kept:
    """Weights in pieces as well, for all steps: a layer is whole only while it is being used."""
    x, target = _share(ring, x), _share(ring, target)
    pieces = [_piece(ring, layer).clone().requires_grad_() for layer in layers]
    optimizers = [Adam(piece.detach(), rate) for piece in pieces]
    gradients = 0
    for _ in range(steps):
        h = x
        for layer, piece in zip(layers, pieces, strict=True):

            def run(h: Tensor, piece: Tensor, layer: nn.Module = layer) -> Tensor:
                return h + torch.func.functional_call(layer, _named(layer, _Gathered.apply(piece, ring)), (h,))

            h = checkpoint(run, h, piece, use_reentrant=False)  # gathered once more for the way back
        nn.functional.mse_loss(h, target).backward()
        gradients = max(gradients, sum(_grad(piece).nbytes for piece in pieces))
        for piece, optimizer in zip(pieces, optimizers, strict=True):
            optimizer.update(piece.detach(), _grad(piece))
            piece.grad = None
    sent = ring.sent
    for layer, piece in zip(layers, pieces, strict=True):  # only so that the result can be looked at
        _put(layer, ring.all_gather(piece.detach()))
    ring.sent = sent
    return Kept(sum(piece.nbytes for piece in pieces), gradients, sum(one.nbytes for one in optimizers))


def _update(ring: Ring, layer: nn.Module, optimizer: Adam, mean: Tensor) -> None:
    """The own piece takes its step; then everybody gets everybody's."""
    piece = _piece(ring, layer).clone()
    optimizer.update(piece, mean)
    _put(layer, ring.all_gather(piece))


def _share(ring: Ring, batch: Tensor) -> Tensor:
    return batch.chunk(ring.size)[ring.rank]


def _piece(ring: Ring, layer: nn.Module) -> Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in layer.parameters()]).chunk(ring.size)[ring.rank]


def _grads(layer: nn.Module) -> Tensor:
    return torch.cat([_grad(weight).reshape(-1) for weight in layer.parameters()])


def _grad(tensor: Tensor) -> Any:
    return tensor.grad


def _named(layer: nn.Module, flat: Tensor) -> dict[str, Tensor]:
    named = dict(layer.named_parameters())
    parts = flat.split([weight.numel() for weight in named.values()])
    return {name: part.view_as(weight) for (name, weight), part in zip(named.items(), parts, strict=True)}


def _put(layer: nn.Module, flat: Tensor) -> None:
    with torch.no_grad():
        for weight, new in zip(layer.parameters(), _named(layer, flat).values(), strict=True):
            weight.copy_(new)


def _bytes(layers: nn.ModuleList) -> int:
    return sum(weight.nbytes for weight in layers.parameters())
