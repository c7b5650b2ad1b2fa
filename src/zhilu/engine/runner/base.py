"""What a runner promises to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Chunk", "Runner"]


@dataclass(frozen=True)
class Chunk:
    """Neighbouring tokens of one sequence whose keys and values this step computes.

    Attributes:
        token_ids: the tokens.
        position: of the first of them in its sequence; everything before is in the cache already.
        table: block numbers of the sequence, enough to hold ``position + len(token_ids)`` tokens.
        wants_logits: the last of the tokens is the end of the sequence so far, so its logits choose the next one.
    """

    token_ids: Sequence[int]
    position: int
    table: Sequence[int]
    wants_logits: bool


class Runner(ABC):
    """Owns the weights and the key-value memory; knows nothing of requests, time or text.

    ``run`` is called by one thread only. It must not change blocks that are not at or behind a chunk's ``position``:
    they may be shared between sequences.
    """

    num_blocks: int
    block_size: int  # tokens
    vocab_size: int

    @abstractmethod
    def run(self, chunks: Sequence[Chunk]) -> npt.NDArray[np.float32]:
        """Compute one step. Returns ``(num_wanted, vocab_size)``: a row per chunk that wants logits, in their order."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Name, dtype, device and sizes, and under ``why`` the reasons of what was chosen; for ``/state`` and the log."""
