"""What turns text into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Embedder", "Kind"]

Kind = Literal["passage", "query"]


class Embedder(Protocol):
    """Turns text into vectors whose inner product is their similarity.

    Attributes:
        name: as registered; a knowledge base remembers it and may only be searched with the same one.
        dim: length of a vector.
        languages: for which it was trained (``("en",)``); for others a caller should not rank by it.
        max_tokens: of a longer text only the beginning counts: split before.
        why: how it computes here and why so, for people (precision, threads).

    ``embed`` may be called from several threads at once; calls wait for each other. The same text gives the same
    vector whatever stands beside it in the call, to within 0.02 (the arithmetic may depend on the batch).
    """

    name: str
    dim: int
    languages: tuple[str, ...]
    max_tokens: int
    why: str

    def embed(self, texts: Sequence[str], kind: Kind = "passage") -> np.ndarray:
        """Vectors of ``texts``: float32 (len(texts), dim), each of length 1, in the order given.

        ``kind`` matters to models that were trained to see questions and passages differently. An empty text is
        allowed and gets some vector.
        """
