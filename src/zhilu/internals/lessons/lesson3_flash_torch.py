"""6.3, the same in PyTorch: FlashAttention as one operation with a gradient of its own.

``FlashAttention.apply(q, k, v)`` can stand where ``scaled_dot_product_attention(q, k, v, is_causal=True)`` stands.
Shapes: ``(batch, heads, n, head_dim)``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["FlashAttention"]


class FlashAttention(torch.autograd.Function):
    """Causal attention in tiles; between forward and backward it keeps one number a row instead of a row a row."""

    block = 64

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        block, n = FlashAttention.block, q.shape[-2]
        out, lse = torch.empty_like(v), q.new_empty(q.shape[:-1])
        for start in range(0, n, block):
            rows = slice(start, min(start + block, n))
            top = q.new_full((*q.shape[:-2], rows.stop - start, 1), -torch.inf)
            total, collected = torch.zeros_like(top), torch.zeros_like(v[..., rows, :])
            for first in range(0, rows.stop, block):
                columns = slice(first, min(first + block, n))
                scores = _scores(q, k, rows, columns)
                new_top = torch.maximum(top, scores.amax(-1, keepdim=True))
                shrink, weights = torch.exp(top - new_top), torch.exp(scores - new_top)
                total = total * shrink + weights.sum(-1, keepdim=True)
                collected = collected * shrink + weights @ v[..., columns, :]
                top = new_top
            out[..., rows, :] = collected / total
            lse[..., rows] = (top + total.log()).squeeze(-1)
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, out, lse = ctx.saved_tensors
        block, n = FlashAttention.block, q.shape[-2]
        d_q, d_k, d_v = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        delta = (out * d_out).sum(-1, keepdim=True)
        for first in range(0, n, block):
            columns = slice(first, min(first + block, n))
            for start in range(first, n, block):
                rows = slice(start, min(start + block, n))
                weights = torch.exp(_scores(q, k, rows, columns) - lse[..., rows, None])
                d_v[..., columns, :] += weights.mT @ d_out[..., rows, :]
                d_weights = d_out[..., rows, :] @ v[..., columns, :].mT
                d_scores = weights * (d_weights - delta[..., rows, :]) * q.shape[-1] ** -0.5
                d_q[..., rows, :] += d_scores @ k[..., columns, :]
                d_k[..., columns, :] += d_scores.mT @ q[..., rows, :]
        return d_q, d_k, d_v


def _scores(q: Tensor, k: Tensor, rows: slice, columns: slice) -> Tensor:
    scores = q[..., rows, :] @ k[..., columns, :].mT * q.shape[-1] ** -0.5
    behind = torch.arange(rows.start, rows.stop)[:, None] < torch.arange(columns.start, columns.stop)[None]
    return scores.masked_fill(behind.to(q.device), -torch.inf)
