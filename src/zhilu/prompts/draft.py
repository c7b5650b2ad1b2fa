"""A made-up answer to search with: its words are nearer to a passage's than a question's are (HyDE)."""

from __future__ import annotations

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["draft_messages"]

_DRAFT = T(
    en="Write one sentence, as it might stand in a document, that answers the question. Invent what you do not know.",
    zh="写一句可能出现在文档里、能回答这个问题的话。不知道的内容可以虚构。",
)


def draft_messages(question: str, lang: Lang | None = None) -> list[Message]:
    """Ask for a sentence that might answer ``question``; it is searched with and never shown."""
    lang = lang or language_of(question)
    return [{"role": "system", "content": _DRAFT.say(lang)}, {"role": "user", "content": question.strip()}]
