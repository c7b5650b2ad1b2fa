"""Conversations: plain chat, and a title for one."""

from __future__ import annotations

from collections.abc import Sequence

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["chat_messages", "title_messages"]

_TITLE = T(
    en="Give this conversation a title of at most eight words. Reply with the title only.",
    zh="给这段对话起一个不超过十二个字的标题。只回复标题。",
)
_CHAT = T(en="You are Zhilu, a helpful assistant.", zh="你是指路，一个乐于助人的助手。")


def title_messages(first_user_message: str, lang: Lang | None = None) -> list[Message]:
    """Ask for a short conversation title from its first message."""
    lang = lang or language_of(first_user_message)
    return [{"role": "system", "content": _TITLE.say(lang)}, {"role": "user", "content": first_user_message.strip()}]


def chat_messages(history: Sequence[Message], lang: Lang | None = None) -> list[Message]:
    """Plain chat: the history behind the product's system prompt (kept if the history brings its own)."""
    if history and history[0]["role"] == "system":
        return list(history)
    last = next((m["content"] or "" for m in reversed(history) if m["role"] == "user"), "")
    return [{"role": "system", "content": _CHAT.say(lang or language_of(last))}, *history]
