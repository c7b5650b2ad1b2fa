"""What a runner promises to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.adapters import Adapter

__all__ = ["Runner", "StepChunk"]


@dataclass(frozen=True)
class StepChunk:
    """Neighbouring tokens of one sequence whose keys and values this step computes.

    Attributes:
        token_ids: the tokens.
        position: of the first of them in its sequence; everything before is in the cache already.
        table: block numbers of the sequence, enough to hold ``position + len(token_ids)`` tokens.
        num_logits: so many of the last tokens' logits are asked for: none inside a prompt, one where the next token is
            to be chosen, more where guessed tokens are checked.
        adapter: number of the adapter whose deltas apply to these tokens; 0 for the model alone.
    """

    token_ids: Sequence[int]
    position: int
    table: Sequence[int]
    num_logits: int
    adapter: int = 0


class Runner(ABC):
    """Owns the weights and the key-value memory; knows nothing of requests, time or text.

    ``run`` is called by one thread only. It must not change blocks that are not at or behind a chunk's ``position``:
    they may be shared between sequences.
    """

    num_blocks: int
    block_size: int  # tokens
    vocab_size: int

    @abstractmethod
    def run(self, chunks: Sequence[StepChunk]) -> npt.NDArray[np.float32]:
        """Compute one step. Returns ``(sum of num_logits, vocab_size)``: the rows in the order of chunks and tokens.

        They lie in the runner's memory: they are to be read only, and before the next ``run``.
        """

    def prepare_adapter(self, adapter: Adapter) -> None:  # noqa: B027 (nothing to prepare is a fine answer)
        """Do what is slow about ``add_adapter``. May be called in another thread, and need not be called at all."""

    @abstractmethod
    def add_adapter(self, number: int, adapter: Adapter) -> None:
        """Chunks may name ``number`` from now on. The numbers are never used twice."""

    @abstractmethod
    def remove_adapter(self, number: int) -> None:
        """Forget an adapter; no later chunk names it."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Name, dtype, device and sizes, and under ``why`` the reasons of what was chosen; for ``/state`` and the log."""
