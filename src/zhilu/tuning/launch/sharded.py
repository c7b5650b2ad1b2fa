"""PyTorch's FSDP2: each process keeps a part of every block's weights, gradients and moments, and asks the others for the rest.

Embeddings and the output projection stay whole in every process: the recipes call the projection as often as they have learned
tokens for, which differs between processes, and all of them would have to take part in each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zhilu.tuning.launch.many import Many
from zhilu.tuning.launch.spread import CLIP

__all__ = ["Sharded"]


class Sharded(Many):
    def shard(self, model: Any) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard

        mesh = init_device_mesh("cpu", (self.count,))
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        network = getattr(causal, causal.base_model_prefix)
        whole = {causal.get_input_embeddings().weight, causal.get_output_embeddings().weight}
        for layer in network.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(network, mesh=mesh, ignored_params=whole)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.set_force_sum_reduction_for_comms(True)  # gloo has no mean

    def update(self, run: Any) -> float:
        for p in run.trained:
            if p.grad is not None and not _is_part(p):
                self.sum(p.grad).div_(self.count)
        return super().update(run)

    def clip(self, parameters: Sequence[Any]) -> float:
        grads = [p.grad for p in parameters if p.grad is not None]
        in_parts, whole = ([g for g in grads if _is_part(g) is part] for part in (True, False))
        square = self.sum(_square([g.to_local() for g in in_parts])) + _square(whole)
        norm = float(square.sqrt())
        if norm > CLIP:
            for grad in grads:
                (grad.to_local() if _is_part(grad) else grad).mul_(CLIP / (norm + 1e-6))
        return norm

    def whole(self, parameters: dict[str, Any]) -> dict[str, Tensor]:
        return {name: _whole(p.detach()) for name, p in parameters.items()}

    def load(self, parameters: dict[str, Any], state: dict[str, Tensor]) -> None:
        for name, p in parameters.items():
            p.detach().copy_(_part_of(state[name], p))

    def optimizer_state(self, run: Any) -> list[Any]:
        return [_mapped(optimizer.state_dict(), _whole) for optimizer in run.optimizers]

    def load_optimizer_state(self, run: Any, states: list[Any]) -> None:
        for optimizer, state in zip(run.optimizers, states, strict=True):
            trained = [p for group in optimizer.param_groups for p in group["params"]]
            parts = {
                at: {
                    name: _part_of(value, trained[at]) if getattr(value, "shape", None) == trained[at].shape else value
                    for name, value in values.items()
                }
                for at, values in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": parts})


def _is_part(tensor: Any) -> bool:
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def _whole(tensor: Any) -> Any:
    return tensor.full_tensor() if _is_part(tensor) else tensor


def _part_of(whole: Tensor, like: Any) -> Any:
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole, like.device_mesh, like.placements) if _is_part(like) else whole


def _square(grads: Sequence[Tensor]) -> Tensor:
    return sum((g.float().square().sum() for g in grads), torch.zeros(()))


def _mapped(tree: Any, change: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _mapped(value, change) for key, value in tree.items()}
    return change(tree)
