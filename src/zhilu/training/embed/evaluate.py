"""How well the embedder finds passages it never saw, compared and combined with BM25; whole passages, no knowledge base.

    python -m zhilu.training.embed.evaluate --data DIR [--weights DIR] [--sets squad,cmrc,…] [--passages 1000 --questions 2000]

For choosing between recipes: it takes a minute, while ``benchmarks/retrieval.py`` uses the product's own pipeline and BM25.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zhilu.models.embedders.base import Embedder
from zhilu.models.embedders.static import StaticEmbedder
from zhilu.models.embedders.units import is_mark, units
from zhilu.models.shipped import EMBED
from zhilu.training.embed.data import SETS, retrieval_set
from zhilu.training.nano.data import data_folder

__all__ = ["bm25", "fused", "nearness", "score", "scores_of"]

_SENTENCE = re.compile(r"(?<=[。！？；])|(?<=[.!?]) ")
_CANDIDATES = 50  # that the product takes from each list
FUSED_WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5)


def bm25(passages: Sequence[str], questions: Sequence[str]) -> np.ndarray:
    """Scores (questions, passages) with k1 1.2 and b 0.75, over stemmed words, Chinese characters and pairs."""
    bags = [Counter(u for u in units(p) if not is_mark(u)) for p in passages]
    lengths = np.array([sum(bag.values()) for bag in bags])
    norm = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, bag in enumerate(bags):
        for unit, count in bag.items():
            postings[unit].append((index, count))
    scores = np.zeros((len(questions), len(passages)), np.float32)
    for row, question in zip(scores, questions, strict=True):
        for unit in set(units(question)):  # marks have no postings
            found = postings.get(unit)
            if found and len(found) < len(passages) / 4:  # the rest are stop words
                where, counts = np.array(found).T
                rarity = math.log1p((len(passages) - len(found) + 0.5) / (len(found) + 0.5))
                row[where] += rarity * counts * 2.2 / (counts + norm[where])
    return scores


def fused(lexical: np.ndarray, dense: np.ndarray, weight: float) -> np.ndarray:
    """Both lists scaled to 0..1 over their best 50 and added, the dense one with ``weight``: what ``rag.fusion`` does."""

    def scaled(scores: np.ndarray) -> np.ndarray:
        best = np.sort(scores, axis=1)[:, ::-1]
        low = best[:, min(_CANDIDATES, scores.shape[1]) - 1, None]
        return np.maximum(scores - low, 0) / np.maximum(best[:, :1] - low, 1e-9)

    return (1 - weight) * scaled(lexical) + weight * scaled(dense)


def score(scores: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    """recall@5 and MRR@10; what scores the same as the right passage counts as before it."""
    own = scores[np.arange(len(gold)), gold][:, None]
    rank = (scores >= own).sum(axis=1)
    return {"recall@5": float((rank <= 5).mean()), "mrr@10": float(np.where(rank <= 10, 1 / rank, 0).mean())}


def scores_of(embedder: Embedder, passages: Sequence[str], questions: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """``score`` of BM25, of the embedder, and of both at several weights."""
    asked, gold = [q for q, _ in questions], np.array([index for _, index in questions])
    lexical = bm25(passages, asked)
    started = time.perf_counter()
    stored = embedder.embed(passages)
    seconds = time.perf_counter() - started
    dense = embedder.embed(asked, kind="query") @ stored.T
    rows: dict[str, Any] = {"bm25": score(lexical, gold), "dense": score(dense, gold)}
    rows |= {f"fused {weight}": score(fused(lexical, dense, weight), gold) for weight in FUSED_WEIGHTS}
    return {**rows, "passages_per_second": round(len(passages) / seconds, 1)}


def nearness(embedder: Embedder, passages: Sequence[str], questions: Sequence[tuple[str, int]]) -> dict[str, float]:
    """What ``rag.fusion.Worth`` wants to know: ``near_passage``, which the best wrong passage exceeds for 5 % of the
    questions, and ``near_sentence``, which a tenth of the sentences beside the nearest in the right passage exceed."""
    asked = embedder.embed([question for question, _ in questions], kind="query")
    gold = np.array([index for _, index in questions])
    similar = asked @ embedder.embed(passages).T
    similar[np.arange(len(gold)), gold] = -1
    sentences = [[s for s in _SENTENCE.split(passage) if s.strip()] for passage in passages]
    stored = [embedder.embed(each) for each in sentences]
    beside = np.concatenate([np.sort(stored[i] @ q)[:-1] for q, i in zip(asked, gold, strict=True)])
    return {
        "near_passage": round(float(np.percentile(similar.max(axis=1), 95)), 3),
        "near_sentence": round(float(np.percentile(beside, 90)), 3),
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m zhilu.training.embed.evaluate", description=__doc__)
    parser.add_argument("--data", help="data folder (default: $ZHILU_DATA)")
    parser.add_argument("--weights", type=Path, default=EMBED)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--passages", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=2000)
    given = parser.parse_args(argv)
    folder, embedder = data_folder(given.data), StaticEmbedder(given.weights)
    for name in given.sets.split(","):
        asked = retrieval_set(folder, name, given.passages, given.questions)
        print(json.dumps({"set": name, **scores_of(embedder, *asked), **nearness(embedder, *asked)}), flush=True)


if __name__ == "__main__":
    main()
