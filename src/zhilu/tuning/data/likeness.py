"""Rows that are the same, or nearly: within a file (learned twice) and between training and evaluation (a leak).

Near copies are found by MinHash over five-character shingles (Broder 1997) in bands (Leskovec et al., Mining of Massive
Datasets, section 3.4), and every candidate is then compared exactly: what is reported has at least ``NEAR`` of its shingles
in common.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

__all__ = ["NEAR", "canonical", "exact_copies", "near_copies"]

NEAR = 0.8  # Jaccard similarity of the shingles
_WIDTH, _BANDS, _ROWS = 5, 16, 4  # a pair at 0.8 is a candidate with probability 1 - (1 - .8^4)^16 = 99.98 %
_MOST = 4000  # characters of a row that are looked at
_SPACE = re.compile(r"\s+")
_PRIME = np.uint64((1 << 31) - 1)


def canonical(text: str) -> str:
    """The text without what does not make it another one: width, case, spaces."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


def exact_copies(texts: Sequence[str], seen: Iterable[str] = ()) -> dict[int, int]:
    """For every text that repeats an earlier one: its index to the earlier index (negative: ``-1 - index`` in ``seen``)."""
    first = {_digest(text): -1 - at for at, text in reversed(list(enumerate(seen)))}
    copies = {}
    for at, text in enumerate(texts):
        earlier = first.setdefault(_digest(text), at)
        if earlier != at:
            copies[at] = earlier
    return copies


def near_copies(texts: Sequence[str], others: Sequence[str] | None = None) -> dict[int, tuple[int, float]]:
    """For every text with a near copy before it (or in ``others``): its index to the copy's index and the similarity."""
    own = [_shingles(text) for text in texts]
    theirs = own if others is None else [_shingles(text) for text in others]
    buckets: dict[tuple[int, bytes], list[int]] = {}
    found: dict[int, tuple[int, float]] = {}
    if others is not None:
        for at, shingles in enumerate(theirs):
            for key in _bands(shingles):
                buckets.setdefault(key, []).append(at)
    for at, shingles in enumerate(own):
        keys = _bands(shingles)
        candidates = {other for key in keys for other in buckets.get(key, ())[:20]}
        best = max(((_likeness(shingles, theirs[other]), -other) for other in candidates), default=(0.0, 0))
        if best[0] >= NEAR:
            found[at] = (-best[1], best[0])
        if others is None:
            for key in keys:
                buckets.setdefault(key, []).append(at)
    return found


def _digest(text: str) -> bytes:
    return blake2b(canonical(text).encode("utf-8", "replace"), digest_size=16).digest()


def _shingles(text: str) -> np.ndarray:
    """Sorted distinct 31-bit hashes of the text's shingles; a text shorter than one shingle has itself."""
    plain = canonical(text)[:_MOST]
    codes = np.array([ord(c) for c in plain] or [0], dtype=np.uint64)
    if len(codes) < _WIDTH:
        codes = np.pad(codes, (0, _WIDTH - len(codes)))
    value = np.zeros(len(codes) - _WIDTH + 1, dtype=np.uint64)
    for place in range(_WIDTH):
        value = (value * np.uint64(1_000_003) + codes[place : len(codes) - _WIDTH + 1 + place]) % _PRIME
    return np.unique(value)


_SEEDS = np.random.default_rng(7).integers(1, int(_PRIME), (2, _BANDS * _ROWS), dtype=np.uint64)


def _bands(shingles: np.ndarray) -> list[tuple[int, bytes]]:
    hashed = (shingles[:, None] * _SEEDS[0] + _SEEDS[1]) % _PRIME
    least = hashed.min(axis=0).reshape(_BANDS, _ROWS)
    return [(band, row.tobytes()) for band, row in enumerate(least)]


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
