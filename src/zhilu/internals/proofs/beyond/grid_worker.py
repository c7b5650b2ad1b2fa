"""One process of lesson 6.4.3: ``python -m zhilu.internals.proofs.beyond.grid_worker FILE FOLDER RANK SIZE`` (four processes)."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from zhilu.internals.proofs.parallel_worker import HIDDEN, batch, join, stack

TOKENS = 64


def text() -> list[Any]:
    """q, k, v of a text, and the gradient of what attention gives: ``(TOKENS, HIDDEN)``."""
    import torch

    torch.manual_seed(21)
    return [torch.randn(TOKENS, HIDDEN) for _ in range(4)]


def routed(size: int) -> tuple[Any, Any, Any]:
    """Tokens, the expert of each (more for some than for others), and the gradient of what comes back."""
    import torch

    torch.manual_seed(22)
    x, d_out = torch.randn(TOKENS, HIDDEN), torch.randn(TOKENS, HIDDEN)
    return x, torch.randint(0, size, (TOKENS,)) * torch.randint(0, 2, (TOKENS,)), d_out


def main(file: str, folder: str, rank: int, size: int) -> None:
    from torch import distributed

    part = join(file, folder, rank, size)
    everybody = list(range(size))
    found: dict[str, Any] = {
        "context": _context(part, part.Group(everybody)),
        "sequence": _sequence(part, part.Group(everybody)),
        "experts": _experts(part, part.Group(everybody)),
        "grid": _grid(part, rank),
        "library": {"FSDP2 and tensor parallel": _library_grid(rank), "1F1B": _library_pipeline(rank, size)},
    }
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def _context(part: Any, ring: Any) -> dict[str, Any]:
    q, k, v, d_out = (whole.chunk(ring.size)[ring.rank].clone() for whole in text())
    for one in (q, k, v):
        one.requires_grad_()
    out = part.context_parallel(ring, q, k, v)
    forward = ring.sent
    out.backward(d_out)
    grads = [one.grad.tolist() for one in (q, k, v)]
    return {"out": out.tolist(), "grads": grads, "forward": forward, "sent": ring.sent}


def _sequence(part: Any, ring: Any) -> dict[str, Any]:
    from torch.nn import functional as F

    x, target = (whole.chunk(ring.size)[ring.rank] for whole in batch())
    out, cut = part.sequence_parallel(ring, stack(), x)
    (F.mse_loss(out, target) / ring.size).backward()
    return {"out": out.tolist(), "grads": [[p.grad.tolist() for p in parts] for parts in cut], "sent": ring.sent}


def _experts(part: Any, ring: Any) -> dict[str, Any]:
    x, chosen, d_out = (whole.chunk(ring.size)[ring.rank].clone() for whole in routed(ring.size))
    x.requires_grad_()
    before = ring.sent
    out = part.expert_parallel(ring, stack()[ring.rank], x, chosen)
    out.backward(d_out)
    counts = ring.size * 8 * (ring.size - 1)  # everybody's numbers of tokens, gathered: eight bytes each
    return {"out": out.tolist(), "grad": x.grad.tolist(), "sent": ring.sent - before - counts}


def _grid(part: Any, rank: int) -> dict[str, Any]:
    """Processes 0 and 1, 2 and 3 cut the matrices between them; 0 and 2, 1 and 3 the batch."""
    row, column = divmod(rank, 2)
    columns, rows = part.Group([2 * row, 2 * row + 1]), part.Group([column, column + 2])
    loss, grads = part.two_by_two(columns, rows, stack(), *batch())
    told = [[grad.tolist() for grad in parts] for parts in grads]
    return {"loss": loss, "grads": told, "columns": columns.sent, "rows": rows.sent}


def _library_grid(rank: int) -> dict[str, Any]:
    """The same grid of PyTorch's own parts: parallelize_module within a row, fully_shard across rows."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
    from torch.nn import functional as F

    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("rows", "columns"))
    layers = stack()
    for layer in layers:
        plan = {"gate_proj": ColwiseParallel(), "up_proj": ColwiseParallel(), "down_proj": RowwiseParallel()}
        parallelize_module(layer, mesh["columns"], plan)
        fully_shard(layer, mesh=mesh["rows"])
    x, target = (whole.chunk(2)[rank // 2] for whole in batch())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for layer in layers:
            x = x + layer(x)
        F.mse_loss(x, target).backward()
        grads: dict[str, Any] = {name: weight.grad for name, weight in layers.named_parameters()}
        return {name: grad.full_tensor().tolist() for name, grad in grads.items()}


def _library_pipeline(rank: int, size: int) -> dict[str, Any]:
    """PyTorch's own 1F1B over all processes, a layer each."""
    import torch
    from torch import nn
    from torch.distributed.pipelining import PipelineStage, Schedule1F1B
    from torch.nn import functional as F

    class Added(nn.Module):
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            return x + self.layer(x)

    own = Added(stack()[rank])
    x, target = batch()
    schedule = Schedule1F1B(PipelineStage(own, rank, size, torch.device("cpu")), 4, loss_fn=F.mse_loss)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if rank == 0:
            schedule.step(x)
        elif rank == size - 1:
            schedule.step(target=target)
        else:
            schedule.step()
    return {f"{rank}.{name}": weight.grad.tolist() for name, weight in own.layer.named_parameters()}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
