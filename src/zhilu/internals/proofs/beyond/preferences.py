"""6.7.5: each formula against its definition, DPO against the exact optimum, and a small policy that learns in three ways."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_least, at_most, same, worst
from zhilu.messages import T
from zhilu.training.model import Nano, NanoConfig

__all__ = ["base_policy", "dpo_optimum", "learn", "prove", "writer"]

_DIGITS, _BEGIN, _ANSWER = 8, 9, 4
_QUESTIONS, _GROUP, _ROUNDS = 12, 8, 24
_NAMES = {"ppo": "PPO", "grpo": "GRPO", "dpo": "DPO"}


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``beyond.preferences`` has."""
    say(0.0, T("formula by formula", "逐个公式"))
    checks = [*_gae(part), _clipped(part), _kl(part), *_dpo(part), *_groups(part)]
    say(0.2, T("a policy that counts up or down", "会往上数也会往下数的策略"))
    base = base_policy()
    before = _reward(base)
    curves = {}
    for index, way in enumerate(("ppo", "grpo")):
        say(0.3 + 0.25 * index, T(f"learning by {_NAMES[way]}", f"用 {_NAMES[way]} 学习"))
        curves[way] = learn(part, base, way)
    say(0.85, T("learning by DPO", "用 DPO 学习"))
    curves["dpo"] = _learn_pairs(part, base)
    ends = {way: sum(ys[-5:]) / 5 for way, ys in curves.items()}
    for way, name in _NAMES.items():
        checks.append(
            at_least(T(f"{name}: reward gained over the start", f"{name}：奖励比开始时增加"), ends[way] - before, 0.25)
        )
    answer = 0 if checks[_OPTIMUM].passed else 1
    steps = list(range(1, _ROUNDS + 1))
    return Result(
        task="6.7.5",
        answer=answer,
        checks=checks,
        charts=[
            Chart(
                title=T("Reward of what the policy writes", "策略写出的回答的奖励"),
                x=T("round", "轮"),
                y=T("mean reward", "平均奖励"),
                series=[Series(name=T(name, name), xs=steps, ys=curves[way]) for way, name in _NAMES.items()],
            )
        ],
        tables=[
            Table(
                title=T("What each needs in memory while it learns", "学习时各自需要放在内存里的东西"),
                columns=[
                    T("way", "方法"),
                    T("models", "模型"),
                    T("writes new answers", "要写新回答"),
                    T("reward at the end", "最后的奖励"),
                ],
                rows=[
                    [
                        T("PPO", "PPO"),
                        T("policy, reference, value (and a reward model)", "策略、参考、价值（以及奖励模型）"),
                        T("yes", "是"),
                        T.of(f"{ends['ppo']:.2f}"),
                    ],
                    [
                        T("GRPO", "GRPO"),
                        T("policy, reference (and a reward or a rule)", "策略、参考（以及奖励模型或规则）"),
                        T("yes, several a question", "是，每题多个"),
                        T.of(f"{ends['grpo']:.2f}"),
                    ],
                    [
                        T("DPO", "DPO"),
                        T("policy, reference", "策略、参考"),
                        T("no: pairs are given", "否：用现成的成对数据"),
                        T.of(f"{ends['dpo']:.2f}"),
                    ],
                ],
            )
        ],
    )


_OPTIMUM = 5  # place of the check that DPO ends where the reward's optimum is


def _gae(part: Any) -> list[Check]:
    torch.manual_seed(0)
    rewards, values, gamma, lam = torch.randn(3, 7), torch.randn(3, 7), 0.9, 0.8
    after = torch.cat([values[:, 1:], torch.zeros(3, 1)], 1)
    surprise = rewards + gamma * after - values
    wanted = torch.stack(
        [torch.stack([(gamma * lam) ** (j - i) * surprise[:, j] for j in range(i, 7)]).sum(0) for i in range(7)],
        dim=1,
    )
    off = worst([float((part.gae(rewards, values, gamma, lam) - wanted).abs().max())])
    whole = rewards.flip(1).cumsum(1).flip(1) - values
    plain = worst([float((part.gae(rewards, values, 1.0, 1.0) - whole).abs().max())])
    return [
        at_most(T("advantages against the sum that defines them", "优势与定义的求和之差"), off, 1e-5),
        at_most(
            T("with λ = 1: all that was earned, less what was expected", "λ = 1 时：得到的总和减去预期"), plain, 1e-5
        ),
    ]


def _clipped(part: Any) -> Check:
    """The gradient at each token: the advantage times the ratio, and nothing where the clip has cut."""
    torch.manual_seed(1)
    old = -torch.rand(4, 6)
    logps = (old + torch.randn(4, 6) * 0.4).requires_grad_()
    advantages, mask = torch.randn(4, 6), (torch.rand(4, 6) > 0.3).float()
    part.ppo_loss(logps, old, advantages, mask, 0.2).backward()
    ratio = (logps - old).exp().detach()
    cut = ((advantages > 0) & (ratio > 1.2)) | ((advantages < 0) & (ratio < 0.8))
    wanted = torch.where(cut, 0.0, -advantages * ratio) * mask / mask.sum()
    assert logps.grad is not None
    off = worst([float((logps.grad - wanted).abs().max())])
    return at_most(T("PPO: gradient against the clipped definition", "PPO：梯度与裁剪定义之差"), off, 1e-6)


def _kl(part: Any) -> Check:
    """From single samples it varies; weighted by how likely each is, it must be the divergence itself."""
    torch.manual_seed(2)
    policy, reference = torch.randn(9).log_softmax(0), torch.randn(9).log_softmax(0)
    exact = float((policy.exp() * (policy - reference)).sum())
    mean = float((policy.exp() * part.kl(policy, reference)).sum())
    return at_most(
        T("distance from single samples: right on average", "单样本距离：平均后正确"), worst([abs(mean - exact)]), 1e-5
    )


def _dpo(part: Any) -> list[Check]:
    """The paper's gradient (section 4); and where it ends if there are all the comparisons that a reward gives."""
    torch.manual_seed(3)
    better, worse = (torch.randn(5).requires_grad_() for _ in range(2))
    reference = torch.randn(2, 5)
    part.dpo_loss(better, worse, reference[0], reference[1], 0.3).backward()
    gap = 0.3 * ((worse - reference[1]) - (better - reference[0])).detach()
    wanted = -0.3 * torch.sigmoid(gap) / 5
    assert better.grad is not None and worse.grad is not None
    off = worst([float((better.grad - wanted).abs().max()), float((worse.grad + wanted).abs().max())])

    beta, reward = 0.5, torch.tensor([1.0, 0.2, -0.5, 0.0, 0.7, -1.2], dtype=torch.float64)
    start = torch.randn(6, dtype=torch.float64).log_softmax(0)
    found = dpo_optimum(part, reward, start, beta)
    best = (start + reward / beta).softmax(
        0
    )  # what PPO's goal, reward less β · distance, has as its optimum (equation 4)
    away = worst([float((found.exp() - best).abs().max())])
    return [
        at_most(T("DPO: gradient against the paper's", "DPO：梯度与论文之差"), off, 1e-6),
        at_most(T("DPO ends where reward and distance are best", "DPO 的终点就是奖励与距离的最优"), away, 1e-3),
    ]


def dpo_optimum(part: Any, reward: Tensor, start: Tensor, beta: float) -> Tensor:
    """Log-probabilities that DPO's loss is least for, if every pair is compared as often as the reward says."""
    scores = nn.Parameter(start.clone())
    places = range(len(start))
    pairs = [(i, j, float(torch.sigmoid(reward[i] - reward[j]))) for i in places for j in places if i != j]
    optimizer = torch.optim.LBFGS([scores], max_iter=400, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        policy = scores.log_softmax(0)
        loss = torch.zeros((), dtype=torch.float64)
        for i, j, often in pairs:
            loss = loss + often * part.dpo_loss(policy[i], policy[j], start[i], start[j], beta)
        loss.backward()
        return loss

    optimizer.step(closure)
    return scores.detach().log_softmax(0)


def _groups(part: Any) -> list[Check]:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5]])
    advantages = part.group_advantages(rewards)
    mean, idle = float(advantages.mean(1).abs().max()), float(advantages[1].abs().max())
    torch.manual_seed(4)
    logps = (-torch.rand(4, 5)).requires_grad_()
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]).float()
    gains = advantages[0]
    part.grpo_loss(logps, logps.detach(), logps.detach(), gains, mask, beta=0.0).backward()
    wanted = -(gains[:, None] * mask / mask.sum(1, keepdim=True)) / 4  # each answer counts the same, however long it is
    assert logps.grad is not None
    off = worst([float((logps.grad - wanted).abs().max())])
    return [
        at_most(T("GRPO: a group's advantages sum to zero", "GRPO：一组的优势之和为零"), mean, 1e-6),
        same(T("GRPO: all the same, nothing to learn", "GRPO：全都一样，就没什么可学"), idle, 0.0),
        at_most(T("GRPO: gradient of fresh answers against the formula", "GRPO：新回答的梯度与公式之差"), off, 1e-6),
    ]


def _right(questions: Tensor, step: int = 1) -> Tensor:
    """The answer to a digit: the four that follow it."""
    return (questions[:, None] + step * torch.arange(1, _ANSWER + 1)) % _DIGITS


def base_policy(steps: int = 120) -> Nano:
    """Taught by examples of which half count up and half count down; the reward will be for counting up."""
    torch.manual_seed(7)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = NanoConfig(
        vocab_size=16, intermediate_size=64, head_dim=32, max_position_embeddings=16, rope_theta=1e4, **shape
    )
    policy = Nano(config)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=5e-3)
    for _ in range(steps):
        questions = torch.randint(_DIGITS, (32,))
        step = torch.where(torch.rand(32) < 0.5, 1, -1)
        answers = (questions[:, None] + step[:, None] * torch.arange(1, _ANSWER + 1)) % _DIGITS
        ids = torch.cat([torch.full((32, 1), _BEGIN), questions[:, None], answers], 1)
        loss = F.cross_entropy(policy(ids)[:, 1:-1].flatten(0, 1), ids[:, 2:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return policy


@torch.no_grad()
def _write(policy: Nano, questions: Tensor) -> Tensor:
    ids = torch.stack([torch.full_like(questions, _BEGIN), questions], 1)
    for _ in range(_ANSWER):
        chances = policy(ids)[:, -1].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(chances, 1)], 1)
    return ids


def _score(ids: Tensor) -> Tensor:
    """Share of the four that are right: a rule judges, not a model."""
    return (ids[:, 2:] == _right(ids[:, 1])).float().mean(1)


def writer(part: Any, policy: Nano, reference: Nano, group: int = _GROUP) -> Any:
    """Writes a round's answers: ``group`` to each of some random questions."""

    @torch.no_grad()
    def write() -> Any:
        questions = torch.randint(_DIGITS, (_QUESTIONS,)).repeat_interleave(group)
        ids = _write(policy, questions)
        mask = torch.zeros(len(ids), ids.shape[1] - 1)
        mask[:, 1:] = 1.0
        logps, kept = (part.token_logps(one(ids), ids) for one in (policy, reference))
        return part.Rollout(ids, mask, _score(ids), logps, kept)

    return write


def _reward(policy: Nano) -> float:
    torch.manual_seed(11)
    return float(_score(_write(policy, torch.arange(_DIGITS).repeat(64))).mean())


def _copy(policy: Nano) -> Nano:
    twin = Nano(policy.config)
    twin.load_state_dict(policy.state_dict())
    return twin


class _Values(nn.Module):
    """What is to be expected at each token: the same network with one number at its end."""

    def __init__(self, policy: Nano) -> None:
        super().__init__()
        self.body, self.head = _copy(policy).model, nn.Linear(policy.config.hidden_size, 1)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(ids))[:, :-1, 0]
        return out


def learn(part: Any, base: Nano, way: str) -> list[float]:
    policy, values = _copy(base), _Values(base)
    torch.manual_seed(12)
    weights = [*policy.parameters(), *(values.parameters() if way == "ppo" else ())]
    optimizer = torch.optim.AdamW(weights, lr=2e-3, weight_decay=0.0)
    found: list[float] = part.improve(
        policy, optimizer, writer(part, policy, base), rounds=_ROUNDS, group=_GROUP, way=way, values=values
    )
    return found


def _learn_pairs(part: Any, base: Nano) -> list[float]:
    """Pairs of the base's own answers, the better one first; no new ones are written for learning."""
    policy = _copy(base)
    torch.manual_seed(13)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=5e-4, weight_decay=0.0)
    seen = []
    for _ in range(_ROUNDS):
        seen.append(float(_score(_write(policy, torch.arange(_DIGITS).repeat(8))).mean()))
        questions = torch.randint(_DIGITS, (64,))
        pair = _write(base, questions), _write(base, questions)
        scores = _score(pair[0]), _score(pair[1])
        first = scores[0] > scores[1]
        told = scores[0] != scores[1]
        better = torch.where(first[:, None], *pair)[told]
        worse = torch.where(first[:, None], *reversed(pair))[told]
        with torch.no_grad():
            kept = [part.token_logps(base(one), one)[:, 1:].sum(1) for one in (better, worse)]
        for _ in range(2):
            mine = [part.token_logps(policy(one), one)[:, 1:].sum(1) for one in (better, worse)]
            loss = part.dpo_loss(*mine, *kept, 0.3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return seen
