"""6.7.1: the experts equal a plain reference and transformers' DeepSeek-V3; and three ways to keep their load even, measured."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zhilu.internals.proofs.optimizers import batches, small_model
from zhilu.internals.result import Chart, Check, Grid, Result, Say, Series, Table, at_least, at_most, same, worst
from zhilu.messages import T
from zhilu.training.model import Nano

__all__ = ["against_library", "prove", "train"]

_EXPERTS, _TOP, _WIDTH, _SHARED = 8, 2, 32, 32
_STEPS, _TAIL, _SPEED, _AUXILIARY = 80, 20, 0.02, 0.05
_NEAR = 1e-5
_WAYS = {
    "none": T("nothing is done", "什么也不做"),
    "loss": T("an extra loss", "额外的损失"),
    "bias": T("a bias for the choice", "只用于选择的偏置"),
}


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``beyond.experts`` has."""
    say(0.0, T("one token at a time", "逐个 token 对照"))
    checks = [_plain(part), *_bias_only_chooses(part)]
    if find_spec("transformers"):
        say(0.1, T("asking transformers", "与 transformers 比较"))
        checks += against_library(part)
    uneven, losses, loads = {}, {}, {}
    for index, (way, name) in enumerate(_WAYS.items()):
        say(0.2 + 0.27 * index, T(f"training: {name.en}", f"训练：{name.zh}"))
        losses[way], uneven[way], loads[way] = train(part, way)
    last = {way: sum(ys[-_TAIL:]) / _TAIL for way, ys in uneven.items()}
    end = {way: sum(ys[-_TAIL:]) / _TAIL for way, ys in losses.items()}
    checks += [
        at_least(
            T("busiest expert above the mean, where nothing is done", "什么也不做时，最忙的专家超出平均"),
            last["none"],
            0.4,
        ),
        at_most(T("the same with the bias, as a share of it", "用偏置后，与之相比"), last["bias"] / last["none"], 0.6),
        at_most(
            T("loss with the bias, over that without", "用偏置时的损失，与不用之比"), end["bias"] / end["none"], 1.03
        ),
        at_least(
            T("training with experts: loss falls by", "用专家训练：损失下降"), losses["bias"][0] - end["bias"], 1.5
        ),
    ]
    answer = 0 if checks[1].passed and checks[2].passed else 1
    steps = list(range(1, _STEPS + 1))
    return Result(
        task="6.7.1",
        answer=answer,
        checks=checks,
        charts=[
            Chart(
                title=T("How much more the busiest expert does than the mean", "最忙的专家比平均多做多少"),
                x=T("step", "步"),
                y=T("share above the mean", "超出平均的比例"),
                series=[Series(name=name, xs=steps, ys=_smooth(uneven[way])) for way, name in _WAYS.items()],
            ),
            Chart(
                title=T("Loss", "损失"),
                x=T("step", "步"),
                y=T("loss", "损失"),
                series=[Series(name=name, xs=steps, ys=losses[way]) for way, name in _WAYS.items()],
            ),
        ],
        grids=[
            Grid(
                title=T(
                    f"Load of each expert in the last {_TAIL} steps: {name.en}",
                    f"最后 {_TAIL} 步里每个专家的负载：{name.zh}",
                ),
                rows=T("step", "步"),
                columns=T("expert", "专家"),
                cells=_shares(loads[way]),
            )
            for way, name in _WAYS.items()
        ],
        tables=[
            Table(
                title=T(f"At the end (mean of {_TAIL} steps)", f"最后（{_TAIL} 步的平均）"),
                columns=[
                    T("what keeps the load even", "靠什么让负载均匀"),
                    T("busiest above the mean", "最忙的超出平均"),
                    T("loss", "损失"),
                ],
                rows=[[name, T.of(f"{last[way]:.0%}"), T.of(f"{end[way]:.3f}")] for way, name in _WAYS.items()],
            )
        ],
    )


def _layer(part: Any, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    layer = part.Experts(small_model().config, _EXPERTS, _TOP, _WIDTH, _SHARED)
    layer.bias.copy_(torch.randn(_EXPERTS) * 0.2)
    return layer


@torch.no_grad()
def _plain(part: Any) -> Check:
    """Every token alone, through Python lists: what the paper's equations 12 to 16 say."""
    layer = _layer(part)
    x = torch.randn(3, 17, 64)
    mine = layer(x).reshape(-1, 64)
    rows = []
    for token in x.reshape(-1, 64):
        scores = [float(torch.sigmoid(token @ liked)) for liked in layer.gate]
        order = sorted(range(_EXPERTS), key=lambda e: scores[e] + float(layer.bias[e]), reverse=True)[:_TOP]
        total = sum(scores[e] for e in order)
        rows.append(layer.shared(token) + sum((scores[e] / total) * layer.experts[e](token) for e in order))
    off = worst([float((mine - torch.stack(rows)).abs().max())])
    return at_most(T("output against one token at a time", "输出与逐个 token 计算之差"), off, _NEAR)


@torch.no_grad()
def _bias_only_chooses(part: Any) -> list[Check]:
    torch.manual_seed(1)
    x, gate = torch.randn(64, 16), torch.randn(_EXPERTS, 16)
    plain, _, scores = part.route(x, gate, torch.zeros(_EXPERTS), top_k=_TOP)
    favour = torch.zeros(_EXPERTS)
    favour[3] = 10.0
    chosen, weights, _ = part.route(x, gate, favour, top_k=_TOP)
    raw = scores.gather(1, chosen)
    off = float((weights - raw / raw.sum(1, keepdim=True)).abs().max())
    everywhere = bool((chosen == 3).any(1).all()) and not bool((plain == 3).any(1).all())
    return [
        same(
            T("a large bias: every token goes to that expert", "很大的偏置：每个 token 都去那个专家"), everywhere, True
        ),
        at_most(T("and how much it counts does not change", "而它占多少分量不变"), worst([off]), 1e-6),
    ]


@torch.no_grad()
def against_library(part: Any) -> list[Check]:
    """transformers' DeepseekV3MoE with the same weights, limited to two of four groups."""
    from transformers.models.deepseek_v3.configuration_deepseek_v3 import DeepseekV3Config
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE

    shape: dict[str, Any] = {
        "hidden_size": 64,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
    }
    config = DeepseekV3Config(
        **shape, n_shared_experts=1, n_group=4, topk_group=2, routed_scaling_factor=2.5, norm_topk_prob=True
    )
    config._experts_implementation = "eager"
    torch.manual_seed(2)
    theirs = DeepseekV3MoE(config).eval()
    for weight in theirs.parameters():
        weight.normal_(std=0.1)
    theirs.gate.e_score_correction_bias.normal_(std=0.05)
    x = torch.randn(1, 40, 64)
    wanted = theirs(x)[0]
    bias = theirs.gate.e_score_correction_bias
    chosen, weights, _ = part.route(x[0], theirs.gate.weight, bias, top_k=2, groups=4, top_groups=2, scale=2.5)
    layer = part.Experts(small_model().config, 8, 2, 32, 32)
    _copy(theirs, layer)
    out = layer.shared(x[0])
    for number, expert in enumerate(layer.experts):
        token, place = (chosen == number).nonzero(as_tuple=True)
        out = out.index_add(0, token, expert(x[0][token]) * weights[token, place, None])
    off = worst([float((out - wanted).abs().max() / wanted.abs().max())])
    return [
        at_most(
            T("output against transformers' DeepseekV3MoE", "输出与 transformers 的 DeepseekV3MoE 之差"), off, _NEAR
        )
    ]


def _copy(theirs: Any, layer: Any) -> None:
    """Weights of the library's experts, which are modules of their own or one tensor for all, depending on its version."""
    layer.shared.load_state_dict(theirs.shared_experts.state_dict())
    for number, expert in enumerate(layer.experts):
        if hasattr(theirs.experts, "gate_up_proj"):
            gate, up = theirs.experts.gate_up_proj[number].chunk(2)
            state = {
                "gate_proj.weight": gate,
                "up_proj.weight": up,
                "down_proj.weight": theirs.experts.down_proj[number],
            }
            expert.load_state_dict(state)
        else:
            expert.load_state_dict(theirs.experts[number].state_dict())


def train(part: Any, way: str) -> tuple[list[float], list[float], list[list[float]]]:
    """Losses, how uneven the first layer's load was, and its load in the last steps."""
    model = small_model()
    torch.manual_seed(5)
    layers = []
    for block in model.model.blocks:
        experts = part.Experts(model.config, _EXPERTS, _TOP, _WIDTH, _SHARED)
        for name, weight in experts.named_parameters():
            if name.endswith("down_proj.weight"):
                torch.nn.init.zeros_(weight)
        block.mlp = experts
        layers.append(experts)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0)
    losses, uneven, loads = [], [], []
    for batch in batches(_STEPS):
        entropy = _entropy(model, batch)
        loss = entropy
        if way == "loss":
            loss = loss + _AUXILIARY * sum(part.auxiliary_loss(one.scores, one.chosen) for one in layers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if way == "bias":
            for one in layers:
                part.balance(one.bias, one.load, _SPEED)
        losses.append(entropy.item())
        uneven.append(part.violation(layers[0].load))
        loads.append((layers[0].load / layers[0].load.sum()).tolist())
    return losses, uneven, loads[-_TAIL:]


def _entropy(model: Nano, batch: Tensor) -> Tensor:
    return F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def _smooth(ys: list[float], over: int = 5) -> list[float]:
    return [sum(ys[max(0, at - over + 1) : at + 1]) / len(ys[max(0, at - over + 1) : at + 1]) for at in range(len(ys))]


def _shares(loads: list[list[float]]) -> list[list[float | None]]:
    most = 3 / _EXPERTS  # three times the mean is as dark as it gets, in all three pictures
    return [[round(min(1.0, share / most), 4) for share in row] for row in loads]
