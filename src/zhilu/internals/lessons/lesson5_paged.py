"""6.5 PagedAttention: the cache in blocks, as an operating system keeps memory in pages (2309.06180).

Read from top to bottom. ``PagedMemory`` keeps keys and values in blocks; who owns which block is decided by the engine's own
``BlockPool``. ``attend`` runs over a table of blocks that lie anywhere. ``waste`` and ``fits`` say what it is for.

Shapes: keys and values ``(n, heads, head_dim)``; a query ``(heads, head_dim)``; a table is a list of block numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zhilu.engine.blocks import BlockPool
from zhilu.engine.observe import scale_of

__all__ = ["PagedMemory", "attend", "fits_contiguous", "fits_paged", "waste"]

Array = npt.NDArray[np.float32]


class PagedMemory:
    """Keys and values of one layer: ``num_blocks`` blocks of ``block_size`` tokens."""

    def __init__(self, pool: BlockPool, heads: int, head_dim: int) -> None:
        self.pool = pool
        shape = (pool.num_blocks, pool.block_size, heads, head_dim)
        self.keys, self.values = (
            np.full(shape, np.nan, np.float32),
            np.full(shape, np.nan, np.float32),
        )  # nobody may read what nobody wrote

    def write(self, table: list[int], position: int, k: Array, v: Array) -> None:
        """Put tokens ``position …`` of a sequence where its table says; the table grows as it must.

        Raises:
            MemoryError: the pool has too few free blocks.
        """
        if not self.pool.grow(table, position + len(k)):
            raise MemoryError("no free blocks")
        size = self.pool.block_size
        for offset in range(len(k)):
            place = position + offset
            block = table[place // size]  # which page
            self.keys[block, place % size] = k[offset]  # where in it
            self.values[block, place % size] = v[offset]


def attend(q: Array, memory: PagedMemory, table: Sequence[int], length: int) -> Array:
    """Attention of one new token over ``length`` tokens, block by block: the context is never gathered into one piece.

    The same online softmax as FlashAttention's (lesson 6.3); a block is a tile.
    """
    size, heads = memory.pool.block_size, len(q)
    top, total = np.full((heads, 1), -np.inf, np.float32), np.zeros((heads, 1), np.float32)
    collected = np.zeros_like(q)
    for number, block in enumerate(table):
        filled = min(size, length - number * size)  # the last block is partly empty
        if filled <= 0:
            break
        keys, values = memory.keys[block, :filled], memory.values[block, :filled]  # (filled, heads, head_dim)
        scores = np.einsum("hd,nhd->hn", q, keys) * scale_of(q.shape[-1])
        new_top = np.maximum(top, scores.max(axis=-1, keepdims=True))
        shrink, weights = np.exp(top - new_top), np.exp(scores - new_top)
        total = total * shrink + weights.sum(axis=-1, keepdims=True)
        collected = collected * shrink + np.einsum("hn,nhd->hd", weights, values)
        top = new_top
    return np.asarray(collected / total)


def waste(lengths: Sequence[int], block_size: int) -> float:
    """Share of the memory taken that holds nothing: only the ends of last blocks."""
    taken = sum(-(-length // block_size) * block_size for length in lengths)
    return 1 - sum(lengths) / taken


def fits_contiguous(capacity: int, longest: int) -> int:
    """How many sequences fit where each takes a row of the longest length there may be, since nobody knows how long it gets."""
    return capacity // longest


def fits_paged(capacity: int, lengths: Sequence[int], block_size: int) -> int:
    """How many of these sequences fit, in their order, where each takes the blocks that it fills."""
    free, number = capacity // block_size, 0
    for length in lengths:
        free -= -(-length // block_size)
        if free < 0:
            break
        number += 1
    return number
