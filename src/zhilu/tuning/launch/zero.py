"""DeepSpeed's ZeRO: moments (1), gradients (2) and weights (3) in parts over the processes, with PyTorch's own AdamW.

DeepSpeed's fused and CPU Adam are compiled when they are first used, which takes minutes and a compiler; PyTorch's does the same
arithmetic without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, distributed

from zhilu.tuning.launch.many import Many, Through
from zhilu.tuning.launch.spread import CLIP, Work

__all__ = ["Zero"]


class Zero(Many):
    """
    Args:
        stage: 1 to 3.
    """

    engine: Any = None

    def __init__(self, stage: int) -> None:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        super().__init__()
        self.stage = stage
        self.kept: str | None = None

    def attach(self, run: Any) -> None:
        import deepspeed

        config = {
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": CLIP,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "steps_per_print": 10**9,
            "zero_optimization": {"stage": self.stage, "overlap_comm": False, "stage3_param_persistence_threshold": 0},
        }
        # Its way through shared memory would be compiled first, by all processes at once behind a file as their lock. One that is
        # killed meanwhile leaves the file, and every later run waits for it without end (0.19.8).
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        deepspeed.init_distributed("gloo", dist_init_required=False)
        self.engine = deepspeed.initialize(
            model=Through(run.model), model_parameters=run.trained, optimizer=run.optimizers[0], config=config
        )[0]

    def forward(self, work: Callable[[], Any]) -> Any:
        return work() if self.engine is None else self.engine(work)

    def forward_and_back(self, work: Work, weight: float, *, is_last: bool) -> tuple[Tensor, ...]:
        self.engine.set_gradient_accumulation_boundary(is_last)
        found: tuple[Tensor, ...] = self.engine(work)
        self.engine.backward(found[0] * (weight * self.count))
        if not is_last:
            self.engine.step()
        return found

    def update(self, run: Any) -> float:
        self.engine.step()
        return float(self.engine.get_global_grad_norm())

    def whole(self, parameters: dict[str, Any]) -> dict[str, Tensor]:
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(parameters.values()), enabled=self.stage == 3):
            return {name: p.detach().clone() for name, p in parameters.items()}

    def load(self, parameters: dict[str, Any], state: dict[str, Tensor]) -> None:
        """The engine's own checkpoint has them."""

    def optimizer_state(self, run: Any) -> list[Any]:
        """A folder of DeepSpeed's, noted by its name in the checkpoint: it counts from when that is written."""
        folder, tag = _folder(run), f"step-{run.steps}"
        if self.leads and folder.is_dir():
            for old in folder.iterdir():
                if old.name != self.kept:
                    shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()
        distributed.barrier()
        self.engine.save_checkpoint(str(folder), tag=tag, save_latest=False, exclude_frozen_parameters=True)
        distributed.barrier()
        self.kept = tag
        return [{"zero": tag}]

    def load_optimizer_state(self, run: Any, states: list[Any]) -> None:
        self.kept = states[0]["zero"]
        found, _ = self.engine.load_checkpoint(str(_folder(run)), tag=self.kept, load_module_strict=False)
        assert found is not None, "the checkpoint's folder is gone"


def _folder(run: Any) -> Path:
    path: Path = run.path.parent / "zero"
    return path
