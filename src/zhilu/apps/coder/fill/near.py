"""What of the repository a completion may need: definitions of the names around the cursor, from other files."""

from __future__ import annotations

from collections import Counter

from zhilu.apps.coder.index.find import exactly
from zhilu.apps.coder.index.store import IndexStore
from zhilu.apps.coder.index.terms import names_in

__all__ = ["near"]

_LINES = 30  # before the cursor that are looked at
_MOST_LINES = 16  # of one definition


def near(store: IndexStore, path: str, prefix: str, suffix: str, *, room: int = 1_600) -> list[tuple[str, str]]:
    """Path and text of definitions, those named nearest to the cursor last: what is read last weighs most."""
    names = list(dict.fromkeys(reversed(names_in("\n".join(prefix.split("\n")[-_LINES:])))))
    names += [n for n in dict.fromkeys(names_in("\n".join(suffix.split("\n")[:5]))) if n not in names]
    names += [
        n for n, _ in Counter(names_in("\n".join(prefix.split("\n")[:30]))).most_common() if n not in names
    ]  # its imports
    found: list[tuple[str, str]] = []
    left = room
    for name in names[:60]:
        if len(name) < 3:
            continue
        symbols = [s for s in exactly(store, name) if s.path != path]
        if not symbols or len(symbols) > 3:  # a name that is everywhere says nothing
            continue
        symbol = symbols[0]
        lines = (store.text(symbol.path) or "").split("\n")[
            symbol.start - 1 : min(symbol.end, symbol.start + _MOST_LINES - 1)
        ]
        text = "\n".join(lines)
        if len(text) <= left and all(text != other for _, other in found):
            found.append((symbol.path, text))
            left -= len(text)
    return found[::-1]
