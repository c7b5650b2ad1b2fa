"""How near texts are to a question in meaning, each embedded once; and when that is near enough."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from zhilu.rag.answer.layout import Statement
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.retrieve.fusion import Worth, worth_of

__all__ = ["CAUTION", "Caution", "Meaning", "under_heading"]

Caution = Literal["careful", "balanced", "bold"]
# Of the nearness at which a sentence speaks of a question (``Worth.near_sentence``). With multilingual-e5-small on XQuAD's
# questions (answerable ones refused / others refused): careful 10 / 90 %, balanced 3 / 77 %, bold 1 / 66 %.
CAUTION: dict[Caution, float] = {"careful": 1.13, "balanced": 0.95, "bold": 0.86}


_KEPT = 20_000  # vectors of sentences, 1.5 kB each: those of the passages that were asked about lately

# by the embedder's identity, which stays its own as long as the embedder stands here
_vectors: OrderedDict[tuple[int, str], tuple[TextEmbedder, np.ndarray]] = OrderedDict()
_lock = threading.Lock()


class Meaning:
    """See the module. ``worth`` says what the cosines mean."""

    def __init__(self, embedder: TextEmbedder, lang: str) -> None:
        self.worth: Worth = worth_of(embedder, lang)
        self._embedder = embedder
        self._questions: dict[str, np.ndarray] = {}

    def near(self, question: str, texts: Sequence[str]) -> list[float]:
        """The cosine of each text with the question."""
        if not texts:
            return []
        if question not in self._questions:
            self._questions[question] = self._embedder.embed([question], kind="query")[0]
        vectors = self._passages(list(dict.fromkeys(texts)))
        return [float(vectors[text] @ self._questions[question]) for text in texts]

    def near_asked(self, asked: Sequence[str], texts: Sequence[str]) -> list[float]:
        """The mean cosine with several ways to ask the same."""
        each = [self.near(question, texts) for question in asked]
        return [sum(values) / len(values) for values in zip(*each, strict=True)]

    def _passages(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Kept from question to question: the sentences of a knowledge base are asked about again and again."""
        embedder = id(self._embedder)
        with _lock:
            found = {text: _vectors[embedder, text][1] for text in texts if (embedder, text) in _vectors}
            for text in found:
                _vectors.move_to_end((embedder, text))
        new = [text for text in texts if text not in found]
        if new:
            found.update(zip(new, self._embedder.embed(new, kind="passage"), strict=True))
            with _lock:
                _vectors.update(((embedder, text), (self._embedder, found[text])) for text in new)
                while len(_vectors) > _KEPT:
                    _vectors.popitem(last=False)
        return found


def under_heading(statement: Statement, title: str) -> str:
    """How a sentence is compared with a question: behind its heading ("Pets: only in a carrier"), for by itself it says little."""
    return f"{title}: {statement.said}"
