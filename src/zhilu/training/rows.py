"""Rows of token ids with a weight per label, and how they are packed into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["GUIDES", "Batch", "Row", "pack"]

GUIDES = 320  # places a batch can guide, of each kind


@dataclass(frozen=True)
class Row:
    """``ids`` (length), and for every id the weight of predicting it (0: not learned; the first id's is always 0)."""

    ids: list[int]
    weights: list[float]
    kind: str
    # (from, to) places: the reply's start to where its span stands; the span's place to its passage's number; the reply's
    # bracket to where its span ends (the passage's number has been noted there)
    spans: tuple[tuple[int, int], ...] = ()
    markers: tuple[tuple[int, int], ...] = ()
    citations: tuple[tuple[int, int], ...] = ()
    follows: tuple[tuple[int, int], ...] = ()  # inside the reply: every token of the span to where the next one stands


@dataclass(frozen=True)
class Batch:
    """Rows packed into sequences of one length: ``ids (batch, length)`` int64, label weights and segment numbers alike.

    ``guides (4, GUIDES, 3)``: places (sequence, from, to) of spans, citations, markers and follows; zeros fill the rest up.
    """

    ids: np.ndarray
    weights: np.ndarray
    segments: np.ndarray
    guides: np.ndarray


def pack(sequences: Sequence[Sequence[Row]], length: int) -> Batch:
    """Rows side by side in sequences of ``length``; each keeps its number, so that none attends to another."""
    ids = np.zeros((len(sequences), length), dtype=np.int64)
    weights = np.zeros((len(sequences), length), dtype=np.float32)
    segment = np.zeros((len(sequences), length), dtype=np.int64)
    found: tuple[list[tuple[int, int, int]], ...] = ([], [], [], [])
    for place, rows in enumerate(sequences):
        at = 0
        for number, row in enumerate(rows, start=1):
            end = at + len(row.ids)
            ids[place, at:end], weights[place, at:end], segment[place, at:end] = row.ids, row.weights, number
            for kept, pairs in zip(found, (row.spans, row.citations, row.markers, row.follows), strict=True):
                kept += [(place, at + start, at + to) for start, to in pairs]
            at = end
    guides = np.zeros((len(found), GUIDES, 3), dtype=np.int64)
    for kind, places in enumerate(found):
        if kept := places[:GUIDES]:
            guides[kind, : len(kept)] = kept
    return Batch(ids, weights, segment, guides)
