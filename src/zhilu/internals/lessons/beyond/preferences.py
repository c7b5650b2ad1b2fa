"""6.7.5 Learning from preferences and rewards: reward model, PPO, DPO, GRPO, step by step.

Read from top to bottom. Every function is one formula of its paper; ``improve`` is the loop that PPO and GRPO share: write answers, have
them judged, take a few careful steps. The policy is anything that gives log-probabilities; the proof uses the product's own network.

Shapes: one number a token ``(answers, length)``, one an answer ``(answers,)``; ``mask`` is 1 at the tokens of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "Rollout",
    "dpo_loss",
    "gae",
    "group_advantages",
    "grpo_loss",
    "improve",
    "kl",
    "ppo_loss",
    "reward_model_loss",
    "token_logps",
]


def token_logps(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each token but the first, ``(answers, length - 1)``, from logits at all places."""
    return logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]


def reward_model_loss(better: Tensor, worse: Tensor) -> Tensor:
    """Bradley-Terry: the chance that the better answer wins is a sigmoid of how much higher it scores (InstructGPT, 2203.02155)."""
    return -F.logsigmoid(better - worse).mean()


def gae(rewards: Tensor, values: Tensor, gamma: float = 1.0, lam: float = 0.95) -> Tensor:
    """How much better each token turned out than expected (1506.02438): a sum of surprises, those far ahead counting less."""
    advantages, later = torch.zeros_like(rewards), torch.zeros(len(rewards))
    after = torch.cat([values[:, 1:], torch.zeros(len(values), 1)], dim=1)
    for place in reversed(range(rewards.shape[1])):
        surprise = rewards[:, place] + gamma * after[:, place] - values[:, place]
        later = surprise + gamma * lam * later
        advantages[:, place] = later
    return advantages


def ppo_loss(logps: Tensor, old_logps: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2) -> Tensor:
    """Clipped: where a token became likelier by more than ``clip``, there is nothing more to gain (1707.06347, equation 7)."""
    ratio = (logps - old_logps).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -(gain * mask).sum() / mask.sum()


def kl(logps: Tensor, reference: Tensor) -> Tensor:
    """How far from the reference, from single samples: right on average and never below zero (Schulman's k3; GRPO, equation 4)."""
    off = reference - logps
    return off.exp() - off - 1


def group_advantages(rewards: Tensor) -> Tensor:
    """``(questions, answers each)``: better or worse than the others on the same question. This replaces a model of the value."""
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)


def grpo_loss(
    logps: Tensor,
    old_logps: Tensor,
    reference: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip: float = 0.2,
    beta: float = 0.04,
) -> Tensor:
    """PPO's gain, less what it costs to leave the reference; a mean over each answer's tokens, then over answers (2402.03300)."""
    ratio = (logps - old_logps).exp()
    gain = torch.minimum(ratio * advantages[:, None], ratio.clamp(1 - clip, 1 + clip) * advantages[:, None])
    each = ((gain - beta * kl(logps, reference)) * mask).sum(1) / mask.sum(1).clamp(min=1)
    return -each.mean()


def dpo_loss(
    better: Tensor, worse: Tensor, better_reference: Tensor, worse_reference: Tensor, beta: float = 0.1
) -> Tensor:
    """The reward model's loss with the policy itself as the reward: beta · log(policy / reference) (2305.18290, equation 7)."""
    return -F.logsigmoid(beta * ((better - better_reference) - (worse - worse_reference))).mean()


@dataclass
class Rollout:
    """Answers that were written, and what is known of them. ``rewards``: one an answer, questions one after the other."""

    ids: Tensor
    mask: Tensor  # (answers, length - 1)
    rewards: Tensor
    logps: Tensor
    reference: Tensor


def improve(
    policy: nn.Module,
    optimizer: torch.optim.Optimizer,
    write: Callable[[], Rollout],
    *,
    rounds: int,
    group: int,
    way: str = "grpo",
    values: Callable[[Tensor], Tensor] | None = None,
    epochs: int = 2,
    beta: float = 0.04,
) -> list[float]:
    """``rounds`` times: write, judge, take ``epochs`` steps on what was written. Returns the mean reward of every round.

    Args:
        group: answers to each question.
        way: ``grpo``, or ``ppo``, which needs ``values``: what is expected at each token ``(answers, length - 1)``.
    """
    seen = []
    for _ in range(rounds):
        batch = write()
        seen.append(float(batch.rewards.mean()))
        advantages, returns = batch.rewards.new_zeros(0), batch.rewards.new_zeros(0)
        if way == "ppo":
            assert values is not None
            with torch.no_grad():
                expected = values(batch.ids) * batch.mask
                last = batch.mask * (batch.mask.cumsum(1) == batch.mask.sum(1, keepdim=True))
                # The reward comes with the last token; every token pays for leaving the reference.
                each = last * batch.rewards[:, None] - beta * (batch.logps - batch.reference) * batch.mask
                raw = gae(each, expected) * batch.mask
                returns = raw + expected
                mean = raw.sum() / batch.mask.sum()
                spread = (((raw - mean) ** 2 * batch.mask).sum() / batch.mask.sum()).sqrt()
                advantages = (raw - mean) / (spread + 1e-4) * batch.mask
        else:
            advantages = group_advantages(batch.rewards.view(-1, group)).flatten()
        for _ in range(epochs):
            logps = token_logps(policy(batch.ids), batch.ids)
            if way == "ppo":
                assert values is not None
                loss = ppo_loss(logps, batch.logps, advantages, batch.mask)
                loss = loss + 0.5 * ((values(batch.ids) - returns) ** 2 * batch.mask).sum() / batch.mask.sum()
            else:
                loss = grpo_loss(logps, batch.logps, batch.reference, advantages, batch.mask, beta=beta)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([w for g in optimizer.param_groups for w in g["params"]], 1.0)
            optimizer.step()
    return seen
