"""What a file defines and what it calls."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Call", "Outline", "Symbol"]


@dataclass(frozen=True)
class Symbol:
    """Lines count from 1 and include the last. ``kind``: ``function``, ``method``, ``class``, ``interface``, ``type``.

    ``start`` is where its decorators or the comment right above begin.
    """

    name: str
    qualname: str
    kind: str
    start: int
    end: int
    signature: str
    doc: str = ""


@dataclass(frozen=True)
class Call:
    name: str
    line: int


@dataclass
class Outline:
    """``problem``: why there are no symbols where there could be."""

    symbols: list[Symbol] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    problem: str = ""
