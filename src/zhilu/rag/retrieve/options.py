"""What may be varied of a search; the defaults are what people's questions are answered with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Searching"]


@dataclass(frozen=True)
class Searching:
    """
    Attributes:
        meaning: share of the vectors beside the words, 0 to 1; None: as measured for the embedder and the language.
        rerank: the passages that a model reads are put in order by their nearest sentence.
        draft: the search also has the words of an answer that the model makes up (HyDE; Gao et al. 2022, arXiv:2212.10496).
    """

    meaning: float | None = None
    rerank: bool = True
    draft: bool = False
