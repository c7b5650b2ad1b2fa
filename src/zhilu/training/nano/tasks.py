"""The supervised rows, in exactly the prompt formats the product sends (``zhilu.prompts``).

A row is a conversation. Grounded rows put several questions to the same passages, one after another, so that one long
prompt yields a dozen learned answers instead of one. Answers are ``SPAN [n]``: the span verbatim, then its passage's number.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zhilu.prompts import REFUSAL, Passage, grounded_messages
from zhilu.training.nano.data import Context, Question

__all__ = ["Ask", "Conversation", "cloze_asks", "find_asks", "grounded", "sentences", "spans", "window"]

Lang = Literal["en", "zh"]
Conversation = list[dict[str, Any]]

_SENTENCE = {
    "en": re.compile(r"[^.!?]+(?:[.!?]+(?!\s|$)[^.!?]*)*[.!?]*[\"”’)]*\s*"),
    "zh": re.compile(r"[^。！？!?]+[。！？!?]*[”」』）]*"),
}
_CLAUSE = {"en": re.compile(r"[^,;:()\"“”—]+"), "zh": re.compile(r"[^，、；：（）“”《》。！？,;()]+")}
_MARKED = {
    "en": re.compile(
        r"(?<![\w.])\d[\d,.]*\d%?|(?<!\w)\d%?|(?<=[a-z,] )(?:[A-Z][\w'’-]+)(?: (?:of |the |de )?[A-Z][\w'’-]+)*|(?<=[\"“])[^\"“”]{3,50}(?=[\"”])"
    ),
    "zh": re.compile(
        r"\d[\d.,]*(?:年(?:\d+月(?:\d+日)?)?|月\d+日|%|[万亿]?[人个位次名座米里岁元吨天种条台]|公里|平方公里)?|(?<=《)[^》]{2,24}(?=》)"
        r"|(?<=“)[^”]{2,20}(?=”)|[A-Za-z][A-Za-z0-9.+-]*(?: [A-Za-z0-9.+-]+)*|[一二三四五六七八九十百]+[个位年月次种](?:月)?"
    ),
}
_WORD = re.compile(r"\S+")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "his",
        "in",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "their",
        "they",
        "this",
        "to",
        "was",
        "were",
        "which",
        "who",
        "with",
    ]
)
_FILL = {
    "en": ("Fill in the blank: {}", "Complete: {}", "{}", "{}", "What belongs in the blank? {}"),
    "zh": ("填空：{}", "补全：{}", "{}", "{}", "空格处应填什么？{}"),
}
_SENTENCE_ASK = {
    "en": (
        "Which sentence mentions {}?",
        "Quote the sentence about {}.",
        "What is said about {}?",
        "Find the sentence with {}.",
    ),
    "zh": ("哪句话提到了{}？", "引用关于{}的那句话。", "关于{}说了什么？", "找出含有{}的句子。"),
}
_CONTINUE = {"en": ("Continue: {}", "How does this go on: {}"), "zh": ("接着写：{}", "下文是什么：{}")}


@dataclass(frozen=True)
class Ask:
    """A question to passage ``index`` (0-based; -1: none holds the answer) and the span that answers it."""

    question: str
    answer: str
    index: int


def sentences(text: str, lang: str) -> list[str]:
    """Sentences of a paragraph, nothing lost between them."""
    return _SENTENCE[lang].findall(text)


def window(context: Context, limit: int, rng: random.Random) -> Context:
    """Whole sentences of ``context`` up to ``limit`` characters, around one of its answers, with the questions that fit inside."""
    if len(context.text) <= limit:
        return context
    parts = sentences(context.text, context.lang)
    held = [q for q in context.questions if q.start >= 0]
    anchor = rng.choice(held).start if held else 0
    at, first = 0, 0
    while first < len(parts) - 1 and at + len(parts[first]) <= anchor:
        at += len(parts[first])
        first += 1
    last, size = first, len(parts[first])
    while True:  # grow on a random side while it fits, so that the answer's place in the window varies
        sides = [s for s in (-1, 1) if 0 <= (first - 1 if s < 0 else last + 1) < len(parts)]
        sides = [s for s in sides if size + len(parts[first - 1 if s < 0 else last + 1]) <= limit]
        if not sides:
            break
        if rng.choice(sides) < 0:
            first -= 1
            size += len(parts[first])
        else:
            last += 1
            size += len(parts[last])
    start = sum(map(len, parts[:first]))
    text = "".join(parts[first : last + 1])
    lead = len(text) - len(text.lstrip())
    start, text = start + lead, text.strip()
    inside = [
        Question(q.text, q.answer, q.start - start)
        for q in context.questions
        if q.start >= start and text.startswith(q.answer, q.start - start)
    ]
    return Context(text, context.lang, inside)


def spans(sentence: str, lang: str, rng: random.Random) -> list[tuple[int, int]]:
    """Candidate answers in a sentence: numbers, names, quoted titles, and runs of words inside one clause."""
    found = [m.span() for m in _MARKED[lang].finditer(sentence)]
    for clause in _CLAUSE[lang].finditer(sentence):
        text = clause.group()
        if lang == "zh":
            if len(text) >= 4:
                size = min(len(text), rng.randint(2, 10))
                first = clause.start() + rng.choice([0, len(text) - size, rng.randint(0, len(text) - size)])
                found.append((first, first + size))
        else:
            words = [m.span() for m in _WORD.finditer(text)]
            if len(words) >= 3:
                size = rng.randint(1, min(7, len(words)))
                first = rng.randint(0, len(words) - size)
                while first + 1 < len(words) and text[slice(*words[first])].lower() in _STOP and size > 1:
                    first, size = first + 1, size - 1
                left, right = clause.start() + words[first][0], clause.start() + words[first + size - 1][1]
                right -= len(sentence[left:right]) - len(sentence[left:right].rstrip(".!?"))
                if sentence[left:right].lower() not in _STOP:
                    found.append((left, right))
    return [(a, b) for a, b in found if sentence[a:b].strip(" .。,，") and b - a < len(sentence.strip()) - 4]


def _wh(answer: str, lang: str, rng: random.Random) -> str:
    """A question word that fits the answer's kind."""
    if lang == "zh":
        if re.match(r"\d+年", answer):
            return rng.choice(["哪一年", "什么时候", "何时"])
        if re.match(r"[\d一二三四五六七八九十百]", answer):
            return rng.choice(["多少", "几", "多少"]) + (answer[-1] if answer[-1] in "人个位次名座米岁元吨天种" else "")
        return rng.choice(["什么", "什么", "哪个", "谁"])
    if re.fullmatch(r"1[0-9]{3}|20[0-9]{2}", answer):
        return rng.choice(["what year", "when", "which year"])
    if answer[:1].isdigit():
        return rng.choice(["how many", "how much", "what number"])
    return rng.choice(["what", "who", "which"]) if answer[:1].isupper() else rng.choice(["what", "what", "how"])


def _blur(text: str, lang: str, rng: random.Random, drop: float) -> str:
    """The text with some of its words left out, so that a match need not be literal."""
    if lang == "zh":
        return "".join(c for c in text if rng.random() > drop * 0.6)
    return " ".join(w for w in text.split() if rng.random() > drop)


def cloze_asks(
    text: str, lang: str, index: int, count: int, rng: random.Random, blur: float, cut: float = 0.0
) -> list[Ask]:
    """Questions made of a sentence with one span taken out: as a blank, or as a question word (Lewis et al. 2019, section 2)."""
    parts = sentences(text, lang)
    asks: list[Ask] = []
    for _ in range(count):
        sentence = rng.choice(parts)
        options = spans(sentence, lang, rng)
        if not options:
            continue
        left, right = rng.choice(options)
        answer = sentence[left:right]
        reach = rng.randint(6, 22) if lang == "zh" else rng.randint(20, 90)
        before, after = sentence[max(0, left - reach) : left], sentence[right : right + reach]
        if lang == "en":  # whole words only
            before = before.split(" ", 1)[-1] if left > reach else before
            after = after.rsplit(" ", 1)[0] if right + reach < len(sentence) else after
        before, after = _blur(before, lang, rng, blur), _blur(after, lang, rng, blur)
        open_end = len(before) > (4 if lang == "zh" else 12) and rng.random() < cut
        if open_end:
            after = ""
        if len(before) + len(after) < (4 if lang == "zh" else 12):
            continue
        gap = " " if lang == "en" else ""
        if open_end or rng.random() < 0.5:
            question = rng.choice(_FILL[lang]).format(f"{before}{gap}____{gap}{after}".strip())
        elif lang == "zh" or rng.random() < 0.4:
            question = f"{before}{gap}{_wh(answer, lang, rng)}{gap}{after}".strip(" .。，,") + (
                "？" if lang == "zh" else "?"
            )
        else:
            question = f"{_wh(answer, lang, rng).capitalize()} {after} {before}".strip(" .,") + "?"
        asks.append(Ask(" ".join(question.split()) if lang == "en" else question, answer, index))
    return asks


def find_asks(text: str, lang: str, index: int, count: int, rng: random.Random) -> list[Ask]:
    """Questions answered by a whole sentence: the one that holds given words, or the one that goes on after a given opening."""
    asks: list[Ask] = []
    parts = [s.strip() for s in sentences(text, lang)]
    for _ in range(count):
        sentence = rng.choice(parts)
        if len(sentence) < (8 if lang == "zh" else 30) or len(sentence) > (90 if lang == "zh" else 220):
            continue
        if rng.random() < 0.4:
            cut = len(sentence) // 3
            cut = cut if lang == "zh" else sentence.find(" ", cut)
            head, tail = sentence[:cut], sentence[cut:].strip()
            if head and tail:
                asks.append(Ask(rng.choice(_CONTINUE[lang]).format(head), tail, index))
            continue
        options = spans(sentence, lang, rng)
        if options:
            keys = [sentence[a:b] for a, b in rng.sample(options, min(len(options), rng.choice([1, 1, 2])))]
            joint = " and " if lang == "en" else "和"
            asks.append(Ask(rng.choice(_SENTENCE_ASK[lang]).format(joint.join(keys)), sentence, index))
    return asks


def grounded(passages: Sequence[Passage], asks: Sequence[Ask], lang: Lang, rng: random.Random) -> Conversation:
    """One conversation: the product's grounded prompt with the first question, the others as follow-up turns.

    The passages are renumbered in a random order. A span that several passages hold is cited by the one it was taken from.
    """
    order = list(range(len(passages)))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order, start=1)}
    first, *rest = asks
    conversation: Conversation = [
        dict(m) for m in grounded_messages(first.question, [passages[i] for i in order], lang)
    ]
    label = "Question: " if lang == "en" else "问题："
    for ask in [first, *rest]:
        if ask is not first:
            conversation.append({"role": "user", "content": label + ask.question.strip()})
        answer = REFUSAL.say(lang)
        if ask.index >= 0:
            # A word after a space is another token than the same word at a line's start: keep the space, copy the token.
            space = " " if f" {ask.answer}" in passages[ask.index]["text"] else ""
            answer = f"{space}{ask.answer} [{place[ask.index]}]"
        conversation.append({"role": "assistant", "content": answer})
    return conversation
