"""The model: a table of vectors with two weights per row, and how units find their rows. Nothing else is learned.

Shapes: R rows (vocabulary, then buckets), D values per vector, B texts in a batch, N units of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from zhilu.models.embedders.units import bucket_rows, is_chinese_unit, is_mark
from zhilu.training.embed.data import Corpus

__all__ = ["Bags", "StaticModel", "Vocabulary", "word_overlap"]

_QA_COUNTS = 4  # a passage of the QA sets counts this many times more: questions are put to such texts


class Vocabulary:
    """Which units have a vector of their own, and how rare each unit is."""

    def __init__(self, corpus: Corpus, size: int, num_buckets: int) -> None:
        names = corpus.units()
        lengths = np.diff(corpus.sentence_at)
        sentence_paragraph = np.repeat(np.arange(len(corpus.paragraph_at) - 1), np.diff(corpus.paragraph_at))
        paragraph = np.repeat(sentence_paragraph, lengths)
        pairs = np.unique(paragraph.astype(np.int64) * len(names) + corpus.words)
        holds, unit = pairs // len(names), pairs % len(names)
        in_qa = np.zeros(len(corpus.paragraph_at) - 1, bool)
        in_qa[corpus.about] = True
        frequency = np.bincount(unit, minlength=len(names))
        wanted = frequency + _QA_COUNTS * np.bincount(unit[in_qa[holds]], minlength=len(names))
        chinese = np.array([is_chinese_unit(name) for name in names])
        # half of the rows a language: by counts alone Chinese pairs would take three quarters
        order = np.argsort(-wanted, kind="stable")
        chosen = np.concatenate([order[~chinese[order]][: size // 2], order[chinese[order]][: size // 2]])
        self.num_buckets = num_buckets
        self.own = [names[i] for i in chosen]
        paragraphs_of = np.diff(corpus.document_at)
        total = np.where(chinese, paragraphs_of[corpus.chinese].sum(), paragraphs_of[~corpus.chinese].sum())
        # BM25's inverse document frequency, in the unit's own language
        self.rarity = np.log1p(np.maximum(total - frequency + 0.5, 0.5) / (frequency + 0.5)).astype(np.float32)
        self.is_word = np.array([not is_mark(name) for name in names])
        # rows: (num_units, 2); the second is -1 for units with a row of their own
        self.rows = np.full((len(names), 2), -1, np.int64)
        self.rows[chosen, 0] = np.arange(len(chosen))
        for number in np.flatnonzero(self.rows[:, 0] < 0):
            self.rows[number] = [len(chosen) + bucket for bucket in bucket_rows(names[number], num_buckets)]
        self.start = np.full(len(chosen) + num_buckets, float(self.rarity.max()), np.float32)
        self.start[: len(chosen)] = self.rarity[chosen]


@dataclass(frozen=True)
class Bags:
    """Texts as rows of the table: ``rows`` and ``counts`` (N,), and where each text begins in them (B,)."""

    rows: torch.Tensor
    counts: torch.Tensor
    starts: torch.Tensor

    @classmethod
    def of(cls, texts: Sequence[np.ndarray], vocabulary: Vocabulary) -> Bags:
        """From unit numbers; a unit that occurs n times counts sqrt(n) (as in ``embedders.static``)."""
        num_units = len(vocabulary.rows)
        text = np.repeat(np.arange(len(texts)), [len(t) for t in texts])
        pairs, counts = np.unique(text * num_units + np.concatenate(texts), return_counts=True)
        rows = vocabulary.rows[pairs % num_units]  # (n, 2)
        there = rows >= 0
        text = np.repeat(pairs // num_units, there.sum(axis=1))
        starts = np.searchsorted(text, np.arange(len(texts)))
        return cls(
            torch.from_numpy(rows[there]),
            torch.from_numpy(np.repeat(np.sqrt(counts), there.sum(axis=1)).astype(np.float32)),
            torch.from_numpy(starts),
        )


class StaticModel(nn.Module):
    """Vectors drawn at random, weights from rarity: before training this is a random projection of TF-IDF, which finds
    passages by their words. Training turns the vectors of what occurs together towards each other."""

    def __init__(self, start: np.ndarray, dim: int, generator: torch.Generator) -> None:
        """``start``: the rows' first weights (R,)."""
        super().__init__()
        self.table = nn.Parameter(torch.randn(len(start), dim, generator=generator) / math.sqrt(dim))
        logs = torch.from_numpy(np.log(np.maximum(start, 0.05)))
        self.query, self.passage = nn.Parameter(logs.clone()), nn.Parameter(logs.clone())
        self.sharpness = nn.Parameter(torch.tensor(3.0))  # log of what similarities are multiplied by
        self.beside_words = nn.Parameter(torch.tensor([3.0, 8.0]))  # the same beside word overlap, and its weight

    def forward(self, bags: Bags, logs: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        """Vectors of length 1 (B, D); ``logs`` is ``query`` or ``passage``. ``dropout``: share of the units left out."""
        weights = bags.counts * torch.exp(logs[bags.rows])
        if dropout:
            weights = weights * (torch.rand(len(weights)) >= dropout)
        return F.normalize(F.embedding_bag(bags.rows, self.table, bags.starts, mode="sum", per_sample_weights=weights))


def word_overlap(
    questions: Sequence[np.ndarray], passages: Sequence[np.ndarray], vocabulary: Vocabulary, least_rarity: float = 1.5
) -> torch.Tensor:
    """BM25 (k1 1.2, b 0.75) of every question with every passage of a batch (B, B), a question's best scaled to 1.

    Words rarer than ``least_rarity`` only: common ones are dropped from queries, in the product too.
    """
    asked = [np.unique(question) for question in questions]
    flat, row = np.concatenate(asked), np.repeat(np.arange(len(asked)), [len(a) for a in asked])
    counts = vocabulary.is_word[flat] & (vocabulary.rarity[flat] > least_rarity)
    flat, row = flat[counts], row[counts]
    used, column = np.unique(flat, return_inverse=True)
    wanted = np.zeros((len(asked), len(used)), np.float32)
    wanted[row, column] = vocabulary.rarity[flat]
    column_of = np.full(len(vocabulary.rows), -1, np.int64)
    column_of[used] = np.arange(len(used))
    lengths = np.array([len(passage) for passage in passages])
    row, column = np.repeat(np.arange(len(passages)), lengths), column_of[np.concatenate(passages)]
    known = column >= 0
    cells = row[known] * len(used) + column[known]
    held = np.bincount(cells, minlength=len(passages) * len(used)).reshape(len(passages), len(used)).astype(np.float32)
    norm = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    scores = wanted @ (held * 2.2 / (held + norm[:, None].astype(np.float32))).T
    return torch.from_numpy(scores / np.maximum(scores.max(axis=1, keepdims=True), 1e-6))
