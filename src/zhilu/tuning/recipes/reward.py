"""A reward model: one number for an answer, learned from pairs of a better and a worse one (Bradley and Terry 1952).

An adapter and a linear head on the hidden state of the answer's last token. The loss of a pair is -log sigmoid(better - worse):
equation 1 of InstructGPT (arXiv 2203.02155), and what TRL's RewardTrainer computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.base_model import TARGETS, load_base
from zhilu.tuning.config import Chosen, TuneConfig
from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.launch.spread import Spread, Work
from zhilu.tuning.recipes.base import TuneRun
from zhilu.tuning.recipes.batches import shared_length, tensors
from zhilu.tuning.recipes.sft import add_lora, hidden_of
from zhilu.tuning.recipes.units import Unit, pack_units, step_units
from zhilu.tuning.runs import TRAINED_REWARD, RunLibrary

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["RewardRun", "TrainedReward", "bradley_terry", "row_rewards"]


def row_rewards(model: Any, head: nn.Module, rows: Sequence[Rendered]) -> Tensor:
    """The reward of each row ``(num_rows)``, seen at its last learned token; the rows are packed into one sequence."""
    batch = tensors(list(rows))
    rewards: Tensor = head(hidden_of(model, batch)[batch["lasts"]]).squeeze(-1)
    return rewards


def bradley_terry(better: Tensor, worse: Tensor) -> Tensor:
    """The loss of each pair ``(num_pairs)``."""
    return -F.logsigmoid(better - worse)


class RewardRun(TuneRun):
    """Its head begins at zero, where every answer is worth the same. It is kept beside the adapter."""

    def __init__(
        self, model: Any, units: Sequence[Unit], config: TuneConfig, chosen: Chosen, path: Path,
        spread: Spread | None = None,
    ) -> None:  # fmt: skip
        self.reward_head = nn.Linear(model.config.hidden_size, 1, bias=False)
        nn.init.zeros_(self.reward_head.weight)
        model.add_module("reward_head", self.reward_head)  # trained, saved and resumed with the adapter
        super().__init__(model, units, config, chosen, path, spread)

    def _pairs(self, members: Sequence[Unit]) -> tuple[Tensor, Tensor]:
        rewards = row_rewards(self.model, self.reward_head, [row for unit in members for row in unit.rows])
        return rewards[0::2], rewards[1::2]

    def accumulate(self) -> dict[str, float]:
        units = step_units(self.units, self.chosen.batch_tokens, self.steps, self.config.seed)

        def work(members: Sequence[Unit]) -> tuple[Tensor, ...]:
            better, worse = self._pairs(members)
            return (
                bradley_terry(better, worse).sum() / len(units),
                (better - worse).sum(),
                (better > worse).float().sum(),
            )

        packs = pack_units(units, shared_length(units, self.chosen.max_len, self.spread.count))
        works: list[Work] = [partial(work, members) for members in packs]
        total, margin, right = self.spread.learn(works)
        return {
            "loss": total,
            "train_margin": margin / len(units),
            "train_accuracy": right / len(units),
            "tokens": sum(unit.size for unit in units),
        }

    def measure(self, held_out: Sequence[Unit], check: Callable[[], None] = lambda: None) -> dict[str, float]:
        was = self.model.training
        self.model.eval()

        def work(members: Sequence[Unit]) -> Tensor:
            check()
            return torch.stack(self._pairs(members))

        packs = pack_units(held_out, self.chosen.max_len)
        better, worse = torch.cat(self.spread.each([partial(work, members) for members in packs]), 1)
        self.model.train(was)
        right = torch.where(better == worse, 0.5, (better > worse).float())
        return {
            "held_out": float(bradley_terry(better, worse).mean()),
            "margin": float((better - worse).mean()),
            "accuracy": float(right.mean()),
        }


class TrainedReward:
    """What a finished run of rewards says of answers, in GRPO and PPO.

    Args:
        base: the model that is trained with it: it must be the one that the reward was trained on, as both read the same ids.

    Raises:
        NotFoundError: no such run. InputError: it is no finished run of rewards, or of another base.
    """

    def __init__(self, context: Context, run: str, base: str) -> None:
        from safetensors.torch import load_file

        folder = RunLibrary(context).get(run)
        info = folder.info()
        refuse_other(info, base)
        chosen = Chosen(**info.chosen, reasons=info.reasons)
        model = add_lora(load_base(ModelStore(context).path_of(base)), info.config, chosen, TARGETS)
        self.run = RewardRun(model, [], info.config, chosen, folder.checkpoint)
        self.run.load_weights(load_file(folder.path / TRAINED_REWARD))
        model.eval()

    @torch.no_grad()
    def of_rows(self, rows: Sequence[Rendered]) -> list[float]:
        """The reward of each prompt with its answer, whose tokens are the learned ones."""
        units = [Unit((row,)) for row in rows]
        found: dict[int, float] = {}
        for members in pack_units(units, self.run.chosen.max_len):
            rewards = row_rewards(self.run.model, self.run.reward_head, [unit.rows[0] for unit in members]).tolist()
            found.update({id(unit): reward for unit, reward in zip(members, rewards, strict=True)})
        return [found[id(unit)] for unit in units]

    def __call__(self, prompt: str, answer: str, wanted: str) -> float:
        raise TypeError("a trained reward reads tokens: of_rows")


def refuse_other(info: Any, base: str) -> None:
    """
    Raises:
        InputError: ``info`` is no finished run of rewards, or of another base than ``base``.
    """
    if info.config.objective != "reward" or info.outcome is None:
        raise InputError(
            T(f"{info.name!r} is no finished run with --objective reward.", f"{info.name!r} 不是已完成的 --objective reward 训练。"),
            param="reward", fix="zhilu tune run --data PAIRS --objective reward",
        )  # fmt: skip
    if info.config.model != base:
        raise InputError(
            T(f"The reward {info.name!r} was trained on {info.config.model}, not on {base}: both must read the same tokens.",
              f"奖励 {info.name!r} 是在 {info.config.model} 上训练的，不是 {base}：两者必须使用相同的 token。"),
            param="reward", fix=f"zhilu tune run --data PAIRS --objective reward --model {base}",
        )  # fmt: skip
