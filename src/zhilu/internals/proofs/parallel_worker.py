"""One process of lesson 6.4: ``python -m zhilu.internals.proofs.parallel_worker FILE FOLDER RANK SIZE``.

Takes one training step in each way, and writes what came out to ``FOLDER/<rank>.json``. The processes find each other by a file.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

HIDDEN, INNER, LAYERS, BATCH, RATE = 32, 64, 4, 16, 0.5


def stack() -> Any:
    """The same network in every process."""
    import torch
    from torch import nn

    from zhilu.training.model import MLP, NanoConfig

    torch.manual_seed(11)
    return nn.ModuleList(MLP(NanoConfig(hidden_size=HIDDEN, intermediate_size=INNER)) for _ in range(LAYERS))


def batch() -> Any:
    import torch

    torch.manual_seed(12)
    return torch.randn(BATCH, HIDDEN), torch.randn(BATCH, HIDDEN)


def join(file: str, folder: str, rank: int, size: int) -> Any:
    """The lesson's code, in a process that has met the others."""
    from torch import distributed

    # Messages stay on this machine.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    spec = importlib.util.spec_from_file_location("part", file)
    assert spec is not None and spec.loader is not None
    part: Any = importlib.util.module_from_spec(spec)
    sys.modules["part"] = part
    spec.loader.exec_module(part)
    store = (Path(folder) / "meet").as_uri()
    distributed.init_process_group("gloo", store, rank=rank, world_size=size, timeout=timedelta(seconds=200))
    return part


def main(file: str, folder: str, rank: int, size: int) -> None:
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    part = join(file, folder, rank, size)
    x, target = batch()
    found: dict[str, Any] = {}
    for way in ("data_parallel", "sharded", "tensor_parallel", "pipeline"):
        layers, ring = stack(), part.Ring()
        out = getattr(part, way)(ring, layers, x, target, RATE)
        loss, order = out if way == "pipeline" else (out, [])
        weights = {name: weight.detach().tolist() for name, weight in layers.named_parameters()}
        found[way] = {"loss": loss, "weights": weights, "sent": ring.sent, "order": order}
    # The industrial library's own, in the same processes: its gradient, and its collective.
    layers = stack()
    wrapped = DistributedDataParallel(_as_module(layers, part))
    wrapped(x.chunk(size)[rank], target.chunk(size)[rank]).backward()
    found["ddp"] = {name: weight.grad.tolist() for name, weight in layers.named_parameters()}
    mine = torch.arange(7.0) * (rank + 1)
    theirs = mine.clone()
    distributed.all_reduce(theirs)
    found["all_reduce"] = float((part.Ring().all_reduce(mine) - theirs).abs().max())
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def _as_module(layers: Any, part: Any) -> Any:
    """The stack with its loss as one module, which is what DistributedDataParallel wraps."""
    from torch import nn

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers

        def forward(self, x: Any, target: Any) -> Any:
            return part.loss_of(self.layers, x, target)

    return Whole()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
