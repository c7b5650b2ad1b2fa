"""Where a text is cut: at the ends of sentences, in pieces of a number of tokens by our own measure."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from zhilu.text.sentences import sentences, token_ends

__all__ = ["Piece", "cut", "own_tokens"]


class Piece(NamedTuple):
    """``text[start:end]``."""

    start: int
    end: int


def own_tokens(text: str) -> int:
    return len(token_ends(text))


def cut(text: str, size: int, overlap: int = 0) -> list[Piece]:
    """Pieces of at most ``size`` tokens that together hold all of the text's sentences, in order.

    Args:
        overlap: tokens, at most, that a piece repeats from the one before it. A sentence longer than ``size`` is cut itself.
    """
    ends = token_ends(text)
    spans = [part for span in sentences(text) for part in _short(span, ends, size)]
    pieces: list[Piece] = []
    first = 0
    while first < len(spans):
        last = first
        while last + 1 < len(spans) and _count(ends, spans[first][0], spans[last + 1][1]) <= size:
            last += 1
        pieces.append(Piece(spans[first][0], spans[last][1]))
        if last + 1 == len(spans):
            break
        following = last + 1
        while following - 1 > first and _count(ends, spans[following - 1][0], spans[last][1]) <= overlap:
            following -= 1
        first = following
    return pieces


def _count(ends: list[int], start: int, end: int) -> int:
    return bisect_right(ends, end) - bisect_right(ends, start)


def _short(span: tuple[int, int], ends: list[int], size: int) -> list[tuple[int, int]]:
    start, end = span
    parts = []
    while _count(ends, start, end) > size:
        at = ends[bisect_right(ends, start) + size - 1]
        parts.append((start, at))
        start = at
    return [*parts, (start, end)] if start < end else parts
