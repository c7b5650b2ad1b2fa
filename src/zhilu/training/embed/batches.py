"""Pairs of a question and the passage that answers it, in batches of one language; the other passages are the negatives.

A batch consists of runs of neighbours (paragraphs of one article), so that among a thousand negatives some are hard.
Shapes: a text is an int32 array of unit numbers, see ``Corpus``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from zhilu.training.embed.data import Corpus

__all__ = ["Batch", "Batches"]

_RUN = 12  # neighbours taken at once
_SHORTEST = 4  # units of a sentence that can be asked with
_FROM_HEADING, _NEXT_PARAGRAPH = 0.1, 0.1  # shares of the pairs made from plain text


@dataclass(frozen=True)
class Batch:
    """``kind`` "asked" (questions of people) or "cloze" (made from plain text), for the curve; ``passages`` say by
    equal numbers that they are the same."""

    kind: str
    questions: list[np.ndarray]
    passages: list[np.ndarray]
    which: np.ndarray  # (size,) paragraph of each passage


class Batches:
    """``batch(step)`` depends on nothing but the corpus, the seed and the step, so that a resumed run sees the same."""

    def __init__(self, corpus: Corpus, size: int, asked_share: float, keep_share: float, seed: int) -> None:
        """``asked_share``: of batches of people's questions. ``keep_share``: how often a sentence that asks stays in
        its passage, as real questions share words with theirs."""
        self.corpus, self.size, self.asked_share, self.keep_share, self.seed = (
            corpus,
            size,
            asked_share,
            keep_share,
            seed,
        )
        asked = np.unique(corpus.about)
        self._questions = _by(corpus)
        document_of = np.searchsorted(corpus.document_at, asked, side="right") - 1
        self._asked = {zh: asked[corpus.chinese[document_of] == zh] for zh in (False, True)}
        self._documents: dict[bool, np.ndarray] = {}
        for zh in (False, True):
            documents = np.flatnonzero(corpus.chinese == zh)
            about = documents[corpus.document_at[documents] <= (asked.max() if len(asked) else -1)]
            # Passages of the QA sets are encyclopaedic, as questions are; manuals and laws would drown them.
            self._documents[zh] = np.concatenate([documents, *[about] * 3])

    def batch(self, step: int) -> Batch:
        rng = random.Random(self.seed * 1_000_003 + step)
        zh = rng.random() < 0.5
        if rng.random() < self.asked_share and len(self._asked[zh]):
            return self._of_people(rng, self._asked[zh])
        return self._of_text(rng, self._documents[zh])

    def _of_people(self, rng: random.Random, asked: np.ndarray) -> Batch:
        questions: list[np.ndarray] = []
        which: list[int] = []
        while len(which) < self.size:
            start = rng.randrange(len(asked))
            for paragraph in asked[start : start + _RUN]:
                questions.append(self.corpus.question(rng.choice(self._questions[int(paragraph)])))
                which.append(int(paragraph))
        which = which[: self.size]
        return Batch("asked", questions[: self.size], [self.corpus.body(p) for p in which], np.array(which))

    def _of_text(self, rng: random.Random, documents: np.ndarray) -> Batch:
        """A sentence asks for the paragraph it was taken from (inverse cloze, Lee et al. 2019), or for the next one;
        or a heading for what stands under it."""
        questions: list[np.ndarray] = []
        passages: list[np.ndarray] = []
        which: list[int] = []
        while len(which) < self.size:
            document = documents[rng.randrange(len(documents))]
            first, last = (int(x) for x in self.corpus.document_at[document : document + 2])
            start = rng.randrange(first, last)
            for paragraph, following in pairwise(range(start, min(start + _RUN, last) + 1)):
                pair = self._pair(rng, paragraph, following if following < last else None)
                if pair is not None:
                    questions.append(pair[0])
                    passages.append(pair[1])
                    which.append(paragraph)
        return Batch("cloze", questions[: self.size], passages[: self.size], np.array(which[: self.size]))

    def _pair(self, rng: random.Random, paragraph: int, following: int | None) -> tuple[np.ndarray, np.ndarray] | None:
        heading, *sentences = self.corpus.sentences(paragraph)
        draw = rng.random()
        if len(heading) > 1 and (draw < _FROM_HEADING or len(sentences) < 2):
            return heading, self.corpus.body(paragraph)
        if len(sentences) < 2:
            return None
        chosen = rng.randrange(len(sentences))
        asks = sentences[chosen]
        if len(asks) < _SHORTEST:
            return None
        if following is not None and draw < _FROM_HEADING + _NEXT_PARAGRAPH:
            return asks, self.corpus.body(following)
        if len(asks) > 2 * _SHORTEST and rng.random() < 0.5:  # a part of it only: questions are short
            share = rng.uniform(0.3, 0.8)
            asks = np.array([unit for unit in asks if rng.random() < share] or asks[:1], np.int32)
        if rng.random() < self.keep_share:
            return asks, self.corpus.body(paragraph)
        return asks, np.concatenate(sentences[:chosen] + sentences[chosen + 1 :])


def _by(corpus: Corpus) -> dict[int, np.ndarray]:
    """The questions of each paragraph; they stand in the paragraphs' order."""
    found, first, counts = np.unique(corpus.about, return_index=True, return_counts=True)
    return {int(p): np.arange(a, a + n) for p, a, n in zip(found, first, counts, strict=True)}
