"""Documents to chunks: exact character offsets, sentence-aware in Chinese and English, measured in tokens once.

The text is tokenised once. A running count per character boundary then answers "how many tokens lie between a and b" with one
subtraction; re-tokenising every candidate is 30-200 times slower. A chunk never crosses a heading that opens a new section with
text of its own, and is never cut inside fenced code or a table that fits into one chunk.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from zhilu.rag.load.base import Heading, Page
from zhilu.text.sentences import TABLE_ROW, sentences, strip_span, token_ends

__all__ = ["Chunk", "TokenOffsets", "heading_path", "split"]

# Token ends as sorted character offsets: ``[e1, e2, …]``; a real tokenizer's offsets fit as well.
TokenOffsets = Callable[[str], Sequence[int]]

CHUNK_TOKENS = 220
OVERLAP_TOKENS = 30

_CLAUSE = re.compile(r"[，、,:：;]\s*|\s+")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_TITLE = 200  # characters of a heading that go into a path: each chunk below it carries them


@dataclass(frozen=True)
class Chunk:
    """``document.text[start:end]``; ``heading`` is the path of headings over it, ``page`` where it begins (or None)."""

    start: int
    end: int
    heading: str
    page: int | None
    num_tokens: int


@dataclass(frozen=True)
class _Unit:
    """A piece that is not cut further unless it is too long by itself; ``whole``: code or table, carries no overlap."""

    start: int
    end: int
    whole: bool = False


def heading_path(outline: Sequence[Heading], offset: int) -> str:
    """``"Guide › Install › Linux"``: the headings that are open at ``offset``."""
    return _Paths(outline).at(offset)


class _Paths:
    """The heading path at any offset, each found once: a law book has thousands of headings and of chunks."""

    def __init__(self, outline: Sequence[Heading]) -> None:
        self.starts = [h.start for h in outline]
        self._paths: list[str] = []
        open_now: list[Heading] = []
        for heading in outline:
            open_now = [h for h in open_now if h.level < heading.level] + [heading]
            self._paths.append(" › ".join(h.title[:_TITLE] for h in open_now))

    def at(self, offset: int) -> str:
        index = bisect_right(self.starts, offset) - 1
        return self._paths[index] if index >= 0 else ""

    def of(self, text: str, start: int, end: int) -> str:
        """The path at a chunk's first running text: one that opens with headings belongs to the last of them."""
        inside = self.starts[bisect_left(self.starts, start) : bisect_left(self.starts, end)]
        at = start
        for heading in inside:
            if not _only_headings(text, at, heading, frozenset(inside)):
                break
            at = heading
        return self.at(at)


def split(
    text: str,
    outline: Sequence[Heading] = (),
    pages: Sequence[Page] = (),
    *,
    size: int = CHUNK_TOKENS,
    overlap: int = OVERLAP_TOKENS,
    offsets: TokenOffsets = token_ends,
) -> list[Chunk]:
    """Cut ``text`` into chunks of at most ``size`` tokens that together cover every character that is no space.

    Consecutive chunks of one section share up to ``overlap`` tokens of whole sentences.
    """
    if overlap >= size:
        raise ValueError(f"overlap {overlap} must be below size {size}")
    ends = offsets(text)
    num = _counter(ends)
    paths = _Paths(outline)
    page_starts = [p.start for p in pages]
    chunks = []
    for section in _sections(text, outline):
        units = list(_units(text, *section, num=num, size=size, ends=ends))
        for start, end in _pack(units, num, size, overlap):
            page = bisect_right(page_starts, start) - 1
            chunks.append(
                Chunk(
                    start=start,
                    end=end,
                    heading=paths.of(text, start, end),
                    page=pages[page].page if page >= 0 else None,
                    num_tokens=num(start, end),
                )
            )
    return chunks


def _counter(ends: Sequence[int]) -> Callable[[int, int], int]:
    """Number of tokens that end in ``(start, end]``."""
    return lambda start, end: bisect_right(ends, end) - bisect_right(ends, start)


def _only_headings(text: str, start: int, end: int, starts: Set[int]) -> bool:
    """True if ``text[start:end]`` holds nothing but heading lines, which begin at ``starts``."""
    at = start
    for line in text[start:end].splitlines(keepends=True):
        bare = line.strip()
        if bare and at not in starts and not re.fullmatch(r"[=-]+", bare):
            return False
        at += len(line)
    return True


def _sections(text: str, outline: Sequence[Heading]) -> Iterator[tuple[int, int]]:
    """Spans between headings; a heading with no text of its own stays with the section that follows it."""
    starts = frozenset(h.start for h in outline)
    begin = at = 0  # what lies between them is known to hold headings alone
    for cut in sorted(starts):
        if cut > 0 and not _only_headings(text, at, cut, starts):
            yield begin, cut
            begin = cut
        at = cut
    yield begin, len(text)


def _units(
    text: str, start: int, end: int, *, num: Callable[[int, int], int], size: int, ends: Sequence[int]
) -> Iterator[_Unit]:
    for begin, stop, whole in _blocks(text, start, end):
        if whole and num(begin, stop) <= size:
            yield _Unit(begin, stop, whole=True)
            continue
        pieces = _lines(text, begin, stop) if whole else sentences(text, begin, stop)
        for piece in pieces:
            for a, b in _cut_long(text, *piece, num=num, size=size, ends=ends):
                yield _Unit(a, b, whole)


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Fenced code and tables (``whole``) and the running text between them, in order, without outer white space."""
    at = begin = start
    kind = ""  # "", "table" or the opening fence
    for line in text[start:end].splitlines(keepends=True):
        bare = line.rstrip("\n")
        fence = _FENCE.match(bare)
        stop = at + len(line)
        if kind and kind != "table":
            if fence and fence.group(1).startswith(kind) and not bare.strip(" `~"):
                yield from _block(text, begin, stop, True)
                begin, kind = stop, ""
        elif fence:
            yield from _block(text, begin, at, kind == "table")
            begin, kind = at, fence.group(1)
        elif bool(TABLE_ROW.match(bare)) != (kind == "table"):
            yield from _block(text, begin, at, kind == "table")
            begin, kind = at, "" if kind else "table"
        at = stop
    yield from _block(text, begin, end, bool(kind))


def _block(text: str, start: int, end: int, whole: bool) -> Iterator[tuple[int, int, bool]]:
    if span := strip_span(text, start, end):
        yield (*span, whole)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for line in text[start:end].splitlines(keepends=True):
        if span := strip_span(text, at, at + len(line)):
            yield span
        at += len(line)


def _cut_long(
    text: str, start: int, end: int, *, num: Callable[[int, int], int], size: int, ends: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """A sentence longer than a chunk is cut after a clause mark or space in its last third, else after a token."""
    while num(start, end) > size:
        limit = ends[bisect_right(ends, start) + size - 1]
        marks = [m.end() for m in _CLAUSE.finditer(text, start + (limit - start) * 2 // 3, limit)]
        cut = marks[-1] if marks else limit
        if span := strip_span(text, start, cut):
            yield span
        start = cut
    if span := strip_span(text, start, end):
        yield span


def _pack(units: Sequence[_Unit], num: Callable[[int, int], int], size: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Fill chunks with units in order; after a full one, step back over whole sentences worth ``overlap`` tokens."""
    first = 0
    while first < len(units):
        last = first
        while last + 1 < len(units) and num(units[first].start, units[last + 1].end) <= size:
            last += 1
        yield units[first].start, units[last].end
        following = last + 1
        while (
            following < len(units)
            and following - 1 > first
            and not units[following - 1].whole
            and num(units[following - 1].start, units[last].end) <= overlap
            # the unit that did not fit must fit now, or stepping back would only repeat text
            and num(units[following - 1].start, units[last + 1].end) <= size
        ):
            following -= 1
        first = following
