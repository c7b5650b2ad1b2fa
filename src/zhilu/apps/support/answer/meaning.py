"""Vectors over the wire: the embedder that understands where the server has it, else the server's default, else none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zhilu.client import ModelClient
from zhilu.errors import ZhiluError

__all__ = ["Meanings", "Vectors"]

Kind = Literal["query", "passage"]
_WANTED = ("e5-small", "default")
_KEPT = 20_000


@dataclass(frozen=True)
class Vectors:
    """``embedder``: whose they are, since a cosine means something else in each."""

    embedder: str
    rows: NDArray[np.float32]  # (n, dim), unit length


class Meanings:
    """Remembers what it was told: canned answers are asked about again at every question. One for a process."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str], NDArray[np.float32]] = OrderedDict()

    async def of(self, client: ModelClient, texts: Sequence[str], kind: Kind) -> Vectors | None:
        """None where the server has no embedder; words alone decide then."""
        for name in _WANTED:
            with suppress(ZhiluError):
                return Vectors(name, await self._of(client, name, texts, kind))
        return None

    async def _of(self, client: ModelClient, name: str, texts: Sequence[str], kind: Kind) -> NDArray[np.float32]:
        missing = list(dict.fromkeys(t for t in texts if (name, kind, t) not in self._known))
        for start in range(0, len(missing), 256):
            part = missing[start : start + 256]
            for text, row in zip(part, await client.embeddings(part, model=name, input_type=kind), strict=True):
                vector = np.asarray(row, dtype=np.float32)
                self._known[(name, kind, text)] = vector / max(float(np.linalg.norm(vector)), 1e-9)
        found = np.stack([self._known[(name, kind, t)] for t in texts])
        for text in texts:
            self._known.move_to_end((name, kind, text))
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found
