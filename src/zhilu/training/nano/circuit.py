"""Initial weights that can already copy: the induction circuit (Olsson et al. 2022), drawn in instead of waited for.

Discovering it would take most of a small budget: one head looks at the previous token and notes it down; a later head looks for
a place whose note equals the current token, and passes on what stands there. Training starts from this circuit and is free to
change it (structured initialisation as in Trockman & Kolter 2023). Measured gain: LOG.md.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zhilu.training.model import Nano, rope_table

__all__ = ["draw_copy_circuit"]

_NOTE = 1.5  # how loudly the previous token is noted in the residual stream, in units of an embedding's size a channel
_VOICE = 10.0  # how loudly the found token is passed on
_NEAR, _FAR = (
    5,
    15,
)  # rotary pairs below _NEAR turn within a few tokens; those from _FAR on hardly turn within 500 (theta 1e6)


@torch.no_grad()
def draw_copy_circuit(model: Nano, layers: tuple[int, ...] = (1, 2)) -> None:
    """Overwrite the first key/value group of layer 0 (previous tokens) and of ``layers`` (induction) in place.

    The other groups of every layer start with equal queries and keys, so that they look at like tokens.
    """
    config = model.config
    size, half = config.head_dim, config.head_dim // 2
    group = config.num_attention_heads // config.num_key_value_heads
    embedding = model.model.embed_tokens.weight
    loud = float(embedding.std())
    embedding[:, 0] = 4 * loud  # channel 0 is the same for all tokens: what position-only heads read
    for layer in model.model.blocks:
        attention = layer.self_attn
        for place in range(config.num_attention_heads):
            kv = place // group
            attention.q_proj.weight[place * size : (place + 1) * size] = attention.k_proj.weight[
                kv * size : (kv + 1) * size
            ]
    token, note = _basis(size, config.hidden_size), _basis(size, config.hidden_size)
    first = model.model.blocks[0].self_attn
    cos, sin = rope_table(config, group + 1)
    near = torch.zeros(size)
    near[:_NEAR] = near[half : half + _NEAR] = 1.0
    first.q_norm.weight.copy_(1 + 1.5 * near)
    first.k_norm.weight.copy_(1 + 1.5 * near)
    first.k_proj.weight[:size] *= 0.05
    first.k_proj.weight[:_NEAR, 0] = cos[group, :_NEAR]  # a key turned ahead by ``group`` positions ...
    first.k_proj.weight[half : half + _NEAR, 0] = sin[group, :_NEAR]
    first.v_proj.weight[:size] = token
    for place in range(group):  # ... meets a query turned ahead by the rest: this head looks ``place + 1`` tokens back
        rows = slice(place * size, (place + 1) * size)
        rest = group - 1 - place
        first.q_proj.weight[rows] *= 0.05
        first.q_proj.weight[place * size : place * size + _NEAR, 0] = cos[rest, :_NEAR]
        first.q_proj.weight[place * size + half : place * size + half + _NEAR, 0] = sin[rest, :_NEAR]
        if place == 0:
            first.o_proj.weight[:, rows] = _NOTE * loud * note.T
    far = torch.full((size,), 0.3)
    far[_FAR:half] = far[half + _FAR :] = 1.6
    for index in layers:
        attention = model.model.blocks[index].self_attn
        attention.q_norm.weight.copy_(far)
        attention.k_norm.weight.copy_(far)
        attention.k_proj.weight[:size] = note
        for place in range(group):
            rows = slice(place * size, (place + 1) * size)
            read = _basis(size, config.hidden_size)
            attention.q_proj.weight[rows] = token
            attention.v_proj.weight[:size] = read
            if place == group - 1:
                attention.o_proj.weight[:, rows] = _VOICE * loud * read.T


def _basis(rows: int, columns: int) -> Tensor:
    """``rows`` orthonormal rows over all channels but channel 0."""
    drawn, _ = torch.linalg.qr(torch.randn(columns - 1, rows))
    return torch.cat([torch.zeros(rows, 1), drawn.T], dim=1)
