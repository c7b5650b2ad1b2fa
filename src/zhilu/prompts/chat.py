"""Conversations: plain chat, a question with files, and a title."""

from __future__ import annotations

from collections.abc import Sequence

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["attached_message", "chat_messages", "title_messages"]

_TITLE = T(
    en="Give this conversation a title of at most eight words. Reply with the title only.",
    zh="给这段对话起一个不超过十二个字的标题。只回复标题。",
)
_CHAT = T(en="You are Zhilu, a helpful assistant.", zh="你是指路，一个乐于助人的助手。")
_FILE = T(en="File {name}{part}:", zh="文件 {name}{part}：")
_PART = T(en=" (parts of it)", zh="（节选）")
_GAP = "[…]"


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


def attached_message(question: str, files: Sequence[tuple[str, Sequence[str], bool]], lang: Lang | None = None) -> str:
    """The question with the files before it. ``files``: name, pieces in their order, whether that is all of it.

    What stands in a file is shown between fences that it cannot close."""
    lang = lang or language_of(question)
    shown = []
    for name, pieces, is_whole in files:
        text = (f"\n{_GAP}\n" if not is_whole else "\n").join(pieces)
        fence = "`" * max(3, _longest_run(text) + 1)
        head = _FILE.say(lang).format(name=name, part="" if is_whole else _PART.say(lang))
        shown.append(f"{head}\n{fence}\n{text}\n{fence}")
    return "\n\n".join([*shown, question])


def _longest_run(text: str) -> int:
    longest = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    return longest
