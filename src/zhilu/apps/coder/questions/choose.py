"""Which code a question is about: what it names, what calls that, and what shares words with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel

from zhilu.apps.coder.index.find import callers, named_in, search, symbol_at
from zhilu.apps.coder.index.store import CodeUnit, IndexStore

__all__ = ["CodePassage", "asks_for_callers", "choose"]

_MOST_LINES = 60  # of one passage
_CALLER = re.compile(
    r"\b(?:calls?|callers?|called|uses?|used|usages?|invokes?|invoked)\b|调用|使用|用到|用了|引用", re.IGNORECASE
)


class CodePassage(BaseModel):
    """Code as the model is shown it; ``number`` counts from 1, as citations do."""

    number: int
    path: str
    symbol: str
    start: int
    end: int
    text: str


def asks_for_callers(question: str) -> bool:
    return _CALLER.search(question) is not None


def choose(store: IndexStore, question: str, more: str = "", *, room: int = 6_000, most: int = 6) -> list[CodePassage]:
    """At most ``most`` passages of together ``room`` characters, the surest first; none overlaps another."""
    chosen: list[CodePassage] = []
    texts: dict[str, list[str]] = {}
    for unit in _candidates(store, question, more):
        if len(chosen) == most:
            break
        end = min(unit.end, unit.start + _MOST_LINES - 1)
        if any(p.path == unit.path and p.start <= end and unit.start <= p.end for p in chosen):
            continue
        if unit.path not in texts:
            texts[unit.path] = (store.text(unit.path) or "").split("\n")
        lines = texts[unit.path][unit.start - 1 : end]
        while lines and not lines[-1].strip():
            lines.pop()
        left = room - sum(len(p.text) for p in chosen)
        while lines and len("\n".join(lines)) > left:
            lines.pop()
        if len(lines) < min(3, end - unit.start + 1):
            continue
        chosen.append(
            CodePassage(
                number=len(chosen) + 1, path=unit.path, symbol=unit.symbol, start=unit.start,
                end=unit.start + len(lines) - 1, text="\n".join(lines),
            )
        )  # fmt: skip
    return chosen


def _candidates(store: IndexStore, question: str, more: str) -> Iterator[CodeUnit]:
    named = named_in(store, question, 4)
    for symbol in named:
        yield CodeUnit(path=symbol.path, symbol=symbol.qualname, start=symbol.start, end=symbol.end)
    if named and asks_for_callers(question):
        for symbol in named[:2]:
            for caller in callers(store, symbol.name, 12):
                around = symbol_at(store, caller.path, caller.line)
                if around is None:
                    yield CodeUnit(path=caller.path, symbol="", start=max(1, caller.line - 3), end=caller.line + 3)
                    continue
                start = around.start if caller.line < around.start + _MOST_LINES else caller.line - _MOST_LINES // 2
                yield CodeUnit(path=caller.path, symbol=around.qualname, start=start, end=around.end)
    yield from search(store, question, more)
