"""What a run does with its rows: one file per objective, all on the loop of ``zhilu.training``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.tuning.config import REWARDED

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.tuning.config import Chosen, TuneConfig
    from zhilu.tuning.data.preflight import Preflight
    from zhilu.tuning.launch.spread import Spread
    from zhilu.tuning.recipes.base import TuneRun
    from zhilu.tuning.recipes.units import Unit
    from zhilu.tuning.rewards import Reward

__all__ = ["make_run", "reward_of"]


def reward_of(context: Context, config: TuneConfig, folder: Path) -> Reward | None:
    """What a run learns from, if it learns from a reward: a built-in, its own file in ``folder``, or another run's.

    Raises:
        NotFoundError, InputError: see ``load_reward`` and ``reward.TrainedReward``.
    """
    from zhilu.tuning.rewards import RUN, load_reward

    if config.objective not in REWARDED:
        return None
    if (config.reward or "").startswith(RUN):
        from zhilu.tuning.recipes.reward import TrainedReward

        return TrainedReward(context, str(config.reward).removeprefix(RUN), config.model)
    return load_reward(config.reward or "", folder)


def make_run(
    model: Any, units: Sequence[Unit], held_out: Sequence[Unit], config: TuneConfig, chosen: Chosen, path: Path,
    preflight: Preflight | None = None, reward: Reward | None = None, spread: Spread | None = None,
) -> TuneRun:  # fmt: skip
    """The run of ``config.objective`` on a model with its trainable parameters; needs PyTorch.

    Args:
        preflight, reward: for the objectives that learn from a reward.
        spread: over which processes a step is spread; None: this one. Not for objectives that learn from a reward.
    """
    if config.objective in REWARDED:
        from zhilu.tuning.recipes.policy import GrpoRun, PpoRun

        assert preflight is not None and reward is not None
        recipe = GrpoRun if config.objective == "grpo" else PpoRun
        return recipe(model, units, config, chosen, path, preflight, reward)
    if config.objective == "dpo":
        from zhilu.tuning.recipes.preference import DpoRun

        return DpoRun(model, units, held_out, config, chosen, path, spread)
    if config.objective == "kto":
        from zhilu.tuning.recipes.preference import KtoRun

        return KtoRun(model, units, held_out, config, chosen, path, spread)
    if config.objective == "reward":
        from zhilu.tuning.recipes.reward import RewardRun

        return RewardRun(model, units, config, chosen, path, spread)
    from zhilu.tuning.recipes.sft import SftRun

    return SftRun(model, units, config, chosen, path, spread)
