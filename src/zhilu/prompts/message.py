"""What the prompts of every capability are made of: messages, and the language a text is written in."""

from __future__ import annotations

import re
from typing import Any, Literal, TypedDict

__all__ = ["Lang", "Message", "language_of"]

Lang = Literal["en", "zh"]

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_LATIN_WORD = re.compile("[A-Za-zÀ-ɏ]+")


class Message(TypedDict, total=False):
    role: str
    content: str | None
    tool_calls: list[dict[str, Any]]


def language_of(text: str) -> Lang:
    """``"zh"`` where at least as many Chinese characters as words in Latin letters carry the text, else ``"en"``.

    Words are counted and not letters: technical Chinese is full of long English names.
    """
    han = len(_HAN.findall(text))
    return "zh" if han and han >= len(_LATIN_WORD.findall(text)) else "en"
