"""6.3, the same as a GPU runs it: the forward pass as one Triton kernel.

Read from top to bottom. The loop is that of ``lesson3_flash_attention.forward``. What is new is who runs it: one program for every
tile of rows of every head, all at the same time, each with its tile in the fast memory of a core. Triton compiles it for the GPU;
where there is none, its interpreter runs one program after the other in NumPy (``TRITON_INTERPRET=1``), which is slow and computes the same.

``flash_attention(q, k, v)`` can stand where ``scaled_dot_product_attention(q, k, v, is_causal=True)`` stands, without its gradient.
Shapes: ``(batch, heads, n, head_dim)``. Needs Triton (Linux): ``python -m pip install "zhilu[triton]"``.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import torch
from torch import Tensor

if "triton" not in sys.modules and not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported: its own functions are wrapped then

import triton
import triton.language as tl

__all__ = ["flash_attention"]


@triton.jit
def _forward(
    q_at: Any,
    k_at: Any,
    v_at: Any,
    out_at: Any,
    lse_at: Any,
    scale: float,
    n: int,
    head_dim: int,
    WIDTH: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    """A tile of rows of one head. ``*_at`` are addresses; ``WIDTH`` is head_dim or the next power of two, which Triton asks for."""
    first_row, head = tl.program_id(0) * TILE, tl.program_id(1)
    rows, width = first_row + tl.arange(0, TILE), tl.arange(0, WIDTH)
    start = head * n * head_dim  # a head's numbers lie one behind the other
    row_places = start + rows[:, None] * head_dim + width[None, :]
    row_there = (rows[:, None] < n) & (width[None, :] < head_dim)
    q = tl.load(q_at + row_places, mask=row_there, other=0.0)  # read once, kept in fast memory
    top = tl.full((TILE,), float("-inf"), tl.float32)  # the largest score so far
    total = tl.zeros((TILE,), tl.float32)  # of exp(score - top) so far
    collected = tl.zeros((TILE, WIDTH), tl.float32)
    for first in range(0, first_row + TILE, TILE):  # tiles that lie wholly in the future are not computed
        columns = first + tl.arange(0, TILE)
        places = start + columns[:, None] * head_dim + width[None, :]
        there = (columns[:, None] < n) & (width[None, :] < head_dim)
        k = tl.load(k_at + places, mask=there, other=0.0)
        v = tl.load(v_at + places, mask=there, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale  # ieee: all bits of float32, not TF32's ten
        scores = tl.where(rows[:, None] >= columns[None, :], scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        shrink = tl.exp(top - new_top)  # what came before was relative to the old maximum
        weights = tl.exp(scores - new_top[:, None])
        total = total * shrink + tl.sum(weights, 1)
        collected = collected * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        top = new_top
    tl.store(out_at + row_places, (collected / total[:, None]).to(q.dtype), mask=row_there)
    tl.store(lse_at + head * n + rows, top + tl.log(total), mask=rows < n)


def flash_attention(q: Tensor, k: Tensor, v: Tensor, tile: int = 32) -> tuple[Tensor, Tensor]:
    """The output, and for every row the logarithm of the sum of its exponentials ``(batch, heads, n)``, in float32.

    Args:
        tile: rows, and columns, of a tile: a power of two, 16 at least.
    """
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    batch, heads, n, head_dim = q.shape
    out, lse = torch.empty_like(q), q.new_empty((batch, heads, n), dtype=torch.float32)
    programs = (triton.cdiv(n, tile), batch * heads)  # a grid of them, in no order
    width = max(16, triton.next_power_of_2(head_dim))
    _forward[programs](q, k, v, out, lse, head_dim**-0.5, n, head_dim, WIDTH=width, TILE=tile)
    return out, lse
