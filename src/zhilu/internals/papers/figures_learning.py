"""The figures of papers about training and tuning (see ``figures``). All of them need PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zhilu.internals.lessons import lesson6_optimizers
from zhilu.internals.lessons.beyond import experts, preferences
from zhilu.internals.papers.figures_parts import bars, line_chart
from zhilu.internals.proofs.beyond import experts as experts_proof
from zhilu.internals.proofs.beyond import preferences as preferences_proof
from zhilu.internals.proofs.optimizers import SETTINGS, batches, small_model, train
from zhilu.internals.result import Result, Series, at_least, at_most, worst
from zhilu.messages import T

__all__ = ["LowRank", "deepseek_r1", "deepseek_v3", "dpo", "lion", "lora", "ppo"]


def deepseek_v3() -> Result:
    found = {way: experts_proof.train(experts, way) for way in ("none", "bias")}
    steps = [float(n) for n in range(1, len(found["none"][0]) + 1)]
    names = {"none": T("nothing is done", "什么也不做"), "bias": T("their bias", "论文的偏置")}
    last = {way: sum(uneven[-20:]) / 20 for way, (_, uneven, _) in found.items()}
    ends = {way: sum(losses[-20:]) / 20 for way, (losses, _, _) in found.items()}
    series = [Series(name=names[way], xs=steps, ys=uneven) for way, (_, uneven, _) in found.items()]
    return Result(
        task="deepseek-v3",
        answer=0,
        charts=[
            line_chart(
                T("How much more the busiest expert does than the mean", "最忙的专家比平均多做多少"),
                T("step", "步"),
                T("share", "比例"),
                series,
            )
        ],
        checks=[
            at_most(
                T("unevenness with the bias over that without", "用与不用偏置的不均匀之比"),
                last["bias"] / last["none"],
                0.6,
            ),
            at_most(
                T("loss with the bias over that without", "用与不用偏置的损失之比"), ends["bias"] / ends["none"], 1.03
            ),
        ],
    )


def deepseek_r1() -> Result:
    base = preferences_proof.base_policy()
    rewards = preferences_proof.learn(preferences, base, "grpo")
    steps = [float(n) for n in range(1, len(rewards) + 1)]
    chart = line_chart(
        T("Reward of what it writes", "写出的回答的奖励"),
        T("round", "轮"),
        T("mean reward", "平均奖励"),
        [Series(name=T("GRPO", "GRPO"), xs=steps, ys=rewards)],
    )
    return Result(
        task="deepseek-r1",
        answer=0,
        charts=[chart],
        checks=[at_least(T("reward gained", "奖励的增加"), sum(rewards[-5:]) / 5 - rewards[0], 0.25)],
    )


class LowRank(nn.Module):
    """h = W₀x + (α/r) B A x; B begins at zero, so that at first nothing is changed."""

    def __init__(self, kept: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.kept, self.scale = kept, alpha / rank
        self.a = nn.Parameter(torch.randn(rank, kept.in_features) * kept.in_features**-0.5)
        self.b = nn.Parameter(torch.zeros(kept.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.kept(x) + self.scale * F.linear(F.linear(x, self.a), self.b)


def lora() -> Result:
    base = small_model()
    stepper = torch.optim.AdamW(base.parameters(), lr=3e-3, weight_decay=0.0)
    train(base, [stepper.step], batches(120))
    capitals = torch.arange(256)
    capitals[ord("a") : ord("z") + 1] -= 32
    new, held = [capitals[one] for one in batches(80, seed=31)], capitals[batches(1, rows=32, seed=32)[0]]
    rows, losses = list[tuple[T, str]](), list[float]()
    before = _loss(base, held)
    for rank in (1, 2, 4, 8, 0):
        model = small_model()
        model.load_state_dict(base.state_dict())
        torch.manual_seed(33)
        if rank:
            model.requires_grad_(False)
            for block in model.model.blocks:
                for owner in (block.self_attn, block.mlp):
                    for name, layer in list(owner.named_children()):
                        if isinstance(layer, nn.Linear):
                            setattr(owner, name, LowRank(layer, rank, 16.0))
        learned = [weight for weight in model.parameters() if weight.requires_grad]
        # Adapters want a larger rate than all weights do: they begin at nothing.
        optimizer = torch.optim.AdamW(learned, lr=1e-2 if rank else 3e-3, weight_decay=0.0)
        train(model, [optimizer.step], new)
        losses.append(_loss(model, held))
        said = T(f"rank {rank}", f"秩 {rank}") if rank else T("all weights", "全部权重")
        rows.append((said, f"{losses[-1]:.3f} · {sum(weight.numel() for weight in learned):,}"))
    return Result(
        task="lora",
        answer=0,
        tables=[
            bars(
                T("Loss on capital letters · weights that learn", "大写文本上的损失 · 参与学习的权重数"),
                [(T("before", "微调前"), f"{before:.3f}"), *rows],
            )
        ],
        checks=[
            at_least(
                T("rank 1 gains, of what rank 8 gains", "秩 1 的收益占秩 8 的收益"),
                (before - losses[0]) / (before - losses[3]),
                0.7,
            ),
            at_least(T("rank 1 gains", "秩 1 的收益"), before - losses[0], 0.3),
        ],
    )


@torch.no_grad()
def _loss(model: Any, batch: Tensor) -> float:
    return float(F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()))


def dpo() -> Result:
    torch.manual_seed(3)
    reward, start = (
        torch.tensor([1.0, 0.2, -0.5, 0.0, 0.7, -1.2], dtype=torch.float64),
        torch.randn(6, dtype=torch.float64).log_softmax(0),
    )
    betas = (4.0, 2.0, 1.0, 0.5, 0.25)
    mine, best, off = list[tuple[float, float]](), list[tuple[float, float]](), list[float]()
    for beta in betas:
        policy = preferences_proof.dpo_optimum(preferences, reward, start, beta)
        exact = (start + reward / beta).log_softmax(0)
        mine.append(_place(policy, start, reward))
        best.append(_place(exact, start, reward))
        off.append(float((policy.exp() - exact.exp()).abs().max()))
    series = [
        Series(name=name, xs=[x for x, _ in points], ys=[y for _, y in points])
        for name, points in (
            (T("the best there is, exactly", "精确的最优"), best),
            (T("where DPO ends", "DPO 的终点"), mine),
        )
    ]
    chart = line_chart(
        T("Reward against distance, five values of β", "奖励与距离（β 取五个值）"),
        T("distance from the start (nats)", "离起点的距离（nat）"),
        T("mean reward", "平均奖励"),
        series,
    )
    return Result(
        task="dpo",
        answer=0,
        charts=[chart],
        checks=[at_most(T("DPO's end against the best there is", "DPO 的终点与最优之差"), worst(off), 1e-3)],
    )


def _place(policy: Tensor, start: Tensor, reward: Tensor) -> tuple[float, float]:
    return float((policy.exp() * (policy - start)).sum()), float((policy.exp() * reward).sum())


def ppo() -> Result:
    ratios = torch.linspace(0.5, 1.6, 45)
    one = torch.ones(1, 1)
    series, ends = [], []
    for advantage, name in (
        (1.0, T("a good action (A = 1)", "好的动作（A = 1）")),
        (-1.0, T("a bad action (A = -1)", "坏的动作（A = -1）")),
    ):
        gains = [
            -float(preferences.ppo_loss(ratio.log().view(1, 1), 0 * one, advantage * one, one, 0.2)) for ratio in ratios
        ]
        series.append(Series(name=name, xs=ratios.tolist(), ys=gains))
        ends.append((gains[-1], gains[0]))
    chart = line_chart(
        T("What there is to gain, by how much likelier it became", "收益随动作变得多可能"),
        T("r, times as likely", "r：变为几倍可能"),
        T("gain", "收益"),
        series,
    )
    return Result(
        task="ppo",
        answer=0,
        charts=[chart],
        checks=[
            at_most(
                T(
                    "good action, 60 % likelier: gains no more than at 20 %",
                    "好动作，可能性增加 60%：收益不超过增加 20%",
                ),
                abs(ends[0][0] - 1.2),
                1e-5,
            ),
            at_most(
                T("bad action, half as likely: gains no more than at 80 %", "坏动作，可能性减半：收益不超过降到 80%"),
                abs(ends[1][1] + 0.8),
                1e-5,
            ),
        ],
    )


def lion() -> Result:
    series, each, ends = [], [], []
    for name, said in (("adamw", "AdamW"), ("lion", "Lion")):
        model = small_model()
        rate = {"lr": 1e-3} if name == "lion" else {}  # three times smaller than AdamW's, as the paper advises
        stepper = lesson6_optimizers.Stepper(name, model.parameters(), **SETTINGS["adamw"] | rate)
        losses = train(model, [stepper.step], batches(60))
        series.append(Series(name=T(said, said), xs=[float(n) for n in range(1, 61)], ys=losses))
        each.append(stepper.nbytes / model.num_parameters())
        ends.append(sum(losses[-10:]) / 10)
    return Result(
        task="lion",
        answer=0,
        charts=[
            line_chart(
                T("The same model, the same data", "同一个模型，同样的数据"), T("step", "步"), T("loss", "损失"), series
            )
        ],
        tables=[
            bars(
                T("Bytes kept for each weight", "每个权重保存的字节"),
                ((T("AdamW", "AdamW"), f"{each[0]:.1f}"), (T("Lion", "Lion"), f"{each[1]:.1f}")),
            )
        ],
        checks=[
            at_most(T("bytes kept, Lion over AdamW", "保存的字节，Lion 与 AdamW 之比"), each[1] / each[0], 0.5),
            at_most(T("loss at the end, Lion over AdamW", "最后的损失，Lion 与 AdamW 之比"), ends[1] / ends[0], 1.15),
        ],
    )
