"""6.7.1 Mixture of experts, as DeepSeek routes it: many small feed-forward blocks, of which a token uses a few.

Read from top to bottom. ``route`` chooses (DeepSeek-V3, arXiv 2412.19437, section 2.1.2): each expert scores a token by a sigmoid, the
best are taken, and their scores, made to sum up to one, say how much each counts. ``Experts`` sends every token to its experts and to
one that is shared by all. ``balance`` is what keeps the load even without an extra loss: an expert with too much work gets a smaller
bias, and the bias is used for choosing only.

The experts are the product's own feed-forward block (``training/model.py``). Shapes: x ``(tokens, hidden)``; chosen and weights
``(tokens, top_k)``.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from zhilu.training.model import MLP, NanoConfig

__all__ = ["Experts", "auxiliary_loss", "balance", "route", "violation"]


def route(
    x: Tensor,
    gate: Tensor,
    bias: Tensor,
    *,
    top_k: int,
    groups: int = 1,
    top_groups: int = 1,
    scale: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Which experts each token goes to, how much each counts, and all scores ``(tokens, experts)``.

    Args:
        gate: ``(experts, hidden)``, what each expert likes.
        bias: ``(experts,)``, added for the choice and for nothing else.
        groups: experts lie on so many machines, and a token may go to ``top_groups`` of them only: what is sent stays small.
    """
    scores = torch.sigmoid(x.float() @ gate.float().T)  # each for itself: a softmax would make experts compete
    wanted = scores + bias
    if groups > 1:
        by_group = wanted.view(len(x), groups, -1)
        worth = by_group.topk(2, dim=-1).values.sum(-1)  # a group is worth its two best
        allowed = torch.zeros_like(worth, dtype=torch.bool).scatter(1, worth.topk(top_groups).indices, True)
        wanted = by_group.masked_fill(~allowed[..., None], -torch.inf).flatten(1)
    chosen = wanted.topk(top_k, dim=-1).indices
    weights = scores.gather(1, chosen)  # without the bias
    weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) * scale
    return chosen, weights, scores


class Experts(nn.Module):
    """In the place of one feed-forward block. ``load`` and ``scores`` are those of the last call."""

    bias: Tensor

    def __init__(self, config: NanoConfig, num_experts: int, top_k: int, width: int, shared_width: int) -> None:
        super().__init__()
        self.top_k = top_k
        self.gate = nn.Parameter(torch.randn(num_experts, config.hidden_size) * config.hidden_size**-0.5)
        self.register_buffer("bias", torch.zeros(num_experts))
        small, shared = (replace(config, intermediate_size=size) for size in (width, shared_width))
        self.experts = nn.ModuleList(MLP(small) for _ in range(num_experts))
        self.shared = MLP(shared)  # what every token needs has to be learned only once
        self.load = torch.zeros(num_experts)
        self.scores, self.chosen = torch.zeros(0, num_experts), torch.zeros(0, top_k, dtype=torch.long)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        self.chosen, weights, self.scores = route(flat, self.gate, self.bias, top_k=self.top_k)
        out = self.shared(flat)
        for number, expert in enumerate(self.experts):
            token, place = (self.chosen == number).nonzero(as_tuple=True)
            # One product for all tokens of an expert: on many machines this is where they are sent and come back.
            out = out.index_add(0, token, expert(flat[token]) * weights[token, place, None].to(x.dtype))
        self.load = torch.bincount(self.chosen.flatten(), minlength=len(self.experts)).float()
        return out.view_as(x)


@torch.no_grad()
def balance(bias: Tensor, load: Tensor, speed: float) -> None:
    """After a step: who had more than the mean becomes less wanted, who had less more so (DeepSeek-V3; 2408.15664)."""
    bias += speed * torch.sign(load.mean() - load)


def auxiliary_loss(scores: Tensor, chosen: Tensor) -> Tensor:
    """The older way (Switch, 2101.03961): the share of tokens times the mean score of each expert, least where all are equal.

    Its gradient pulls at the scores themselves, and so at what the model has learned to like.
    """
    experts = scores.shape[1]
    share = torch.bincount(chosen.flatten(), minlength=experts).float() / chosen.numel()
    liked = (scores / scores.sum(-1, keepdim=True)).mean(0)
    return experts * (share * liked).sum()


def violation(load: Tensor) -> float:
    """How much more the busiest expert has to do than the mean: 0 where all have the same."""
    return float(load.max() / load.mean() - 1)
