"""Knowledge bases: an answer from numbered passages, the refusal, and a follow-up rewritten to stand alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = [
    "REFUSAL",
    "Passage",
    "direct_messages",
    "grounded_messages",
    "is_refusal",
    "rewrite_messages",
    "searched_content",
]


class Passage(TypedDict):
    """A numbered passage as the model sees it; ``title`` is the document name or heading path, may be empty."""

    title: str
    text: str


# The one sentence that stands for "the documents do not hold it". Matched by prefix, so a model may go on after it.
REFUSAL = T(en="The documents do not say.", zh="文档中没有提到。")

_GROUNDED = T(
    en="Answer from the numbered passages only. Copy the answer from the passage and cite it as [n]. "
    f"If no passage holds the answer, say: {REFUSAL.en}",
    zh=f"只根据编号的段落回答。从段落中抄出答案，并用 [n] 注明出处。如果段落中没有答案，就说：{REFUSAL.zh}",
)
_SEARCHED = T(
    en="Answer with what the numbered passages say, and cite them as [n].",
    zh="根据编号的段落回答，并用 [n] 注明出处。",
)
_DIRECT = T(
    en="Answer the question directly and briefly, in English, with what the text says.",
    zh="根据资料，用中文直接、简短地回答问题。",
)
_QUESTION = T(en="Question: ", zh="问题：")
_ABOUT = T(en="What does the text say about {it}?", zh="关于{it}，资料怎么说？")
_BEFORE = T(en="Asked before: ", zh="上一个问题：")
_REWRITE = T(
    en="Rewrite the last question so that it can be understood on its own. Reply with the question only.",
    zh="把最后一个问题改写成不看上文也能明白的问题。只回复改写后的问题。",
)


def grounded_messages(question: str, passages: Sequence[Passage], lang: Lang | None = None) -> list[Message]:
    """Ask for an answer copied from ``passages`` (numbered from 1) with citations ``[n]``, or the refusal sentence.

    The question stands before the passages and again after them: a causal model reads a passage knowing what is asked, so
    that a small one can tell what matters while it reads. The system prompt and the refusal follow the question's language,
    whatever the passages are written in.
    """
    lang = lang or language_of(question)
    blocks = _numbered(passages)
    asked = f"{_QUESTION.say(lang)}{question.strip()}"
    return [
        {"role": "system", "content": _GROUNDED.say(lang)},
        {"role": "user", "content": "\n\n".join([asked, *blocks, asked])},
    ]


def searched_content(question: str, passages: Sequence[Passage], lang: Lang | None = None) -> str:
    """A message of somebody's own conversation with the passages that were found for it before it; as it is without any."""
    if not passages:
        return question
    return "\n\n".join([*_numbered(passages), _SEARCHED.say(lang or language_of(question)), question])


def _numbered(passages: Sequence[Passage]) -> list[str]:
    blocks = []
    for number, passage in enumerate(passages, start=1):
        title = passage["title"].strip()
        blocks.append(
            f"[{number}] {title}\n{passage['text'].strip()}" if title else f"[{number}] {passage['text'].strip()}"
        )
    return blocks


def direct_messages(
    question: str,
    passages: Sequence[Passage],
    lang: Lang | None = None,
    *,
    before: str | None = None,
    answered: str | None = None,
    about: str | None = None,
) -> list[Message]:
    """Ask a model that reads by itself for a short answer; ``before`` is the question that a follow-up goes on from.

    ``answered``: what was answered to that. Then both stand as a turn of their own before the follow-up: of 12 follow-ups a
    1.5 B model answers 11 rightly so, 10 by ``about``, and 4 where the earlier question only stands before the new one.

    ``about``: all that a follow-up says ("the dryer" of "And the dryer?"). Where the earlier answer is not known, it is asked
    for alone: with the earlier question beside it, small models answer the earlier one once more.

    There is no "if it is not there, say so": of 34 plain questions such a clause makes models of 0.5 B and 1.5 B parameters
    refuse 10 and 14, most of which the passage answers. Whether the documents hold an answer is decided without it. No
    numbers and no marks to copy either: where the answer stands is looked up afterwards.
    """
    lang = lang or language_of(question)
    blocks = [f"{p['title'].strip()}\n{p['text'].strip()}".strip() for p in passages]
    if before and answered:
        return [
            {"role": "system", "content": _DIRECT.say(lang)},
            {"role": "user", "content": "\n\n".join([*blocks, f"{_QUESTION.say(lang)}{before.strip()}"])},
            {"role": "assistant", "content": answered.strip()},
            {"role": "user", "content": f"{_QUESTION.say(lang)}{question.strip()}"},
        ]
    asked = f"{_QUESTION.say(lang)}{_ABOUT.say(lang).format(it=about) if about else question.strip()}"
    if before and not about:
        asked = f"{_BEFORE.say(lang)}{before.strip()}\n{asked}"
    return [
        {"role": "system", "content": _DIRECT.say(lang)},
        {"role": "user", "content": "\n\n".join([*blocks, asked])},
    ]


def is_refusal(answer: str) -> bool:
    """True if an answer opens with the refusal sentence of either language (punctuation at its end may be missing)."""
    head = answer.strip().lower()
    return any(head.startswith(REFUSAL.say(lang).rstrip(".。").lower()) for lang in ("en", "zh"))


def rewrite_messages(history: Sequence[str], question: str, lang: Lang | None = None) -> list[Message]:
    """Ask for a standalone form of ``question``; ``history`` holds the earlier questions, oldest first."""
    lang = lang or language_of(question)
    lines = "\n".join(f"- {turn.strip()}" for turn in [*history, question])
    return [{"role": "system", "content": _REWRITE.say(lang)}, {"role": "user", "content": lines}]
