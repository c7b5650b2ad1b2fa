"""The product's prompt formats: one place, so that the embedded model is trained on exactly what the product sends.

Every function returns chat messages (``[{"role", "content"}]``) in the OpenAI shape. The wording is short on purpose: a
small model sees it thousands of times, a large one needs no more. Nothing here calls a model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from zhilu.messages import T

__all__ = [
    "REFUSAL",
    "Message",
    "Passage",
    "chat_messages",
    "grounded_messages",
    "is_refusal",
    "language_of",
    "rewrite_messages",
    "summary_messages",
    "title_messages",
]

Lang = Literal["en", "zh"]

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_LATIN_WORD = re.compile("[A-Za-zÀ-ɏ]+")


class Message(TypedDict, total=False):
    role: str
    content: str | None
    tool_calls: list[dict[str, Any]]


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
_QUESTION = T(en="Question: ", zh="问题：")
_REWRITE = T(
    en="Rewrite the last question so that it can be understood on its own. Reply with the question only.",
    zh="把最后一个问题改写成不看上文也能明白的问题。只回复改写后的问题。",
)
_TITLE = T(
    en="Give this conversation a title of at most eight words. Reply with the title only.",
    zh="给这段对话起一个不超过十二个字的标题。只回复标题。",
)
_SUMMARY = T(
    en="Summarise the text in one paragraph, using its own sentences.", zh="用原文的句子，把这段文字概括成一段话。"
)
_CHAT = T(en="You are Zhilu, a helpful assistant.", zh="你是指路，一个乐于助人的助手。")


def language_of(text: str) -> Lang:
    """``"zh"`` where at least as many Chinese characters as words in Latin letters carry the text, else ``"en"``.

    Words are counted and not letters: technical Chinese is full of long English names.
    """
    han = len(_HAN.findall(text))
    return "zh" if han and han >= len(_LATIN_WORD.findall(text)) else "en"


def grounded_messages(question: str, passages: Sequence[Passage], lang: Lang | None = None) -> list[Message]:
    """Ask for an answer copied from ``passages`` (numbered from 1) with citations ``[n]``, or the refusal sentence.

    The question stands before the passages and again after them: a causal model reads a passage knowing what is asked, so
    that a small one can tell what matters while it reads. The system prompt and the refusal follow the question's language,
    whatever the passages are written in.
    """
    lang = lang or language_of(question)
    blocks = []
    for number, passage in enumerate(passages, start=1):
        title = passage["title"].strip()
        blocks.append(
            f"[{number}] {title}\n{passage['text'].strip()}" if title else f"[{number}] {passage['text'].strip()}"
        )
    asked = f"{_QUESTION.say(lang)}{question.strip()}"
    return [
        {"role": "system", "content": _GROUNDED.say(lang)},
        {"role": "user", "content": "\n\n".join([asked, *blocks, asked])},
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


def title_messages(first_user_message: str, lang: Lang | None = None) -> list[Message]:
    """Ask for a short conversation title from its first message."""
    lang = lang or language_of(first_user_message)
    return [{"role": "system", "content": _TITLE.say(lang)}, {"role": "user", "content": first_user_message.strip()}]


def summary_messages(text: str, lang: Lang | None = None) -> list[Message]:
    """Ask for a one-paragraph extractive summary of ``text``."""
    lang = lang or language_of(text)
    return [{"role": "system", "content": _SUMMARY.say(lang)}, {"role": "user", "content": text.strip()}]


def chat_messages(history: Sequence[Message], lang: Lang | None = None) -> list[Message]:
    """Plain chat: the history behind the product's system prompt (kept if the history brings its own)."""
    if history and history[0]["role"] == "system":
        return list(history)
    last = next((m["content"] or "" for m in reversed(history) if m["role"] == "user"), "")
    return [{"role": "system", "content": _CHAT.say(lang or language_of(last))}, *history]
