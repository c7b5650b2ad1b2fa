"""Searching an index: by the name of a symbol, by words (BM25), by who calls it."""

from __future__ import annotations

import re

from pydantic import BaseModel

from zhilu.apps.coder.index.store import COLUMNS, CodeSymbol, CodeUnit, IndexStore, symbol_of
from zhilu.apps.coder.index.terms import code_query, parts_of

__all__ = ["CodeCaller", "CodeHit", "callers", "exactly", "find_symbols", "named_in", "search", "symbol_at"]

_BACKTICKED = re.compile(r"`([^`\n]{1,200})`")
_DOTTED = re.compile(r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*", re.ASCII)


class CodeHit(CodeUnit):
    """A piece that was found; ``score`` compares hits of one search only, the higher the better."""

    score: float = 0.0


class CodeCaller(BaseModel):
    """A line that calls ``name``, and the symbol that the line stands in."""

    name: str
    path: str
    line: int
    inside: str
    text: str


def find_symbols(store: IndexStore, name: str, limit: int = 50) -> list[CodeSymbol]:
    """Symbols by name: the same name first, then the same but for case, then beginnings, then names with the same parts.
    ``Class.method`` finds the method of that class."""
    _, _, last = name.strip().rpartition(".")
    wanted, parts = last.lower(), parts_of(last)
    if not wanted:
        return []
    like = "%" + "%".join(re.sub(r"([\\%_])", r"\\\1", part) for part in (parts or [wanted])[:8]) + "%"
    with store.open() as db:
        rows = db.execute(
            f"SELECT {COLUMNS} FROM symbols WHERE name LIKE ? ESCAPE '\\' ORDER BY length(name), path LIMIT 1000",
            (like,),
        ).fetchall()
    found = [symbol_of(row) for row in rows]
    if "." in name:
        found = [s for s in found if f".{s.qualname}".endswith(f".{name.strip()}")] or found

    def rank(symbol: CodeSymbol) -> tuple[int, int, str, int]:
        same = symbol.name == last, symbol.name.lower() == wanted, symbol.name.lower().startswith(wanted)
        return (same.index(True) if True in same else 3, len(symbol.name), symbol.path, symbol.start)

    return sorted(found, key=rank)[:limit]


def named_in(store: IndexStore, question: str, limit: int = 8) -> list[CodeSymbol]:
    """Symbols that a question names: what stands in backticks, looks like code, or is called; then plain words that are names."""
    sure: list[str] = []
    for quoted in _BACKTICKED.findall(question):
        sure.extend(_DOTTED.findall(quoted))
    maybe: list[str] = []
    for match in _DOTTED.finditer(question):
        name = match.group()
        is_code = (
            "_" in name or "." in name or name[1:].lower() != name[1:] or question[match.end() : match.end() + 1] == "("
        )
        (sure if is_code else maybe).append(name)
    found: dict[tuple[str, int], CodeSymbol] = {}
    for name in dict.fromkeys([*sure, *maybe]):
        if len(name) < 2:
            continue
        _, _, last = name.rpartition(".")
        for symbol in exactly(store, last):
            if "." not in name or f".{symbol.qualname}".endswith(f".{name}") or name not in sure:
                found.setdefault((symbol.path, symbol.start), symbol)
    return list(found.values())[:limit]


def exactly(store: IndexStore, name: str) -> list[CodeSymbol]:
    """Symbols of exactly this name."""
    with store.open() as db:
        rows = db.execute(
            f"SELECT {COLUMNS} FROM symbols WHERE name = ? ORDER BY path, start LIMIT 20", (name,)
        ).fetchall()
    return [symbol_of(row) for row in rows]


def search(store: IndexStore, question: str, more: str = "", limit: int = 20) -> list[CodeHit]:
    """Pieces that share words with the question; a name counts eight times, the path twice."""
    query = code_query(question, more)
    if not query:
        return []
    with store.open() as db:
        rows = db.execute(
            "SELECT u.path, u.symbol, u.start, u.end, -bm25(words, 8.0, 2.0, 1.0) AS score FROM words JOIN units u ON u.id = words.rowid"
            " WHERE words MATCH ? ORDER BY score DESC, u.path, u.start LIMIT ?",
            (query, limit),
        ).fetchall()
    return [CodeHit(path=p, symbol=s, start=a, end=z, score=score) for p, s, a, z, score in rows]


def callers(store: IndexStore, name: str, limit: int = 100) -> list[CodeCaller]:
    """Where something of this name is called. By name alone: two functions of one name are not told apart."""
    _, _, last = name.rpartition(".")
    with store.open() as db:
        rows = db.execute(
            "SELECT path, line FROM calls WHERE name = ? GROUP BY path, line ORDER BY path, line LIMIT ?", (last, limit)
        ).fetchall()
    found, texts = [], {}
    for path, line in rows:
        if path not in texts:
            texts[path] = (store.text(path) or "").split("\n")
        inside = symbol_at(store, path, line)
        text = texts[path][line - 1].strip()[:300] if line <= len(texts[path]) else ""
        found.append(CodeCaller(name=last, path=path, line=line, inside=inside.qualname if inside else "", text=text))
    return found


def symbol_at(store: IndexStore, path: str, line: int) -> CodeSymbol | None:
    """The innermost symbol that a line stands in."""
    with store.open() as db:
        row = db.execute(
            f"SELECT {COLUMNS} FROM symbols WHERE path = ? AND start <= ? AND end >= ? ORDER BY start DESC, end LIMIT 1",
            (path, line, line),
        ).fetchone()
    return symbol_of(row) if row else None
