"""Words of code for BM25: names whole and in their parts (camelCase, snake_case), prose as elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from zhilu.text.terms import query_terms, stem
from zhilu.text.terms import segment as segment_prose

__all__ = ["code_query", "code_words", "names_in", "parts_of"]

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_MOST_TERMS = 48


def names_in(text: str) -> list[str]:
    """What could be names of code, in order."""
    return _NAME.findall(text)


def parts_of(name: str) -> list[str]:
    """``parseHTTPUrl``, ``parse_http_url`` → parse, http, url."""
    return [part.lower() for part in _PART.findall(name)]


def code_words(text: str) -> str:
    """A piece of code as it is written to the full-text index: each name whole, then its parts by their stems."""
    return " ".join(_cut(text))


def _cut(text: str) -> Iterator[str]:
    at = 0
    for found in _NAME.finditer(text):
        yield segment_prose(text[at : found.start()])
        at = found.end()
        yield from _words(found.group())
    yield segment_prose(text[at:])


def _words(name: str) -> Iterator[str]:
    parts = parts_of(name)
    if len(parts) > 1:
        yield "".join(parts)
    yield from (stem(part) for part in parts)


def code_query(question: str, more: str = "") -> str:
    """An FTS5 expression of any of the words of a question; empty where it has none."""
    words: list[str] = []
    for term in (*query_terms(question), *query_terms(more)):
        words.extend(_words(term) if term.isascii() else [term])
    for name in names_in(f"{question} {more}"):
        if len(parts_of(name)) > 1:
            words.extend(_words(name))
    return " OR ".join(f'"{word}"' for word in list(dict.fromkeys(words))[:_MOST_TERMS] if word)
