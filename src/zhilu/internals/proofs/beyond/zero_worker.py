"""One process of lesson 6.4.2: ``python -m zhilu.internals.proofs.beyond.zero_worker FILE FOLDER RANK SIZE``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from zhilu.internals.proofs.parallel_worker import batch, join, stack

RATE, STEPS = 0.01, 3


def main(file: str, folder: str, rank: int, size: int) -> None:
    from torch import distributed

    part = join(file, folder, rank, size)
    x, target = batch()
    found: dict[str, Any] = {}
    for way in ("zero1", "zero2", "zero3"):
        layers, ring = stack(), part.Ring()
        kept = getattr(part, way)(ring, layers, x, target, RATE, STEPS)
        found[way] = {"weights": _told(layers), "sent": ring.sent, "kept": list(kept)}
    found["library"] = {
        "ZeroRedundancyOptimizer": _told(_zero_redundancy(part, x.chunk(size)[rank], target.chunk(size)[rank])),
        "FSDP2": _fully_sharded(part, x.chunk(size)[rank], target.chunk(size)[rank], size),
    }
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def _told(layers: Any) -> dict[str, Any]:
    return {name: weight.detach().tolist() for name, weight in layers.named_parameters()}


def _zero_redundancy(part: Any, x: Any, target: Any) -> Any:
    """ZeRO-1 as PyTorch ships it: moments in pieces behind DistributedDataParallel."""
    import torch
    from torch.distributed.optim import ZeroRedundancyOptimizer
    from torch.nn.parallel import DistributedDataParallel

    from zhilu.internals.proofs.parallel_worker import _as_module

    layers = stack()
    wrapped = DistributedDataParallel(_as_module(layers, part))
    optimizer = ZeroRedundancyOptimizer(
        wrapped.parameters(), optimizer_class=torch.optim.AdamW, lr=RATE, weight_decay=0.0
    )
    for _ in range(STEPS):
        wrapped(x, target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return layers


def _fully_sharded(part: Any, x: Any, target: Any, size: int) -> dict[str, Any]:
    """ZeRO-3 as PyTorch ships it."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    layers, mesh = stack(), init_device_mesh("cpu", (size,))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=RATE, weight_decay=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(STEPS):
            part.loss_of(layers, x, target).backward()
            optimizer.step()
            optimizer.zero_grad()
    return {name: weight.full_tensor().tolist() for name, weight in layers.named_parameters()}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
