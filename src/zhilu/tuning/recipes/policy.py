"""Learning from rewards: PPO (arXiv 1707.06347, with GAE, 1506.02438) and GRPO (arXiv 2402.03300), in plain PyTorch.

A step samples answers to some prompts, asks the reward function, and improves the policy on them a few times within the
clipped objective. Both hold the policy to the base: PPO by a penalty in the reward of each token, whose weight follows the
distance that is aimed at; GRPO by a term in the loss. The base is the model with its adapter switched off.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zhilu.tuning.config import ROUND, Chosen, TuneConfig
from zhilu.tuning.data.preflight import Preflight, Rendered
from zhilu.tuning.recipes.base import TuneRun
from zhilu.tuning.recipes.rollouts import Rollout, looked_at, sample
from zhilu.tuning.recipes.units import Unit
from zhilu.tuning.rewards import Reward

__all__ = ["GrpoRun", "PolicyRun", "PpoRun", "clipped", "gae", "k3"]

_INNER = 2  # times that a step's answers are learned from
_CLIP_RANGE = 0.2
_GAMMA, _LAMBDA = 1.0, 0.95
_VALUE = 0.1  # weight of the value loss
_FAR = 1.0  # nats a token from the base at which weights are no longer kept as the best
_AIM = 0.1  # nats a token from the base that PPO's penalty aims at


def gae(rewards: Tensor, values: Tensor, gamma: float = _GAMMA, lam: float = _LAMBDA) -> Tensor:
    """Generalised advantages ``(length)`` of one answer, which ends with its last token (equation 16 of 1506.02438)."""
    advantages = torch.zeros_like(rewards)
    following, after = 0.0, 0.0
    for at in range(len(rewards) - 1, -1, -1):
        delta = float(rewards[at]) + gamma * after - float(values[at])
        following = delta + gamma * lam * following
        advantages[at] = following
        after = float(values[at])
    return advantages


def clipped(logps: Tensor, old: Tensor, advantages: Tensor, epsilon: float = _CLIP_RANGE) -> Tensor:
    """The loss of each token under the clipped objective (equation 7 of 1707.06347)."""
    ratio = torch.exp(logps - old)
    return -torch.min(ratio * advantages, ratio.clamp(1 - epsilon, 1 + epsilon) * advantages)


def k3(logps: Tensor, reference: Tensor) -> Tensor:
    """How far each token is from the reference, never negative (Schulman's third estimator; equation 4 of 2402.03300)."""
    apart = reference - logps
    return torch.exp(apart) - apart - 1


class PolicyRun(TuneRun):
    """What PPO and GRPO share.

    Args:
        preflight: decodes answers, and knows what ends them. reward: of (prompt, answer, wanted).
    """

    group = 1  # answers to one prompt

    def __init__(
        self, model: Any, units: Sequence[Unit], config: TuneConfig, chosen: Chosen, path: Path,
        preflight: Preflight, reward: Reward,
    ) -> None:  # fmt: skip
        super().__init__(model, units, config, chosen, path)
        self.preflight, self.reward = preflight, reward

    @abstractmethod
    def learn(self, rollouts: Sequence[Rollout]) -> tuple[Tensor, Tensor]:
        """The loss of some rollouts, and the distance from the base of each of their tokens."""

    @abstractmethod
    def credit(self, rollouts: Sequence[Rollout]) -> None:
        """Fill in advantages (and returns) of a step's rollouts."""

    def accumulate(self) -> dict[str, float]:
        count = max(1, ROUND // self.group)
        start = self.steps * count
        prompts = [self.units[(start + at) % len(self.units)] for at in range(min(count, len(self.units)))]
        rollouts = self.roll([unit for unit in prompts for _ in range(self.group)])
        self.credit(rollouts)
        losses = []
        for inner in range(_INNER):
            loss, apart = self.learn(rollouts)
            loss.backward()
            losses.append(float(loss.detach()))
            if inner < _INNER - 1:
                self.update()
        rewards = [rollout.reward for rollout in rollouts]
        distance = float(apart.detach().mean())
        self.adapt(distance)
        return {
            "loss": losses[0],
            "train_reward": sum(rewards) / len(rewards),
            "train_kl": distance,
            "tokens": sum(len(rollout.row.ids) for rollout in rollouts),
        }

    def adapt(self, distance: float) -> None:
        """Called with the distance from the base after each step."""

    def measure(self, held_out: Sequence[Unit], check: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Mean reward of one sampled answer to each held-out prompt (the same random numbers every time), and the distance."""
        check()
        before = torch.random.get_rng_state()
        torch.manual_seed(self.config.seed)
        rollouts = self.roll(list(held_out))
        torch.random.set_rng_state(before)
        reward = sum(rollout.reward for rollout in rollouts) / len(rollouts)
        distance = float(torch.cat([k3(one.old, one.reference) for one in rollouts]).mean())
        return {"held_out": -reward if distance < _FAR else 1e3, "reward": reward, "kl": distance}

    @torch.no_grad()
    def roll(self, units: Sequence[Unit]) -> list[Rollout]:
        """An answer to each unit's prompt, with its reward, its log-probabilities, and those under the base."""
        prompts = [unit.rows[0].ids[: unit.rows[0].learned.index(True)] for unit in units]
        answers = sample(self.model, prompts, self.preflight.ends, self.config.max_answer)
        rows = []
        for prompt, answer in zip(prompts, answers, strict=True):
            ids = (*prompt, *answer)
            learned = tuple(at >= len(prompt) for at in range(len(ids)))
            rows.append(Rendered("", ids, tuple((0, 0) for _ in ids), learned))
        was = self.model.training
        self.model.eval()
        own = looked_at(self.model, rows, self.chosen.max_len, getattr(self, "value_head", None))
        model: Any = self.model
        with model.disable_adapter():
            base = looked_at(self.model, rows, self.chosen.max_len)
        self.model.train(was)
        nothing = torch.zeros(0)
        worths = self._worths(units, rows, prompts, answers)
        return [
            Rollout(unit, row, worth, old, reference, values, nothing, nothing)
            for unit, row, worth, (old, values), (reference, _) in zip(units, rows, worths, own, base, strict=True)
        ]

    def _worths(
        self,
        units: Sequence[Unit],
        rows: Sequence[Rendered],
        prompts: Sequence[Sequence[int]],
        answers: Sequence[Sequence[int]],
    ) -> list[float]:
        of_rows: Callable[[Sequence[Rendered]], list[float]] | None = getattr(self.reward, "of_rows", None)
        if of_rows is not None:  # a trained one, which reads tokens
            return of_rows(rows)
        return [self._worth(*one) for one in zip(units, prompts, answers, strict=True)]

    def _worth(self, unit: Unit, prompt: Sequence[int], answer: Sequence[int]) -> float:
        decode = self.preflight.tokenizer.decode
        row = unit.rows[0]
        wanted = [id for id, carries in zip(row.ids, row.learned, strict=True) if carries]
        return self.reward(decode(list(prompt)), decode(list(answer)), decode(wanted))


class GrpoRun(PolicyRun):
    group = 8

    def credit(self, rollouts: Sequence[Rollout]) -> None:
        """Each answer against the others to its prompt."""
        rewards = torch.tensor([rollout.reward for rollout in rollouts]).view(-1, self.group)
        better = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
        for rollout, advantage in zip(rollouts, better.flatten().tolist(), strict=True):
            rollout.advantages = torch.full_like(rollout.old, advantage)

    def learn(self, rollouts: Sequence[Rollout]) -> tuple[Tensor, Tensor]:
        seen = looked_at(self.model, [rollout.row for rollout in rollouts], self.chosen.max_len)
        logps = torch.cat([one for one, _ in seen])
        old, reference, advantages = (
            torch.cat([getattr(rollout, name) for rollout in rollouts]) for name in ("old", "reference", "advantages")
        )
        apart = k3(logps, reference)
        return (clipped(logps, old, advantages) + self.config.strength * apart).mean(), apart


class PpoRun(PolicyRun):
    """With a value head on the policy's hidden states, which the checkpoint keeps and the adapter does not need."""

    counters = (*TuneRun.counters, "penalty")

    def __init__(self, model: Any, *rest: Any) -> None:
        self.value_head = nn.Linear(model.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        model.add_module("value_head", self.value_head)  # so that it is trained, saved and resumed with the adapter
        super().__init__(model, *rest)
        self.penalty = self.config.strength

    def credit(self, rollouts: Sequence[Rollout]) -> None:
        for rollout in rollouts:
            rewards = -self.penalty * (rollout.old - rollout.reference)
            rewards[-1] += rollout.reward
            rollout.advantages = gae(rewards, rollout.values)
            rollout.returns = rollout.advantages + rollout.values
        every = torch.cat([rollout.advantages for rollout in rollouts])
        for rollout in rollouts:
            rollout.advantages = (rollout.advantages - every.mean()) / (every.std() + 1e-8)

    def learn(self, rollouts: Sequence[Rollout]) -> tuple[Tensor, Tensor]:
        seen = looked_at(self.model, [rollout.row for rollout in rollouts], self.chosen.max_len, self.value_head)
        logps, values = (torch.cat([one[part] for one in seen]) for part in (0, 1))
        old, reference, advantages, returns = (
            torch.cat([getattr(rollout, name) for rollout in rollouts])
            for name in ("old", "reference", "advantages", "returns")
        )
        loss = clipped(logps, old, advantages).mean() + _VALUE * 0.5 * (values - returns).square().mean()
        return loss, k3(logps, reference)

    def adapt(self, distance: float) -> None:
        """The penalty grows while the policy is further from the base than is aimed at (arXiv 1909.08593, section 2.2)."""
        self.penalty *= 1 + 0.1 * max(-0.2, min(0.2, distance / _AIM - 1))
