"""Does a passage support what a model said in its own words? Judged by what the sentence claims, not by shared words.

In this order: every number, date, code and name must stand in a passage; it must be said of what was asked and not of its
neighbour in a list; a negation may be neither added nor dropped. A sentence that stands there word for word, or with most of
its words, is then supported. Anything else may be right or wrong (a paraphrase, a bare "yes"): it is ``unjudged``, and the
reader is told.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zhilu.prompts import language_of
from zhilu.rag.answer.claims import Claims, claims_of, identifiers, is_negated, is_number, missing, stands_in
from zhilu.rag.answer.ground import OVERLAP, Grounded, Located, locate
from zhilu.rag.index.lexical import content_terms, terms
from zhilu.rag.index.split import sentences

__all__ = ["judge"]

_CLAUSE = re.compile(r"[，；;]|,(?=\s)")
_PARALLEL = 0.5  # of two units' words: "the part number of the fan" and "… of the pump" are entries of one list
_SAME = 0.6  # of a sentence's words in a clause: then it says the same or the opposite
_HALVES = re.compile(r"\band\b|和|与|、")
_HAN_PAIR = re.compile("(?=([\u4e00-\u9fff]{2}))")
_LEADING = re.compile(r"^\W*(?:yes|no|是的?|不是?|否|对|可以|不可以|不能|没有|有)\s*[,，.。;；:：]\s*", re.IGNORECASE)


@dataclass(frozen=True)
class _Unit:
    """A sentence, a clause of one, or a row of a table."""

    place: Located
    text: str
    bag: frozenset[str]


def judge(
    sentence: str, question: str, passages: Sequence[str], likely: Located | None = None, said: str = ""
) -> Grounded:
    """The verdict on one sentence of an answer, with the place that it rests on.

    Args:
        likely: where an answer to the question most likely stands, shown beside what cannot be judged.
        said: the headings of the passages: they may hold a name, never a number.
    """
    claims = claims_of(sentence)
    everything = "\n".join([*passages, said])
    if lost := [c for c in missing(claims, everything) if not _may_be_told_otherwise(c, claims, sentence, everything)]:
        asked = not missing(claims, f"{everything}\n{question}")  # it repeats what the question supposed
        support = "unjudged" if asked and not identifiers(" ".join(lost)) else "unsupported"
        return _at(sentence, support, likely)
    units = [unit for p, text in enumerate(passages) for unit in _units(text, p)]
    bare = _LEADING.sub("", sentence)
    own = frozenset(content_terms(bare))
    if not own or not units:
        return _at(sentence, "unjudged", likely)
    asked_terms = frozenset(content_terms(question)) | identifiers(question)
    rest = _resting_on(bare, claims, own, asked_terms, question, units)
    if rest is None:
        return _at(sentence, "unjudged", likely)
    if claims and (other := _meant(rest, asked_terms, units)) is not None:
        return Grounded(sentence, "beside", (), (other.place.passage,), other.place)
    if claims and _is_torn(rest, claims, question):
        return _at(sentence, "unjudged", rest.place)
    words = frozenset(t for t in own if not is_number(t))  # its numbers were found above, in whatever form
    shared = len(words & rest.bag) / max(len(words), 1)
    is_whole = len(words & rest.bag) >= _SAME * max(len(_content(rest)), 1) or not claims
    if words and shared >= _SAME and is_whole and is_negated(bare) != is_negated(rest.text):
        return _at(sentence, "unsupported", rest.place)
    span = locate(bare, passages[rest.place.passage])
    fits = bool(_content(rest) & asked_terms) or (likely is not None and _covers(likely, rest.place))
    if span is not None and fits:
        return Grounded(sentence, "exact", (), (rest.place.passage,), Located(rest.place.passage, *span))
    new = words - asked_terms
    says = len(new & rest.bag) >= OVERLAP * len(new) and len(words & (rest.bag | asked_terms)) >= OVERLAP * len(words)
    if fits and says and (new or claims) and not _unheard(bare, f"{everything}\n{question}"):
        return Grounded(sentence, "overlap", (), (rest.place.passage,), rest.place)
    return _at(sentence, "unjudged", rest.place if claims or shared >= 0.3 else likely or rest.place)


def _at(sentence: str, support: str, place: Located | None) -> Grounded:
    return Grounded(sentence, support, (), () if place is None else (place.passage,), place)  # type: ignore[arg-type]


def _may_be_told_otherwise(lost: str, claims: Claims, sentence: str, everything: str) -> bool:
    """A name may be written in the other language's letters; a number or a code may not."""
    return lost in claims.names and language_of(everything) != language_of(sentence)


def _units(passage: str, p: int) -> Iterator[_Unit]:
    for start, end in sentences(passage):
        cuts = [start, *(m.end() for m in _CLAUSE.finditer(passage, start, end)), end]
        spans = list(itertools.pairwise(cuts)) if len(cuts) > 2 else []
        for a, b in [*spans, (start, end)]:
            text = passage[a:b]
            if text.strip():
                yield _Unit(Located(p, a, b), text, frozenset(terms(text)))


def _content(unit: _Unit) -> frozenset[str]:
    return frozenset(content_terms(unit.text))


def _resting_on(
    sentence: str, claims: Claims, own: frozenset[str], asked: frozenset[str], question: str, units: Sequence[_Unit]
) -> _Unit | None:
    """The least unit that holds all claims of the sentence, or all that the question had not, and most of its words."""
    holding = [u for u in units if not missing(claims, u.text)] if claims else list(units)
    if not holding:
        added = missing(claims, question)
        holding = [u for u in units if added and not set(added) & set(missing(claims, u.text))]
    if claims:
        holding = [u for u in holding if not any(u is not v and _covers(u.place, v.place) for v in holding)]
    if not holding:
        return None

    def value(unit: _Unit) -> tuple[bool, float, int]:
        mine, theirs = len(own & unit.bag) / len(own), len(asked & unit.bag) / max(len(asked), 1)
        return locate(sentence, unit.text) is not None, mine + 0.5 * theirs, -len(unit.text)

    return max(holding, key=value)


def _meant(rest: _Unit, asked: frozenset[str], units: Sequence[_Unit]) -> _Unit | None:
    """The entry of the same list that the question asks for, if the sentence rests on another one.

    Entries of a list are alike but for what they speak of; the one asked for holds all of the question's words that the
    other holds, and more.
    """
    mine, kinds, best = _spoken(rest, asked), claims_of(rest.text), None
    for other in units:
        if _covers(other.place, rest.place) or _covers(rest.place, other.place):
            continue
        theirs, theirs_kinds = _spoken(other, asked), claims_of(other.text)
        alike = len(rest.bag & other.bag) / max(len(rest.bag), len(other.bag), 1) >= _PARALLEL
        is_row = rest.text.count("|") > 2 and rest.text.count("|") == other.text.count("|")
        same_kind = bool(kinds.numbers) <= bool(theirs_kinds.numbers) and bool(kinds.codes) <= bool(theirs_kinds.codes)
        is_better = theirs > mine and (best is None or len(theirs) > len(_spoken(best, asked)))
        if is_better and same_kind and (is_row or alike):
            best = other
    return best


def _is_torn(rest: _Unit, claims: Claims, question: str) -> bool:
    """True if one half of a sentence holds the claims and only the other one speaks of what was asked.

    "Given by A on Tuesdays and by B on Thursdays" names A and Thursday, and does not say the one of the other. Of a follow-up
    its own words count, not those of the question that it goes on from.
    """
    last = [part for part in re.split(r"[?？]", question) if content_terms(part)][-1:]
    asked = frozenset(content_terms("".join(last)))
    halves = [_Unit(rest.place, half, frozenset(terms(half))) for half in _HALVES.split(rest.text)]
    holding = [h for h in halves if not missing(claims, h.text)]
    if len(halves) < 2 or len(holding) != 1:
        return False
    mine = _spoken(holding[0], asked)
    return any(_spoken(h, asked) > mine and claims_of(h.text) for h in halves if h is not holding[0])


def _unheard(sentence: str, heard: str) -> bool:
    """True if two Chinese characters in a row stand nowhere: a name, perhaps, that nobody said."""
    return any(not set(pair) & set(heard) for pair in _HAN_PAIR.findall(sentence))


def _spoken(unit: _Unit, asked: frozenset[str]) -> frozenset[str]:
    """Words of the question that a unit holds; a code only as a whole."""
    return frozenset(t for t in asked if t in unit.bag or (not t.isalnum() and stands_in(t, unit.text)))


def _covers(outer: Located, inner: Located) -> bool:
    return outer.passage == inner.passage and outer.start <= inner.start and inner.end <= outer.end
