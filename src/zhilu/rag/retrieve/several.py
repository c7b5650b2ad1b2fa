"""Several knowledge bases searched as one, of each only what may be read.

The limit stands before the search and not behind it: each knowledge base is asked for passages of the documents that may be read
and of no others, so that what may not is in no list of candidates, in no count and in no score of coverage. (Of a knowledge base
of which only some folders may be read, BM25 takes how rare a word is from the whole: that moves passages a place, and shows none.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zhilu.rag.index.embedding import TextEmbedder
    from zhilu.rag.kb import KnowledgeBase
    from zhilu.rag.records import Hit

__all__ = ["Part", "Several", "strengths"]

_NOTHING = 0.25  # a knowledge base whose nearest passage is so much further away says nothing beside another's


@dataclass(frozen=True)
class Part:
    """``doc_ids``: the documents that may be read; None: all."""

    kb: KnowledgeBase
    embedder: TextEmbedder | None
    doc_ids: frozenset[str] | None


@dataclass(frozen=True)
class Several:
    parts: tuple[Part, ...]

    @property
    def embedder(self) -> TextEmbedder | None:
        """What sentences are compared with: any part's, for it is asked about texts and not about indexes."""
        return next((p.embedder for p in self.parts if p.embedder is not None), None)


def strengths(found: Sequence[tuple[float, float | None, float]]) -> list[float]:
    """What each part's list is worth beside the others, 0 to 1, from ``(coverage, nearest cosine, share of the vectors)``.

    Scores are relative within a list: the best passage of a knowledge base that does not speak of the matter has 1, too.
    """
    most = max((coverage for coverage, _, _ in found), default=0.0)
    nearest = max((near for _, near, _ in found if near is not None), default=None)
    out = []
    for coverage, near, weight in found:
        words = coverage / most if most else 0.0
        if near is None or nearest is None:
            out.append(words)
            continue
        meant = max(0.0, 1 - (nearest - near) / _NOTHING)
        out.append(weight * meant + (1 - weight) * words)
    return out


def ordered(hits: Sequence[Hit], k: int) -> list[Hit]:
    """The best ``k``; of a text that stands in several knowledge bases, the one that ranks best."""
    ranked = sorted(hits, key=lambda h: (-h.score, h.kb_id, h.chunk_id))
    return list({h.text: h for h in reversed(ranked)}.values())[::-1][:k]
