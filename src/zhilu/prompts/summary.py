"""Long text: a summary."""

from __future__ import annotations

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["summary_messages"]

_SUMMARY = T(
    en="Summarise the text in one paragraph, using its own sentences.", zh="用原文的句子，把这段文字概括成一段话。"
)


def summary_messages(text: str, lang: Lang | None = None) -> list[Message]:
    """Ask for a one-paragraph extractive summary of ``text``."""
    lang = lang or language_of(text)
    return [{"role": "system", "content": _SUMMARY.say(lang)}, {"role": "user", "content": text.strip()}]
