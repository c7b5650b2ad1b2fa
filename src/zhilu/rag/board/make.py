"""Questions proposed by the running model, each checked before a person sees it.

A question is kept where a person might have asked it: it asks one thing, names what it is about, copies neither the passage nor
its own answer; its answer stands in the passage; and the model, asked the question with the passage before it, gives that answer
again (round-trip consistency: Alberti et al. 2019, arXiv:1906.05416). The others are dropped and counted by reason.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any

from zhilu.client import ModelClient
from zhilu.measure.words import token_f1
from zhilu.messages import T
from zhilu.prompts import (
    Message,
    direct_messages,
    language_of,
    open_question_messages,
    question_messages,
)
from zhilu.prompts.message import Lang
from zhilu.rag.answer.ground import locate
from zhilu.rag.answer.layout import statements, title_set
from zhilu.rag.board.questions import BoardQuestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.text.terms import content_terms, terms

__all__ = ["Maker", "Passage", "parts_of", "passages_of", "why_not"]

_LEAST = {"en": 12, "zh": 24}  # content terms of a passage worth a question
_LONGEST_ANSWER = {"en": 90, "zh": 36}  # characters
_COPIED = 0.6  # share of a question that runs of the passage's words may hold
_RUN = {"en": 3, "zh": 4}  # words (Chinese: characters) that make a run
_SAME = 0.5  # F1 of the answer and the answer given again
_LINE = re.compile(r"^\W*(?:question|问题|q)\s*[:：]\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_ANSWER = re.compile(r"^\W*(?:answer|答案|回答|a)\s*[:：]\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_BLANK = re.compile(r"_{2,}|…{2,}|\.{4,}|[（(]\s*[)）]|\bfill in\b|填空")
_SELF = re.compile(
    r"\b(?:the|this|that|given|above) (?:text|passage|document|excerpt|article|paragraph|section)s?\b"
    r"|\baccording to the\b|\bmentioned\b|资料|文中|本文|原文|文档中|这段|该段|上文|上述|根据文",
    re.IGNORECASE,
)
_ASKS = {
    "en": re.compile(
        r"\b(?:who|whom|whose|what|when|where|which|why|how|is|are|was|were|does|do|did|can|could|may|must|should|will|has|have)\b",
        re.IGNORECASE,
    ),
    "zh": re.compile(
        r"谁|什么|啥|哪|几|多少|多久|多长|多大|多远|多高|怎|如何|为何|何时|何地|吗|是否|能不能|可不可以|呢"
    ),
}


@dataclass(frozen=True)
class Aspect:
    """Something that can be asked about many things: how it is asked for, and how a text gives away that it says it."""

    name: T
    asked: re.Pattern[str]
    said: re.Pattern[str]


def _aspect(en: str, zh: str, asked: str, said: str) -> Aspect:
    return Aspect(T(en, zh), re.compile(asked, re.IGNORECASE), re.compile(f"{asked}|{said}", re.IGNORECASE))


_ASPECTS = (
    _aspect(
        "the price or fee", "价格或费用",
        r"\b(?:how much (?:is|are|does|do|will|must|should)|costs?|prices?|fees?|charges?|pay)\b|多少钱|费用|价格|收费|价钱",
        r"[$€£¥]|\b(?:free of|eur|euros?|pounds?|dollars?|cents?|yuan)\b|\d\s*元|免费|押金|票价|学费|罚款",
    ),
    _aspect(
        "a phone number", "电话号码", r"\b(?:phone|telephone|(?:call|ring)(?! the))\b|电话|热线|号码", r"\d{3,}[- ]\d{3,}|拨打"
    ),
    _aspect(
        "an e-mail or web address", "邮箱或网址", r"\b(?:e-?mail|web ?site|web address|url|online)\b|邮箱|网址|网站|官网|邮件",
        r"\w@\w|https?:|\bwww\.|小程序",
    ),
    _aspect(
        "the year it began", "是从哪一年开始的",
        r"\b(?:what|which) year\b|\bwhen (?:was|were|did|has)\b|\bsince when\b|哪一?年|什么时候(?:开始|成立|建)|何时",
        r"\b(?:1[5-9]|20)\d\d\b|[12]\d{3}\s*年",
    ),
    _aspect(
        "a discount for students or old people", "学生或老人的优惠",
        r"\b(?:discounts?|students?|seniors?|reductions?)\b|优惠|折扣|学生|老人", r"\d\s*折|% off",
    ),
    _aspect(
        "the age limit", "年龄限制", r"\b(?:ages?|old|young|minors?|child(?:ren)?)\b|年龄|多大|岁|未成年|儿童|孩子", "周岁"
    ),
    _aspect("parking", "停车", r"\b(?:park(?:ing|ed)?|cars?|garages?)\b|停车|车位|车库|开车", "驾车"),
)  # fmt: skip
_OFFERED = 4  # aspects that a model may choose from


@dataclass(frozen=True)
class Passage:
    """A chunk that a question is made of."""

    chunk_id: int
    doc_id: str
    doc_name: str
    start: int
    heading: str
    text: str

    @property
    def title(self) -> str:
        return self.heading or self.doc_name


def passages_of(kb: KnowledgeBase, seed: str) -> list[Passage]:
    """The chunks that say enough to be asked about, one document after the other; the same order for the same seed."""
    rows = kb.database.rows(
        "SELECT c.id, c.doc_id, d.name, c.start, c.heading, c.text FROM chunks c JOIN documents d ON d.id = c.doc_id"
        " WHERE d.status = 'ready' ORDER BY d.sha256, c.ordinal"
    )
    by_doc: dict[str, list[Passage]] = {}
    for row in rows:
        passage = Passage(*row)
        if len(content_terms(passage.text)) >= _LEAST[language_of(passage.text)]:
            by_doc.setdefault(passage.doc_id, []).append(passage)
    chance = random.Random(seed)
    groups = list(by_doc.values())
    chance.shuffle(groups)
    for group in groups:
        chance.shuffle(group)
    longest = max(map(len, groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]


def parts_of(passage: Passage) -> list[Passage]:
    """The passage cut into pieces of whole sentences that each say enough to be asked about; then the passage itself."""
    least = _LEAST[language_of(passage.text)]
    said = statements(passage.text, title_set(passage.doc_name, passage.heading))
    parts, begin = [], None
    for one in said:
        begin = one.start if begin is None else begin
        text = passage.text[begin : one.end]
        if len(content_terms(text)) >= least:
            parts.append(replace(passage, start=passage.start + begin, text=text))
            begin = None
    return [*parts, passage] if len(parts) > 1 else [passage]


@dataclass
class Maker:
    """Makes questions with one model; ``dropped`` counts what was wrong with those that were not kept.

    Args:
        ask: messages to the model's text.
    """

    ask: Callable[[list[Message], int], Awaitable[str]]
    model: str
    dropped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, client: ModelClient, model: str, extra: dict[str, Any]) -> Maker:
        """``extra`` parameters go with every request."""

        async def ask(messages: list[Message], max_tokens: int) -> str:
            given = {"temperature": 0, "max_tokens": max_tokens, **extra}
            reply = await client.chat(messages, model=model, **given)
            text = reply["choices"][0]["message"].get("content") or ""
            return str(text).rpartition("</think>")[2].strip()

        return cls(ask, model)

    async def answerable(self, passage: Passage, known: Sequence[str]) -> BoardQuestion | None:
        """A question that the passage answers; None where none was worth keeping. ``known`` are those there already."""
        said = await self.ask(question_messages(passage.title, passage.text), 120)
        asked, answered = _LINE.search(said), _ANSWER.search(said)
        if asked is None or answered is None:
            self._drop("form")
            return None
        question, answer = tidy(asked.group(1)), answered.group(1).strip(" \"'“”。.;；")
        if reason := why_not(question, passage, known) or _wrong_answer(question, answer, passage.text):
            self._drop(reason)
            return None
        given = await self.ask(direct_messages(question, [{"title": passage.title, "text": passage.text}]), 80)
        if not locate(answer, given) and token_f1(given, answer) < _SAME:
            self._drop("not_confirmed")
            return None
        start, end, quote = _evidence(passage, question, answer)
        if quote.rstrip("”\"' ").endswith(("?", "？")):  # an exercise asks; it does not say
            self._drop("evidence_asks")
            return None
        return BoardQuestion(
            id="", question=question, answers=[answer], status="proposed", source="model", model=self.model,
            doc_id=passage.doc_id, doc_name=passage.doc_name, quote=quote, start=start, end=end,
        )  # fmt: skip

    async def unanswerable(
        self, passage: Passage, known: Sequence[str], neighbours: Callable[[str], Sequence[str]]
    ) -> BoardQuestion | None:
        """A question near the passage that the documents leave open.

        It asks for something (``_ASPECTS``) that neither the passage nor ``neighbours(question)``, the passages nearest to it,
        say anything of. A model is not asked for that: it finds an answer anywhere. A person decides.
        """
        open_here = [a for a in _ASPECTS if not a.said.search(f"{passage.title}\n{passage.text}")]
        offered = random.Random(passage.text).sample(open_here, min(_OFFERED, len(open_here)))
        if not offered:
            self._drop("nothing_open")
            return None
        messages = open_question_messages(passage.title, passage.text, [a.name for a in offered])
        question = tidy((await self.ask(messages, 60)).split("\n")[0])
        question = tidy(found.group(1)) if (found := _LINE.search(question)) else question
        if reason := why_not(question, passage, known):
            self._drop(reason)
            return None
        asked = [a for a in _ASPECTS if a.asked.search(question)]
        if not asked:
            self._drop("asks_for_something_else")
            return None
        near = "\n".join([passage.title, passage.text, *neighbours(question)])
        # Chinese: by characters, for a pair of them is new wherever two words meet
        about = {t for t in content_terms(question) if t.isascii() or len(t) == 1}
        if not about & set(terms(near)):
            self._drop("elsewhere")
            return None
        if any(a.said.search(near) for a in asked):
            self._drop("answered")
            return None
        return BoardQuestion(
            id="", question=question, status="proposed", source="model", model=self.model, doc_id=passage.doc_id
        )

    def _drop(self, reason: str) -> None:
        self.dropped[reason] += 1


def tidy(question: str) -> str:
    """One question on one line, with its mark."""
    text = " ".join(question.split()).strip("\"“”'*- ")
    return text.rstrip("?？。.! ") + ("？" if language_of(text) == "zh" else "?")


def why_not(question: str, passage: Passage, known: Sequence[str]) -> str | None:
    """What is wrong with a question as a question, by a word; None if a person might have asked it."""
    lang: Lang = language_of(passage.text)
    if language_of(question) != lang:
        return "language"
    if not (6 if lang == "zh" else 12) <= len(question) <= (60 if lang == "zh" else 180):
        return "length"
    if _BLANK.search(question):
        return "blank"
    if _SELF.search(question):
        return "speaks_of_the_text"
    if not _ASKS[lang].search(question) or len(re.findall(r"[?？]", question)) != 1:
        return "no_question"
    if _copied(question, passage.text) > _COPIED:
        return "copied"
    if not content_terms(question):
        return "names_nothing"
    if any(_alike(question, other) for other in known):
        return "known"
    return None


def _wrong_answer(question: str, answer: str, text: str) -> str | None:
    if not answer or len(answer) > _LONGEST_ANSWER[language_of(text)]:
        return "answer_length"
    if not locate(answer, text):
        return "answer_not_in_passage"
    if locate(answer, question):
        return "answer_in_question"
    return None


def _copied(question: str, text: str) -> float:
    """Share of the question that stands in the passage in runs of several words (Chinese: characters)."""
    mine, theirs = _units(question), _units(text)
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    long = [block.size for block in blocks if block.size >= _RUN[language_of(question)]]
    return sum(long) / max(len(mine), 1)


def _units(text: str) -> list[str]:
    return re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", text.lower())


def _alike(question: str, other: str) -> bool:
    mine, theirs = set(content_terms(question)), set(content_terms(other))
    return bool(mine) and len(mine & theirs) > 0.8 * min(len(mine), len(theirs) or 1)


def _evidence(passage: Passage, question: str, answer: str) -> tuple[int, int, str]:
    """``(start, end, text)`` in the document: the sentence, or the row, that holds the answer and shares most with the
    question."""
    asked = set(terms(question))
    found = [
        s
        for s in statements(passage.text, title_set(passage.doc_name, passage.heading))
        if locate(answer, passage.text[s.start : s.end])
    ]
    if not found:  # it goes over a sentence's end
        start, end = locate(answer, passage.text) or (0, len(passage.text))
    else:
        best = max(found, key=lambda s: len(asked & set(terms(s.said))))
        start, end = best.start, best.end
    return passage.start + start, passage.start + end, passage.text[start:end]
