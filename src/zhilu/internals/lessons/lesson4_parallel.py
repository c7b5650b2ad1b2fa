"""6.4 Parallelism: one model, several processes, the same result. What is split decides what has to be sent.

Read from top to bottom. ``Ring`` sends pieces to a neighbour and builds the collectives from that, so that every byte can be
counted. Then four ways to split the work, each a function that takes one training step and returns its loss:

- ``data_parallel``: everybody has the whole model and a part of the batch; gradients are averaged.
- ``sharded`` (ZeRO-3, FSDP): everybody keeps a part of each layer, and gathers the whole just before it is needed.
- ``tensor_parallel``: every matrix is cut; everybody computes a part of each layer on the whole batch (Megatron).
- ``pipeline`` (1F1B): everybody has some layers; pieces of the batch follow each other through them.

The network is a stack of the product's own feed-forward blocks, each added to its input; the error is a mean square.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from zhilu.training.model import MLP

__all__ = ["Ring", "data_parallel", "loss_of", "pipeline", "sharded", "tensor_parallel"]


class Ring:
    """This process among others: point-to-point messages, counted, and collectives made of them (Patarasuk & Yuan 2009)."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.sent = 0  # bytes
        self._flying: list[tuple[Any, Tensor]] = []

    def _pass_on(self, piece: Tensor) -> Tensor:
        """Give to the right what comes from the left."""
        got = torch.empty_like(piece)
        sending: Any = distributed.isend(piece.contiguous(), (self.rank + 1) % self.size)
        distributed.recv(got, (self.rank - 1) % self.size)
        sending.wait()
        self.sent += piece.nbytes
        return got

    def reduce_scatter(self, flat: Tensor) -> Tensor:
        """The sum over all processes of this process's piece of ``flat``. Each sends all pieces but one."""
        pieces = list(flat.clone().chunk(self.size))
        for step in range(self.size - 1):
            got = self._pass_on(pieces[(self.rank - step - 1) % self.size])
            pieces[(self.rank - step - 2) % self.size] += got
        return pieces[self.rank]

    def all_gather(self, piece: Tensor) -> Tensor:
        """All pieces in the order of the processes."""
        pieces = [torch.empty_like(piece) for _ in range(self.size)]
        pieces[self.rank] = piece
        for step in range(self.size - 1):
            pieces[(self.rank - step - 1) % self.size] = self._pass_on(pieces[(self.rank - step) % self.size])
        return torch.cat(pieces)

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in every process."""
        flat = F.pad(tensor.reshape(-1), (0, -tensor.numel() % self.size))
        return self.all_gather(self.reduce_scatter(flat))[: tensor.numel()].view_as(tensor)

    def send(self, tensor: Tensor, to: int) -> None:
        """Does not wait: the other may be sending as well, and two that wait for each other wait for ever."""
        tensor = tensor.contiguous()
        self._flying.append((distributed.isend(tensor, to), tensor))
        self.sent += tensor.nbytes

    def finish(self) -> None:
        """Wait until all that was sent has arrived."""
        for sending, _ in self._flying:
            sending.wait()
        self._flying.clear()

    def receive(self, like: Tensor, of: int) -> Tensor:
        got = torch.empty_like(like)
        distributed.recv(got, of)
        return got


def loss_of(layers: nn.ModuleList, x: Tensor, target: Tensor) -> Tensor:
    """What one process would compute: the reference of all that follows."""
    for layer in layers:
        x = x + layer(x)
    return F.mse_loss(x, target)


def data_parallel(ring: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor, rate: float) -> float:
    """Own share of the batch, gradients averaged in one message. x: the whole batch, of which this process takes its part."""
    loss = loss_of(layers, x.chunk(ring.size)[ring.rank], target.chunk(ring.size)[ring.rank])
    loss.backward()
    weights = list(layers.parameters())
    flat = torch.cat([_grad(weight).reshape(-1) for weight in weights])
    mean = ring.all_reduce(flat) / ring.size
    with torch.no_grad():
        for weight, grad in zip(weights, mean.split([w.numel() for w in weights]), strict=True):
            weight.sub_(rate * grad.view_as(weight))
    return float(ring.all_reduce(loss.detach().reshape(1)) / ring.size)


class _Gathered(torch.autograd.Function):
    """A layer's weights from everybody's pieces; backwards, everybody gets the gradient of the own piece."""

    @staticmethod
    def forward(ctx: Any, piece: Tensor, ring: Ring) -> Tensor:
        ctx.ring = ring
        return ring.all_gather(piece)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ring.reduce_scatter(grad) / ctx.ring.size, None


def sharded(ring: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor, rate: float) -> float:
    """ZeRO-3: of each layer's numbers this process keeps one piece, and the optimizer works on pieces only."""
    pieces = [_flat(layer).chunk(ring.size)[ring.rank].clone().requires_grad_() for layer in layers]
    x, target = x.chunk(ring.size)[ring.rank], target.chunk(ring.size)[ring.rank]
    for layer, piece in zip(layers, pieces, strict=True):

        def run(h: Tensor, piece: Tensor, layer: nn.Module = layer) -> Tensor:
            named = _unflat(layer, _Gathered.apply(piece, ring))
            return h + torch.func.functional_call(layer, named, (h,))

        # The whole layer is thrown away after use and gathered once more for the way back.
        x = checkpoint(run, x, piece, use_reentrant=False)
    loss = F.mse_loss(x, target)
    loss.backward()
    sent = ring.sent
    with torch.no_grad():
        for layer, piece in zip(layers, pieces, strict=True):
            piece.sub_(rate * _grad(piece))
            for weight, new in zip(layer.parameters(), _unflat(layer, ring.all_gather(piece)).values(), strict=True):
                weight.copy_(new)  # only so that the result can be looked at: training would leave the pieces
    ring.sent = sent  # and looking is not counted
    return float(ring.all_reduce(loss.detach().reshape(1)) / ring.size)


class _Copied(torch.autograd.Function):
    """Into the parallel part: nothing forwards; backwards each process knows a part of the gradient, so it is summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ring: Ring) -> Tensor:
        ctx.ring = ring
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.ring.all_reduce(grad), None


class _Summed(torch.autograd.Function):
    """Out of the parallel part: each process has a part of the sum; backwards nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ring: Ring) -> Tensor:
        return ring.all_reduce(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def tensor_parallel(ring: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor, rate: float) -> float:
    """Megatron (1909.08053): the inner width is cut, so that nothing is sent between the two products of a layer."""
    cut = []
    for layer in layers:
        assert isinstance(layer, MLP)
        rows = [one.weight.chunk(ring.size)[ring.rank] for one in (layer.gate_proj, layer.up_proj)]
        columns = layer.down_proj.weight.chunk(ring.size, dim=1)[ring.rank]
        cut.append([part.detach().clone().requires_grad_() for part in (*rows, columns)])
    for gate, up, down in cut:
        inner = _Copied.apply(x, ring)
        x = x + _Summed.apply(F.linear(F.silu(F.linear(inner, gate)) * F.linear(inner, up), down), ring)
    loss = F.mse_loss(x, target)
    loss.backward()
    with torch.no_grad():
        for layer, parts in zip(layers, cut, strict=True):
            assert isinstance(layer, MLP)
            for part, whole, dim in zip(
                parts, (layer.gate_proj, layer.up_proj, layer.down_proj), (0, 0, 1), strict=True
            ):
                part.sub_(rate * _grad(part))
                whole.weight.chunk(ring.size, dim)[ring.rank].copy_(part)  # own slice only
    return loss.item()


def pipeline(
    ring: Ring, layers: nn.ModuleList, x: Tensor, target: Tensor, rate: float, pieces: int = 4
) -> tuple[float, list[tuple[str, int]]]:
    """1F1B (PipeDream, 1806.03377): this process's stretch of the layers; one piece forwards, one backwards, in turn.

    Returns also what was done, in order: ``("forward" or "backward", number of the piece)``.
    """
    first, last = ring.rank == 0, ring.rank == ring.size - 1
    each = len(layers) // ring.size
    own = layers[ring.rank * each : (ring.rank + 1) * each]
    xs, targets = x.chunk(pieces), target.chunk(pieces)
    flying: dict[int, tuple[Tensor, Tensor]] = {}  # pieces whose way back is still to come
    done, total = list[tuple[str, int]](), 0.0

    def forward(number: int) -> None:
        h = xs[number] if first else ring.receive(xs[number], ring.rank - 1)
        begun = out = h.detach().requires_grad_()
        for layer in own:
            out = out + layer(out)
        if last:
            out = F.mse_loss(out, targets[number]) / pieces
        else:
            ring.send(out.detach(), ring.rank + 1)
        flying[number] = begun, out
        done.append(("forward", number))

    def backward(number: int) -> None:
        begun, out = flying.pop(number)
        out.backward(None if last else ring.receive(out.detach(), ring.rank + 1))
        if not first:
            ring.send(_grad(begun), ring.rank - 1)
        done.append(("backward", number))
        nonlocal total
        total += out.item() if last else 0.0

    ahead = min(pieces, ring.size - 1 - ring.rank)  # enough to keep those behind busy, and no more is kept in memory
    for number in range(pieces + ahead):
        if number < pieces:
            forward(number)
        if number >= ahead:
            backward(number - ahead)
    ring.finish()
    with torch.no_grad():
        for weight in own.parameters():
            weight.sub_(rate * _grad(weight))
    return total, done


def _grad(tensor: Tensor) -> Any:
    return tensor.grad


def _flat(layer: nn.Module) -> Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in layer.parameters()])


def _unflat(layer: nn.Module, flat: Tensor) -> dict[str, Tensor]:
    named = dict(layer.named_parameters())
    pieces = flat.split([weight.numel() for weight in named.values()])
    return {name: piece.view_as(weight) for (name, weight), piece in zip(named.items(), pieces, strict=True)}
