"""One paper as data, and where a symbol of the product stands at this moment: links that cannot go stale."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from zhilu.messages import T

__all__ = ["Paper", "Place", "place_of"]

_ROOT = Path(__file__).parents[2]
_MOST_LINES = 40


@dataclass(frozen=True)
class Paper:
    """
    Attributes:
        claim: what it says, with the numbers it gives.
        equation: TeX.
        words: the equation for who reads no equations.
        code: ``(file under the package, symbol)``.
        shows: what the figure measured here stands for, and what it cannot show.
        figure: the function of ``figures`` that measures it.
        lesson: the task of the lesson about it.
    """

    name: str
    title: T
    full: str
    arxiv: str
    claim: T
    equation: str
    words: T
    code: tuple[tuple[str, str], ...]
    shows: T
    figure: str
    lesson: str
    needs_torch: bool = True


class Place(BaseModel):
    """Where a symbol is: its file under the package, the lines it takes, and what they say."""

    file: str
    symbol: str
    line: int
    source: str


def place_of(file: str, symbol: str) -> Place:
    """Read now, from the file itself; nothing is imported.

    Raises:
        LookupError: the file has no such function, class or method.
    """
    text = (_ROOT / file).read_text(encoding="utf-8")
    body: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for name in symbol.split("."):
        found = next((node for node in body if _name(node) == name), None)
        if found is None:
            raise LookupError(f"{file} has no {symbol}")
        body = found.body if isinstance(found, ast.ClassDef) else []
    assert found is not None
    lines = text.splitlines()[found.lineno - 1 : found.end_lineno]
    shown = lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], "    …"]
    return Place(file=f"zhilu/{file}", symbol=symbol, line=found.lineno, source="\n".join(shown))


def _name(node: ast.stmt) -> str | None:
    return node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else None
