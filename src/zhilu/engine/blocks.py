"""Where keys and values are kept: PagedAttention's block tables (arXiv 2309.06180) and a prefix cache.

The cache memory is divided into blocks of ``block_size`` tokens. A sequence owns a table of block numbers. Blocks fill from the
front, so only the last one is partly empty. If another sequence begins with the same tokens, full blocks are shared, with a
count of references. A block is found by its actual token ids and the identity of its predecessor, never by a hash alone, so a
collision cannot leak one user's context into another's answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BlockPool"]


_Identity = int | tuple[int, str]


def _root(adapter: int, salt: str | None) -> _Identity:
    """The identity that stands before a sequence's first block: the same tokens have other values under each adapter.

    A salt keeps those who do not know it from finding out, by how fast an answer comes, what was asked with it.
    """
    return -adapter if salt is None else (-adapter, salt)


@dataclass
class _Block:
    references: int = 0
    identity: int | None = None  # unique per cached content; None while the content is private or incomplete
    key: tuple[_Identity, tuple[int, ...]] | None = None  # (identity of the block before, token ids)


class BlockPool:
    """Hands out blocks by number. Not thread-safe: it belongs to the engine's thread.

    A free block that still holds cached content stays findable until it is the least recently freed and needed.
    """

    def __init__(self, num_blocks: int, block_size: int, prefix_caching: bool = True) -> None:
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.prefix_caching = prefix_caching
        self._blocks = [_Block() for _ in range(num_blocks)]
        self._free: OrderedDict[int, None] = OrderedDict((number, None) for number in range(num_blocks))
        self._cached: dict[tuple[_Identity, tuple[int, ...]], int] = {}
        self._last_identity = 0

    @property
    def num_free(self) -> int:
        return len(self._free)

    @property
    def num_cached(self) -> int:
        return len(self._cached)

    def references(self, number: int) -> int:
        return self._blocks[number].references

    def blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.block_size)

    def match(self, token_ids: Sequence[int], adapter: int = 0, salt: str | None = None) -> list[int]:
        """Take a reference on the cached blocks that ``token_ids`` begins with, computed with the same adapter and salt.

        Never the whole of it: the last token must be computed, since its logits choose the next one.
        """
        table: list[int] = []
        if not self.prefix_caching:
            return table
        before = _root(adapter, salt)
        for start in range(0, len(token_ids) - self.block_size, self.block_size):
            number = self._cached.get((before, tuple(token_ids[start : start + self.block_size])))
            if number is None:
                break
            table.append(number)
            identity = self._blocks[number].identity
            assert identity is not None  # it is cached
            before = identity
        for number in table:
            self._retain(number)
        return table

    def grow(self, table: list[int], num_tokens: int) -> bool:
        """Extend ``table`` until it holds ``num_tokens``. False, and nothing changed, if too few blocks are free."""
        needed = self.blocks_for(num_tokens) - len(table)
        if needed > self.num_free:
            return False
        for _ in range(needed):
            number, _ = self._free.popitem(last=False)
            self._forget(number)
            self._blocks[number].references = 1
            table.append(number)
        return True

    def publish(
        self,
        table: Sequence[int],
        token_ids: Sequence[int],
        num_computed: int,
        num_published: int,
        adapter: int = 0,
        salt: str | None = None,
    ) -> int:
        """Make the full blocks of a sequence findable, from block ``num_published`` on; returns the new count.

        Where another sequence was first with the same content, its block stays the findable one.
        """
        if not self.prefix_caching:
            return num_published
        while (num_published + 1) * self.block_size <= num_computed:
            start = num_published * self.block_size
            before = self._blocks[table[num_published - 1]].identity if num_published else _root(adapter, salt)
            if before is None:
                return num_published  # the chain is broken by a duplicate: the rest stays private
            block = self._blocks[table[num_published]]
            key = (before, tuple(token_ids[start : start + self.block_size]))
            if block.key is None:
                if key in self._cached:
                    return num_published
                self._last_identity += 1
                block.identity, block.key = self._last_identity, key
                self._cached[key] = table[num_published]
            num_published += 1
        return num_published

    def release(self, table: list[int]) -> None:
        """Give back a sequence's references and empty its table; its last blocks are reused first."""
        for number in reversed(table):
            block = self._blocks[number]
            block.references -= 1
            if block.references < 0:
                raise AssertionError(f"block {number} released twice")
            if block.references == 0:
                self._free[number] = None
                if block.key is None:
                    self._free.move_to_end(number, last=False)  # nothing to find in it: take it first
        table.clear()

    def _retain(self, number: int) -> None:
        self._free.pop(number, None)
        self._blocks[number].references += 1

    def _forget(self, number: int) -> None:
        block = self._blocks[number]
        if block.key is not None:
            del self._cached[block.key]
            block.key = block.identity = None
