"""What of a file is found and shown in one piece: a function, the head of a class, the lines between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zhilu.apps.coder.index.symbols import Symbol

__all__ = ["Unit", "units_of"]

_MOST = 80  # lines of one piece
_BETWEEN = 40  # lines of a piece that belongs to no symbol


@dataclass(frozen=True)
class Unit:
    """``symbol``: the qualified name that it belongs to, or nothing."""

    symbol: str
    start: int
    end: int


def units_of(lines: Sequence[str], symbols: Sequence[Symbol]) -> list[Unit]:
    """Each line of the file that holds something is in one piece, at least."""
    owner: list[str] = [""] * len(lines)
    whole = [s for s in symbols if s.kind in ("function", "method")]
    for symbol in symbols:  # sorted by their beginning: the inner one comes later and wins
        if symbol.kind not in ("function", "method") or not any(
            o is not symbol and o.start <= symbol.start and symbol.end <= o.end for o in whole
        ):
            for number in range(symbol.start - 1, min(symbol.end, len(lines))):
                owner[number] = symbol.qualname
    return [unit for unit in _runs(lines, owner) if any(line.strip() for line in lines[unit.start - 1 : unit.end])]


def _runs(lines: Sequence[str], owner: Sequence[str]) -> Iterator[Unit]:
    start = 0
    while start < len(lines):
        end, most = start, _MOST if owner[start] else _BETWEEN
        while end < len(lines) and owner[end] == owner[start] and end - start < most:
            end += 1
        yield Unit(owner[start], start + 1, end)
        start = end
