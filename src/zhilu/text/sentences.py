"""Where sentences begin and end in Chinese and English, and a measure of tokens that needs no model."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["TABLE_ROW", "sentences", "strip_span", "token_ends"]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
# White space counts where it is so long that it is no layout any more: else a chunk could hold megabytes of it.
_TOKEN = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]{{1,6}}|[^\w\s]|_|\s{{64}}")
_SENTENCE_END = re.compile(
    r"[。！？；…]+[”’」』）)\"']*"  # Chinese marks end a sentence wherever they stand
    r"|(?<![.!?])[.!?]+[\"')\]”’]*(?=\s|$)"  # Latin ones only before a space; looked at once, where their run begins
    r"|\n+"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|vs|etc|e\.g|i\.e|cf|No|Fig|Eq|al|approx|Inc|Ltd|Co|Corp|U\.S|a\.m|p\.m)"
    r"|\b[A-Z]|(?:^|\n)\s*\d+)\.$"
)
_WRAP_COLUMNS = 60  # a line at least this wide is taken for a full one
_NEW_BLOCK = re.compile(r"[ \t]*(?:[-*+>|#•]|\d{1,3}[.)、]|```|~~~|$)", re.MULTILINE)
TABLE_ROW = re.compile(r"^\s*\|.*\|\s*$")


def token_ends(text: str) -> list[int]:
    """The default measure: a Chinese character, up to six letters of a word, or a mark is one token.

    Against the MiniLM WordPiece vocabulary and the embedded model's it counts slightly high, never far low, so that a
    chunk that fits here fits there; and the same document splits the same way whatever model is installed.
    """
    return [m.end() for m in _TOKEN.finditer(text)]


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """``(start, end)`` of the sentences of ``text[start:end]``, without the white space around them."""
    end = len(text) if end is None else end
    begin = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if match.group() == "\n" and _is_wrapped(text, match.start()):
            continue
        if match.group()[0] == "." and _ABBREVIATION.search(text, max(begin, match.start() - 8), match.start() + 1):
            continue
        span = strip_span(text, begin, match.end())
        if span:
            yield span
        begin = match.end()
    if span := strip_span(text, begin, end):
        yield span


def _is_wrapped(text: str, newline: int) -> bool:
    """True if the line before ``newline`` was broken only because it was full: a hard-wrapped paragraph goes on."""
    line = text[text.rfind("\n", 0, newline) + 1 : newline]
    width = sum(2 if c >= "\u2e80" else 1 for c in line)
    return width >= _WRAP_COLUMNS and not TABLE_ROW.match(line) and not _NEW_BLOCK.match(text, newline + 1)


def strip_span(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without white space at its ends, or None if nothing is left."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    return (start + left, start + right) if left < right else None
