"""How near texts are to a question in meaning, each embedded once for one question; and when that is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.retrieve.fusion import Worth, worth_of

__all__ = ["CAUTION", "Caution", "Meaning"]

Caution = Literal["careful", "balanced", "bold"]
# Of the nearness at which a sentence speaks of a question (``Worth.near_sentence``). With multilingual-e5-small on XQuAD's
# questions (answerable ones refused / others refused): careful 10 / 90 %, balanced 3 / 77 %, bold 1 / 66 %.
CAUTION: dict[Caution, float] = {"careful": 1.13, "balanced": 0.95, "bold": 0.86}


class Meaning:
    """See the module. ``worth`` says what the cosines mean."""

    def __init__(self, embedder: TextEmbedder, lang: str) -> None:
        self.worth: Worth = worth_of(embedder, lang)
        self._embedder = embedder
        self._questions: dict[str, np.ndarray] = {}
        self._texts: dict[str, np.ndarray] = {}

    def near(self, question: str, texts: Sequence[str]) -> list[float]:
        """The cosine of each text with the question."""
        if not texts:
            return []
        if question not in self._questions:
            self._questions[question] = self._embedder.embed([question], kind="query")[0]
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if new:
            self._texts.update(zip(new, self._embedder.embed(new, kind="passage"), strict=True))
        return [float(self._texts[text] @ self._questions[question]) for text in texts]
