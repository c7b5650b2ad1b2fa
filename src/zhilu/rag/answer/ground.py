"""Is what the model said in the passages? Checked sentence by sentence, with the place where it stands.

A citation that a model writes is only a claim. Each sentence of an answer is looked up in the passages: first word for word
(ignoring white space, case, width and punctuation), then by its words. A citation of the wrong passage is moved to the right
one. A sentence that no passage supports is marked, and the caller does not show it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from zhilu.text.sentences import sentences
from zhilu.text.terms import content_terms, terms
from zhilu.trace import Support

__all__ = ["Grounded", "Located", "ground", "locate", "split_answer"]

# A free sentence counts as supported if this share of its content words stands in one passage, and all of its numbers.
OVERLAP = 0.7

# White space before a mark is looked at once, where its run begins; so are the end marks of a sentence below.
_MARK = re.compile(r"(?:(?<!\s)\s+)?[\[【［]\s*(\d{1,3}(?:\s*[,，、]\s*\d{1,3})*)\s*[\]】］]")
_CITED_BEHIND = re.compile(r"(?<![。！？.!?])([。！？.!?]+)((?:\s*[\[【［]\s*\d[\d\s,，、]*[\]】］])+)")
_QUOTED = re.compile(r"[“\"「『]([^“”\"「」『』]{4,})[”\"」』]")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True)
class Located:
    """``passages[passage].text[start:end]``; ``passage`` counts from 0."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True)
class Grounded:
    """A sentence of the answer, its verdict, and the passages (from 0) that it rests on, the best first.

    ``beside``: it stands in a passage, but not where the question is spoken of (see ``evidence``). ``unsure``: it is a
    few words out of a sentence, and the model chose them without confidence. ``sentence`` is the one that a few words
    were taken from: it is shown with them, for a reader sees at once whether they answer.
    """

    text: str
    support: Support
    claimed: tuple[int, ...] = ()
    passages: tuple[int, ...] = ()
    quote: Located | None = None
    sentence: str | None = None

    def shown(self) -> str:
        """The sentence with its citations as they should be."""
        marks = "".join(f" [{p + 1}]" for p in self.passages)
        return self.text.rstrip(" ,，、;；:：") + marks + (f" — “{self.sentence}”" if self.sentence else "")


def split_answer(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """Sentences of an answer, each with the passages (from 0) that it cites; the marks are taken out."""
    found: list[tuple[str, tuple[int, ...]]] = []
    # "Paris. [2]" and "Paris [2]." both cite with the sentence before
    moved = _CITED_BEHIND.sub(r"\2\1", text)
    for start, end in sentences(moved):
        piece = moved[start:end]
        cited = [int(n) - 1 for m in _MARK.finditer(piece) for n in re.findall(r"\d+", m.group(1))]
        words = _MARK.sub("", piece).strip()
        if words.strip(" .。,，;；"):
            found.append((words, tuple(dict.fromkeys(cited))))
        elif cited and found:
            found[-1] = (found[-1][0], tuple(dict.fromkeys((*found[-1][1], *cited))))
    return found


def ground(sentence: str, claimed: Sequence[int], passages: Sequence[str], question: str = "") -> Grounded:
    """Look one sentence up in the passages, the claimed ones first.

    Words that only repeat the question prove nothing: a sentence must bring at least one word of its own that the
    passage holds.
    """
    order = [p for p in claimed if 0 <= p < len(passages)]
    order += [p for p in range(len(passages)) if p not in order]
    claimed = tuple(claimed)
    if not content_terms(sentence):
        return Grounded(sentence, "neutral", claimed)
    for p in order:
        if span := locate(sentence, passages[p]):
            return Grounded(sentence, "exact", claimed, (p,), Located(p, *span))
    for quoted in _QUOTED.findall(sentence):
        for p in order:
            if span := locate(quoted, passages[p]):
                return Grounded(sentence, "exact", claimed, (p,), Located(p, *span))
    best = max(order, key=lambda p: (_overlap(sentence, passages[p], question), -order.index(p)), default=None)
    if best is not None and _overlap(sentence, passages[best], question) >= OVERLAP:
        return Grounded(sentence, "overlap", claimed, (best,), _core(sentence, best, passages[best], question))
    return Grounded(sentence, "unsupported", claimed)


def locate(needle: str, haystack: str) -> tuple[int, int] | None:
    """Where ``needle`` stands in ``haystack`` but for white space, case, width and punctuation; whole words only."""
    short, _ = _normal(needle)
    long, places = _normal(haystack)
    if not short:
        return None
    at = long.find(short)
    while at >= 0:
        start, end = places[at], places[at + len(short) - 1] + 1
        if not (_splits_word(haystack, start) or _splits_word(haystack, end)):
            return start, end
        at = long.find(short, at + 1)
    return None


def _normal(text: str) -> tuple[str, list[int]]:
    """Letters and digits only, folded; for each of them its place in ``text``."""
    out: list[str] = []
    places: list[int] = []
    for index, character in enumerate(text):
        for folded in unicodedata.normalize("NFKC", character).casefold():
            if folded.isalnum():
                out.append(folded)
                places.append(index)
    return "".join(out), places


def _splits_word(text: str, at: int) -> bool:
    """True if ``at`` lies inside a Latin word or a number."""
    return 0 < at < len(text) and all(c.isascii() and c.isalnum() for c in (text[at - 1], text[at]))


def _overlap(sentence: str, passage: str, question: str) -> float:
    """Share of the sentence's content words that the passage holds; 0 where a number, or anything new, is missing.

    Of Chinese only pairs count: single characters stand in every passage. A model that repeats itself says nothing.
    """
    said = [t for t in content_terms(sentence) if len(t) > 1 or t.isascii()]
    own, there = set(said), set(terms(passage))
    if len(said) >= 8 and len(own) < 0.5 * len(said):
        return 0.0
    numbers = {n.replace(",", "") for n in _NUMBER.findall(sentence)}
    if numbers - {n.replace(",", "") for n in _NUMBER.findall(passage)}:
        return 0.0
    new = own - set(terms(question))
    if not own or not new & there:
        return 0.0
    # both must hold: most of the sentence, and most of what it adds to the question
    return min(len(own & there) / len(own), len(new & there) / len(new))


def _core(sentence: str, p: int, passage: str, question: str) -> Located | None:
    """The passage's sentence that shares most with a free sentence: what to highlight."""
    own = set(content_terms(sentence))
    spans = list(sentences(passage))
    if not spans:
        return None
    best = max(spans, key=lambda s: len(own & set(terms(passage[s[0] : s[1]]))))
    return Located(p, *best)
