"""Which sentences of the passages are about the question: to quote one, and to doubt an answer that stands elsewhere.

That a model's words stand in a passage proves that it did not invent them, not that they answer the question: a weak model copies
any date for any question. So the sentence around the words must fit the question nearly as well as the best sentence does. On
XQuAD (600 questions per language, four passages) the best sentence contains the answer for 78 % of the questions in English and
in Chinese, and for 92 % in both the sentence with the answer reaches ``NEAR`` times the value of the best one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zhilu.messages import Lang, T
from zhilu.rag.answer.ground import Located, locate
from zhilu.rag.answer.layout import Statement, plain, statements
from zhilu.rag.answer.meaning import Meaning, under_heading
from zhilu.text.terms import content_terms, terms

__all__ = ["NEAR", "PassageEvidence", "quotation"]

NEAR = 0.8
AROUND = 0.25  # of the question's words; the answer's own sentence has fewer in 9 % of XQuAD's questions
_LONGEST = 400  # characters of a quotation; a longer sentence is a list or a table row
_ASKS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|old|far|tall|large|big|often)|what (?:year|percent\w*|number|date)|when)\b"
    r"|多少|几|何时|哪一?年|什么时候|多久|多长|多大|多高",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"\b(?:who|whom|whose|where|why|what|which)\b|谁|哪|什么|何|为什么", re.IGNORECASE)
# what and which may ask for a number after all: "what temperature", "在哪个波长"
_NUMERIC_NOUN = re.compile(
    r"\b(?:years?|dates?|numbers?|percent\w*|temperatures?|ages?|times?|days?|months?|centur\w+|decades?|scores?|rates?"
    r"|amounts?|prices?|costs?|sizes?|lengths?|heights?|widths?|distances?|speeds?|population|areas?|values?|ratios?"
    r"|degrees?|wavelengths?|frequenc\w+|codes?|lines?|ranks?|versions?|ports?|limits?|fractions?|proportions?|hours?)\b"
    r"|年|月|日|时间|时候|数|比例|百分|温度|波长|频率|价|费|额|率|长|宽|高|深|重|远|速|面积|人口|版本|端口|世纪|码|线|号|名次|上限",
    re.IGNORECASE,
)
_OFFERS_CHOICE = re.compile(
    r"\bor\b|还是|^\W*(?:is|are|was|were|do|does|did|can|has|have)\b|[吗么][？?]?$", re.IGNORECASE
)
_HAS_NUMBER = re.compile(
    r"\d|[零〇一二两三四五六七八九十百千万亿半]"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy"
    r"|eighty|ninety|hundred|thousand|million|billion|half|twice|once|first|second|third|\w+th|none|no|daily|weekly|yearly"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|before|after|during|until|since|century)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Sentence:
    place: Located
    value: float
    around: float  # share of the question's words in it and its neighbours, 0 to 1


class PassageEvidence:
    """The passages of one question, their sentences valued by how well they fit it."""

    def __init__(
        self,
        question: str,
        passages: Sequence[str],
        scores: Sequence[float],
        meaning: Meaning | None = None,
        *,
        slack: float = 1.0,
        titles: Sequence[Collection[str]] = (),
        leads: Sequence[str] = (),
        asked: Sequence[str] = (),
    ) -> None:
        """``scores``: the passages' fused retrieval scores, 0 to 1; ``meaning``: value sentences by meaning, too.

        ``slack``: the share of ``Worth.near_sentence`` at which one speaks of the question.
        That costs an embedding a sentence and gains 2 % where questions share words with their passage, so it is for
        questions that do not. ``titles``: for each passage the names over it (``title_set``), which are no sentences.
        ``leads``: the heading of each passage; then sentences are put in order by their meaning behind it, compared with each
        of ``asked`` (a follow-up behind the question that it goes on from, and by itself). Of 107 questions of
        benchmarks/answers whose passage is there the best sentence holds the answer for 82 so, and for 65 otherwise.
        """
        self.question = question
        self.passages = passages
        self.headings = ""  # of the passages; a name may stand there alone
        self.titles = titles
        self._leads, self._asked = leads, asked or (question,)
        self.needs_claims = False  # nothing but what names a number, a code or a name is shown
        self.meaning = meaning
        self._slack = slack
        self._asks_number = bool(_ASKS_NUMBER.search(question))
        none: Collection[str] = ()
        self.statements: list[list[Statement]] = [
            statements(text, titles[p] if p < len(titles) else none) for p, text in enumerate(passages)
        ]
        self._sentences = self._value(scores)
        self._best = max((s.value for s in self._sentences), default=0.0)

    def best(self) -> Located | None:
        """The sentence to quote; None if none shares a word with the question."""
        if not self._sentences or self._best <= 0:
            return None
        found = max(self._sentences, key=lambda s: s.value).place
        return Located(found.passage, found.start, min(found.end, found.start + _LONGEST))

    def nearest_to(self, answer: str) -> Located | None:
        """The sentence that is nearest in meaning to the question with this answer; None without an embedder."""
        places = [Located(p, x.start, x.end) for p, found in enumerate(self.statements) for x in found]
        if self.meaning is None or not self.meaning.worth.crosses or not places:
            return None
        near = self.meaning.near(f"{self.question} {answer}", [x.said for found in self.statements for x in found])
        return places[max(range(len(places)), key=near.__getitem__)]

    def likely(self) -> dict[str, Any] | None:
        """``best`` for a page: the number of the passage, where in it, and how it reads by itself."""
        place = self.best()
        if place is None:
            return None
        return {"n": place.passage + 1, "start": place.start, "end": place.end, "text": self.said_at(place)}

    def place(self, answer: str) -> Located | None:
        """Where ``answer`` stands in a sentence that fits the question; None where it only stands somewhere else.

        Also None for words that the question itself gave (unless it offered a choice), for an answer without a number to a
        question for one, and for nothing but a number to a question for a person, a place or a reason.
        """
        if not self._fits_kind(answer):
            return None
        best: _Sentence | None = None
        for sentence in self._sentences:
            place = sentence.place
            if not self._fits(sentence) or (best is not None and sentence.value <= best.value):
                continue
            span = locate(answer, self.passages[place.passage][place.start : place.end])
            if span is not None:
                found = Located(place.passage, place.start + span[0], place.start + span[1])
                best = replace(sentence, place=found)
        return best.place if best is not None else None

    def sentence_at(self, place: Located) -> str | None:
        """The sentence around ``place``, if ``place`` is only a small part of it (less than three fifths)."""
        for sentence in self._sentences:
            at = sentence.place
            if at.passage == place.passage and at.start <= place.start and place.end <= at.end:
                is_part = (place.end - place.start) < 0.6 * (at.end - at.start)
                return self.said_at(at) if is_part else None
        return None

    def sentence_around(self, place: Located, answer: str) -> str | None:
        """The sentence that ``place`` is in, to be quoted beneath ``answer``; None if the answer is that sentence."""
        said = self.said_at(place)
        return None if locate(said, answer) is not None else said

    def words_at(self, place: Located) -> str:
        """The row around ``place``; else the words at ``place`` themselves, which may be a clause."""
        row = any(x.cells and x.start <= place.start and place.end <= x.end for x in self.statements[place.passage])
        if row:
            return self.said_at(place)
        return plain(self.passages[place.passage][place.start : min(place.end, place.start + _LONGEST)]).rstrip(
            "，,；;"
        )

    def said_at(self, place: Located) -> str:
        """How the sentence or the row around ``place`` reads by itself; the words at ``place`` if it holds several."""
        for each in self.statements[place.passage]:
            if each.start <= place.start and place.end <= each.end:
                return each.said[:_LONGEST]
        return plain(self.passages[place.passage][place.start : min(place.end, place.start + _LONGEST)])

    def supports(self, sentence: str, place: Located | None) -> bool:
        """For a free sentence resting on ``place``: is it of the kind asked for, and does the place fit the question?"""
        if place is None or not self._fits_kind(sentence):
            return False
        return any(
            s.place.passage == place.passage and s.place.start == place.start and self._fits(s) for s in self._sentences
        )

    def _fits(self, sentence: _Sentence) -> bool:
        return sentence.value >= NEAR * self._best and sentence.around >= AROUND

    def _fits_kind(self, answer: str) -> bool:
        own = set(content_terms(answer))
        if own <= set(terms(self.question)) and not _OFFERS_CHOICE.search(self.question):
            return False
        if self._asks_number:
            return bool(_HAS_NUMBER.search(answer))
        only_number = not re.search(r"[^\W\d_]", re.sub(r"[在于到自从年月日时分秒个人次世纪代]|\b\d+s\b", "", answer))
        return not (only_number and _ASKS_NAME.search(self.question) and not _NUMERIC_NOUN.search(self.question))

    def _value(self, scores: Sequence[float]) -> list[_Sentence]:
        """Share of the question's words in the sentence, and half as much in its neighbours; rare words count more."""
        asked = set(content_terms(self.question))
        places = [Located(p, x.start, x.end) for p, found in enumerate(self.statements) for x in found]
        texts = [x.said for found in self.statements for x in found]
        bags = [set(terms(text)) for text in texts]
        seen = Counter(term for bag in bags for term in bag & asked)
        weight = {term: math.log(1 + len(bags) / (1 + seen[term])) for term in asked}
        total = sum(weight.values()) or 1.0

        def share(bag: set[str]) -> float:
            return sum(weight[t] for t in bag & asked) / total

        # a heading or an entry of a question list that asks the same: its answer comes next
        asks = [text.rstrip().endswith(("?", "？")) and share(bag) > 0.8 for text, bag in zip(texts, bags, strict=True)]
        repeats = [a or locate(self.question, text) is not None for a, text in zip(asks, texts, strict=True)]
        near = self.meaning.near(self.question, texts) if self.meaning else [0.0] * len(texts)
        near_enough = self._slack * self.meaning.worth.near_sentence if self.meaning else 1.0
        self.nearest = max(near, default=0.0)
        led = self._near_under_headings()
        valued = []
        for i, (place, bag) in enumerate(zip(places, bags, strict=True)):
            around = set(bag)
            for j in (i - 1, i + 1):
                if 0 <= j < len(bags) and places[j].passage == place.passage:
                    around |= bags[j]
            value = share(bag) + 0.5 * share(around) + 0.5 * scores[place.passage] + near[i]
            value += 0.2 if self._asks_number and re.search(r"\d|[一二三四五六七八九十百千]", texts[i]) else 0.0
            if led:
                value = max(led[i], 0.0) + 0.1 * scores[place.passage]
            if i > 0 and places[i - 1].passage == place.passage and asks[i - 1]:
                value += 0.1 if led else 0.6  # the answer in a list of questions and answers
            # what shares nothing answers nothing; nor does what only asks again
            is_near = near[i] >= near_enough or (bool(led) and led[i] >= 0.5 * near_enough)
            says = (around & asked or is_near) and bag - asked and not repeats[i]
            valued.append(_Sentence(place, value if says else 0.0, max(share(around), near[i] - AROUND)))
        return valued

    def _near_under_headings(self) -> list[float]:
        if self.meaning is None or not self._leads:
            return []
        texts = [under_heading(x, self._leads[p]) for p, found in enumerate(self.statements) for x in found]
        return self.meaning.near_asked(self._asked, texts)


def quotation(text: str, number: int, lang: Lang, *, is_answer: bool = True) -> str:
    """The quotation as an answer that says what it is; not ``is_answer``: it only comes nearest to one."""
    text = plain(text)
    if not is_answer:
        return T(
            en=f"No answer that the documents support. Nearest to it stands: “{text}” [{number}]",
            zh=f"没有得到文档支持的回答。文档中最接近的一句：“{text}” [{number}]",
        ).say(lang)
    return T(en=f"The document says: “{text}” [{number}]", zh=f"文档原文：“{text}” [{number}]").say(lang)
