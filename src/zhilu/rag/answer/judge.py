"""Does a passage support what a model said in its own words? Judged by what the sentence claims, not by shared words.

In this order: every number, date, code and name must stand in a passage; it must be said of what was asked and not of its
neighbour in a list; a negation may be neither added nor dropped. A sentence that stands there word for word, or with most of
its words, is then supported. Anything else may be right or wrong (a paraphrase, a bare "yes"): it is ``unjudged``, and the
reader is told.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from zhilu.prompts import language_of
from zhilu.rag.answer.claims import (
    Claims,
    claims_of,
    identifiers,
    is_negated,
    is_number,
    is_of_another_form,
    is_of_the_form_asked,
    is_opposite,
    kinds_of,
    lost_units,
    missing,
    stands_in,
    units_of,
    without_units,
)
from zhilu.rag.answer.ground import OVERLAP, Grounded, Located, locate
from zhilu.rag.answer.layout import Statement, statements
from zhilu.rag.answer.meaning import Meaning
from zhilu.text.terms import content_terms, terms

__all__ = ["judge"]

_CLAUSE = re.compile(r"[，；;]|,(?=\s)")
_PARALLEL = 0.5  # of two units' words: "the part number of the fan" and "… of the pump" are entries of one list
_YES_OR_NO = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|can|could|may|must|should|will|has|have|had)\b|[吗么][？?]?\s*$|[是能会可有]不[是能会可有]|有没有|是否|能否",
    re.IGNORECASE,
)
_ACROSS = 0.75  # of Worth.near_sentence: a sentence in the other language has no word to share, and is less near
_SAME = 0.6  # of a sentence's words in a clause: then it says the same or the opposite
_HALVES = re.compile(r"\band\b|和|与|、")
_HAN_PAIR = re.compile("(?=([\u4e00-\u9fff]{2}))")
_LEADING = re.compile(r"^\W*(?:yes|no|是的?|不是?|否|对|可以|不可以|不能|没有|有)\s*[,，.。;；:：]\s*", re.IGNORECASE)


# "No", 不能: nothing but which way it is
_BARE = re.compile(
    r"\W*(?:yes|no|it (?:is|does)(?: not)?|(?:you )?can(?:not)?|不?(?:能|可以|行|是|会|需要?|用|要|必|允许)的?|没?有|没有|否|可)\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Unit:
    """A sentence, a clause of one, a row of a table, or a cell with what names its row and its column."""

    place: Located
    text: str
    bag: frozenset[str]
    in_table: bool = False
    row: Located | None = None  # of a cell
    own: str = ""  # what stands in the cell itself


def judge(
    sentence: str,
    question: str,
    passages: Sequence[str],
    likely: Located | None = None,
    said: str = "",
    *,
    titles: Sequence[Collection[str]] = (),
    meaning: Meaning | None = None,
) -> Grounded:
    """The verdict on one sentence of an answer, with the place that it rests on.

    Args:
        likely: where an answer to the question most likely stands, shown beside what cannot be judged.
        said: the headings of the passages: they may hold a name, never a number.
        titles: for each passage the names over it (``layout.title_set``), which say nothing.
        meaning: tells entries of a list apart that the question names in other words.
    """
    if _BARE.fullmatch(sentence.strip()):
        return _at(sentence, "unjudged", likely)
    claims = claims_of(sentence)
    everything = "\n".join([*passages, said])
    if lost := [c for c in missing(claims, everything) if not _may_be_told_otherwise(c, claims, sentence, everything)]:
        asked = not missing(claims, f"{everything}\n{question}")  # it repeats what the question supposed
        support = "unjudged" if asked and not identifiers(" ".join(lost)) else "unsupported"
        return _at(sentence, support, likely)
    if lost_units(sentence, f"{everything}\n{question}"):
        return _at(sentence, "unsupported", likely)
    if is_of_another_form(_last_question(question), sentence):
        return _at(sentence, "unsupported", likely)
    units = [unit for p, text in enumerate(passages) for unit in _units(text, p, titles[p] if p < len(titles) else ())]
    bare = _LEADING.sub("", sentence)
    own = frozenset(content_terms(bare))
    if not own or not units:
        return _at(sentence, "unjudged", likely)
    if _only_names(own, said, units) and _YES_OR_NO.search(question):
        return _at(sentence, "unsupported", None)
    asked_terms = frozenset(content_terms(question)) | identifiers(question)
    rest = _resting_on(bare, claims, own, asked_terms, question, units)
    if rest is None:
        return _at(sentence, "unjudged", likely)
    if claims and (other := _meant(rest, claims, question, units, meaning)) is not None:
        return Grounded(sentence, "beside", (), (other.place.passage,), other.row or other.place)
    if claims and rest.in_table:
        if (cell := _one_cell(sentence, rest, question, units)) is not None:
            return Grounded(sentence, "beside", (), (cell.place.passage,), rest.place)
        if not _is_singled_out(rest, question, units, meaning):
            return _at(sentence, "unsupported", None)
        if not _is_column_asked_for(rest, question, units):
            return _at(sentence, "unjudged", rest.row or rest.place)
    if (claims and _is_torn(rest, claims, question)) or is_opposite(question, rest.text):
        return _at(sentence, "unjudged", rest.place)
    is_in_prose = bool(claims.numbers) and not rest.in_table
    is_elsewhere = is_in_prose and _speaks_of_something_else(rest, asked_terms, question, units, meaning)
    if is_in_prose and (nearer := _nearer(rest, claims, question, units)) is not None:
        return _at(sentence, "unsupported", None) if is_elsewhere else _at(sentence, "unjudged", nearer.place)
    # its numbers were found above, in whatever form; so may its units be told
    told = own if not claims else frozenset(content_terms(without_units(bare, rest.text)))
    words = frozenset(t for t in told if not is_number(t))
    shared = len(words & rest.bag) / max(len(words), 1)
    is_whole = len(words & rest.bag) >= _SAME * max(len(_content(rest)), 1) or not claims
    if words and shared >= _SAME and is_whole and is_negated(bare) != is_negated(rest.text):
        return _at(sentence, "unsupported", rest.place)
    span = locate(bare, passages[rest.place.passage])
    fits = bool(_content(rest) & asked_terms) or (likely is not None and _covers(likely, rest.place))
    if span is not None and fits:
        return Grounded(sentence, "exact", (), (rest.place.passage,), Located(rest.place.passage, *span))
    sentence_bag = rest.bag.union(*(u.bag for u in units if claims and _covers(u.place, rest.place)))
    known = frozenset(t for t in words if claims and _is_crossing(t, f"{rest.text}{question}"))
    new = words - asked_terms - known
    heard = sentence_bag | asked_terms | known
    says = len(new & sentence_bag) >= OVERLAP * len(new) and len(words & heard) >= OVERLAP * len(words)
    supposed = _only_asked(bare, words, rest, everything)
    if fits and says and (new or claims) and not supposed and not _unheard(bare, f"{everything}\n{question}"):
        return Grounded(sentence, "overlap", (), (rest.place.passage,), rest.place)
    if is_elsewhere:
        crosses = language_of(rest.text) != language_of(question)
        if crosses and _is_near_by_title(rest, question, said.split("\n"), passages, meaning):
            return _at(sentence, "unjudged", rest.place)
        return _at(sentence, "unsupported", None)
    return _at(sentence, "unjudged", rest.place if claims or shared >= 0.3 else likely or rest.place)


def _at(sentence: str, support: str, place: Located | None) -> Grounded:
    return Grounded(sentence, support, (), () if place is None else (place.passage,), place)  # type: ignore[arg-type]


def _may_be_told_otherwise(lost: str, claims: Claims, sentence: str, everything: str) -> bool:
    """A name may be written in the other language's letters; a number or a code may not."""
    return lost in claims.names and language_of(everything) != language_of(sentence)


def _units(passage: str, p: int, titles: Collection[str]) -> Iterator[_Unit]:
    for each in statements(passage, titles):
        if each.cells:
            yield from _cells(each, p)
            yield _Unit(Located(p, each.start, each.end), each.said, frozenset(terms(each.said)), in_table=True)
            continue
        start, end = each.start, each.end
        cuts = [start, *(m.end() for m in _CLAUSE.finditer(passage, start, end)), end]
        spans = list(itertools.pairwise(cuts)) if len(cuts) > 2 else []
        for a, b in dict.fromkeys([*spans, (start, end)]):  # an entry that ends with a comma is one clause
            text = passage[a:b]
            if text.strip():
                yield _Unit(Located(p, a, b), text, frozenset(terms(text)))


def _cells(row: Statement, p: int) -> Iterator[_Unit]:
    """Each cell behind what names its row (its first cell, and those without a number) and its column."""
    names = [c.text for i, c in enumerate(row.cells) if c.text and (i == 0 or not re.search(r"\d", c.text))]
    for cell in row.cells[1:]:
        if cell.text and cell.text not in names:
            text = " ".join([*names, cell.header, cell.text])
            place, whole = Located(p, cell.start, cell.end), Located(p, row.start, row.end)
            yield _Unit(place, text, frozenset(terms(text)), in_table=True, row=whole, own=cell.text)


def _only_names(own: frozenset[str], said: str, units: Sequence[_Unit]) -> bool:
    """True if the words stand in headings and titles, and together in no sentence: a name is no answer to "does it have"."""
    return own <= frozenset(terms(said)) and not any(own <= u.bag for u in units)


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


def _meant(rest: _Unit, claims: Claims, question: str, units: Sequence[_Unit], meaning: Meaning | None) -> _Unit | None:
    """The entry of the same list that the question asks for, if the sentence rests on another one.

    Entries of a list are alike but for what they speak of. The one asked for holds all of the question's words that the other
    holds, and more; where neither does, it is clearly nearer in meaning. Of a follow-up ("And the dryer?") its own words count
    before those of the question that it goes on from.
    """
    others = [u for u in units if missing(claims, u.text) and (_is_alternative(u, rest) or _is_sibling(u, rest, units))]
    if not others:
        return None
    for asked in dict.fromkeys((_last_question(question), question)):
        words = _whole_words(frozenset(content_terms(asked))) | identifiers(asked)
        mine = _spoken(rest, words)
        better = [u for u in others if _spoken(u, words) > mine]
        if better:
            return max(better, key=lambda u: len(_spoken(u, words)))
        if any(_spoken(u, words) < mine for u in others) and all(not _spoken(u, words) - mine for u in others):
            return None  # the words say that it is the right one
    if meaning is None or not meaning.worth.paraphrases:
        return None
    values = meaning.near(question, [rest.text, *(u.text for u in others)])
    value, best = max(zip(values[1:], others, strict=True), key=lambda pair: pair[0])
    return best if value >= values[0] + meaning.worth.margin else None


def _whole_words(words: frozenset[str]) -> frozenset[str]:
    """Without the single Chinese characters of its pairs: 一晚 has nothing to do with 一线."""
    pairs = "".join(w for w in words if len(w) == 2 and not w.isascii())
    return frozenset(w for w in words if len(w) > 1 or w.isascii() or w not in pairs)


def _one_cell(sentence: str, rest: _Unit, question: str, units: Sequence[_Unit]) -> _Unit | None:
    """Of a sentence that tells several cells of one row, the one whose column the question names, if it names one."""
    words = _whole_words(frozenset(content_terms(question))) | identifiers(question)
    told = [u for u in units if u.row == rest.place and (own := claims_of(u.own)) and not missing(own, sentence)]
    if rest.row is not None or len(told) < 2:
        return None
    best = max(told, key=lambda u: len(_spoken(u, words)))
    return best if all(_spoken(u, words) < _spoken(best, words) for u in told if u is not best) else None


def _is_singled_out(rest: _Unit, question: str, units: Sequence[_Unit], meaning: Meaning | None) -> bool:
    """True if the question means this row and not just any: it shares a word with what names it, or it is clearly the nearest.

    The price of a plan that is not in the table is answered with another one's otherwise.
    """
    row = rest.row or rest.place
    others = [u for u in units if u.in_table and u.row is None and u.place != row and u.place.passage == row.passage]
    words = _whole_words(frozenset(content_terms(question))) | identifiers(question)
    mine = next((u for u in units if u.place == row), rest)
    shared = _spoken(mine, words)
    if not others or any(not shared <= _spoken(u, words) for u in others):
        return True
    if meaning is None or not meaning.worth.paraphrases:
        return bool(shared)
    values = meaning.near(question, [mine.text, *(u.text for u in others)])
    return values[0] >= max(values[1:]) + meaning.worth.margin


def _is_column_asked_for(rest: _Unit, question: str, units: Sequence[_Unit]) -> bool:
    """False if nothing in the question speaks of the column of a cell, and another column of the row has such a value, too.

    A prize that is in no column is answered with an entry fee otherwise.
    """
    if rest.row is None:
        return True
    words = _whole_words(frozenset(content_terms(question))) | identifiers(question)
    mates = [u for u in units if u.row == rest.row and u.place != rest.place and claims_of(u.own)]
    alike = [u for u in mates if units_of(u.own) == units_of(rest.own)]
    if not alike or language_of(rest.text) != language_of(question):
        return True
    shared = frozenset.intersection(*(_spoken(u, words) for u in [rest, *alike]))  # what names the row
    return bool(_spoken(rest, words) - shared)


def _is_alternative(other: _Unit, rest: _Unit) -> bool:
    """Whether two units are entries of one list: two cells or rows, or clauses with the same words; and of one kind."""
    if _covers(other.place, rest.place) or _covers(rest.place, other.place) or other.in_table != rest.in_table:
        return False
    kinds, theirs = claims_of(rest.text), claims_of(other.text)
    if bool(kinds.numbers) > bool(theirs.numbers) or bool(kinds.codes) > bool(theirs.codes):
        return False
    if rest.in_table:
        return other.place.passage == rest.place.passage
    return len(rest.bag & other.bag) / max(len(rest.bag), len(other.bag), 1) >= _PARALLEL


def _is_sibling(other: _Unit, rest: _Unit, units: Sequence[_Unit]) -> bool:
    """Whether two clauses of one sentence measure the same kind of thing: "within 24 hours, …, anything else within 28 days"."""
    if other.in_table or rest.in_table or other.place == rest.place or not kinds_of(other.text) & kinds_of(rest.text):
        return False
    if _covers(other.place, rest.place) or _covers(rest.place, other.place):
        return False
    return any(_covers(u.place, other.place) and _covers(u.place, rest.place) for u in units)


def _last_question(question: str) -> str:
    """Of a follow-up behind the question that it goes on from, its own words."""
    parts = [part for part in re.split(r"(?<=[?？])", question) if content_terms(part)]
    return parts[-1].strip() if parts else question


def _is_torn(rest: _Unit, claims: Claims, question: str) -> bool:
    """True if one half of a sentence holds the claims and only the other one speaks of what was asked.

    "Given by A on Tuesdays and by B on Thursdays" names A and Thursday, and does not say the one of the other. Of a follow-up
    its own words count, not those of the question that it goes on from.
    """
    asked = frozenset(content_terms(_last_question(question)))
    halves = [_Unit(rest.place, half, frozenset(terms(half))) for half in _HALVES.split(rest.text)]
    holding = [h for h in halves if not missing(claims, h.text)]
    if len(halves) < 2 or len(holding) != 1:
        return False
    mine = _spoken(holding[0], asked)
    return any(_spoken(h, asked) > mine and claims_of(h.text) for h in halves if h is not holding[0])


def _nearer(rest: _Unit, claims: Claims, question: str, units: Sequence[_Unit]) -> _Unit | None:
    """Another number of the same unit, if all that ``rest`` shares with the question stands beside it, and more.

    Clauses of one sentence are compared with each other ("A wash costs 2.50 pounds, the dryer 1.80"), others with their sentences.
    """
    asked = _whole_words(frozenset(content_terms(_last_question(question))))
    wholes = {u.place: max((v for v in units if _covers(v.place, u.place)), key=lambda v: len(v.text)) for u in units}
    mine = wholes[rest.place]
    for other in units:
        if other.in_table or other.place.passage != rest.place.passage or not missing(claims, other.text):
            continue
        if _covers(other.place, rest.place) or _covers(rest.place, other.place) or not claims_of(other.text).numbers:
            continue
        if (here := units_of(rest.text)) and (there := units_of(other.text)) and not here & there:
            continue
        theirs = wholes[other.place]
        a, b = (rest, other) if theirs.place == mine.place else (mine, theirs)
        if _spoken(a, asked) < _spoken(b, asked):
            return other
    return None


def _speaks_of_something_else(
    rest: _Unit, asked: frozenset[str], question: str, units: Sequence[_Unit], meaning: Meaning | None
) -> bool:
    """True if the sentence around a number shares no word with the question and is not near it in meaning either: a model that
    finds no number for what was asked takes any."""
    whole = max((u for u in units if _covers(u.place, rest.place)), key=lambda u: len(u.text), default=rest)
    if meaning is None or not meaning.worth.crosses or _content(whole) & asked or identifiers(question):
        return False  # what stands under a version's heading need not say it again
    if is_of_the_form_asked(question, rest.text):
        return False  # a number to dial is told in a few words
    bar = meaning.worth.near_sentence * (_ACROSS if language_of(whole.text) != language_of(question) else 1.0)
    return meaning.near(question, [whole.text])[0] < bar


def _is_near_by_title(
    rest: _Unit, question: str, titles: Sequence[str], passages: Sequence[str], meaning: Meaning | None
) -> bool:
    """Whether a sentence is near the question once its document's name and headings stand before it: across languages it has
    no word of its own to be recognised by. ``titles``: two for each passage."""
    if meaning is None or len(titles) != 2 * len(passages):
        return False
    name, heading = titles[2 * rest.place.passage :][:2]
    return meaning.near(question, [f"{heading or name}: {rest.text}"])[0] >= meaning.worth.near_sentence


def _unheard(sentence: str, heard: str) -> bool:
    """True if two Chinese characters in a row stand nowhere: a name, perhaps, that nobody said."""
    return any(not set(pair) & set(heard) for pair in _HAN_PAIR.findall(sentence))


def _only_asked(sentence: str, words: frozenset[str], rest: _Unit, everything: str) -> bool:
    """True if the sentence speaks of what no passage names: "Grandparents get parental leave" takes them from the question."""
    if language_of(sentence) != language_of(rest.text):
        return False
    heard = frozenset(terms(everything))
    if language_of(sentence) == "zh":
        return _unheard(sentence, everything)
    return not words <= heard


def _is_crossing(term: str, heard: str) -> bool:
    """True for two Chinese characters that were both heard: where other words meet, other pairs come about."""
    return not term.isascii() and len(term) <= 2 and set(term) <= set(heard)


def _spoken(unit: _Unit, asked: frozenset[str]) -> frozenset[str]:
    """Words of the question that a unit holds; a code only as a whole."""
    return frozenset(t for t in asked if t in unit.bag or (not t.isalnum() and stands_in(t, unit.text)))


def _covers(outer: Located, inner: Located) -> bool:
    return outer.passage == inner.passage and outer.start <= inner.start and inner.end <= outer.end
