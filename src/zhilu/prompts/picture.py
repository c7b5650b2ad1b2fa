"""A question about a picture that the model cannot see: it gets the text that was read in it, and is told so."""

from __future__ import annotations

from zhilu.messages import T
from zhilu.prompts.message import Lang, Message, language_of

__all__ = ["picture_messages"]

_READ = T(
    en="You cannot see the picture. This is the text that OCR read in it. Answer the question from this text, briefly.",
    zh="你看不到图片，下面是 OCR 从图片中读出的文字。请根据这些文字简短地回答问题。",
)
_TEXT, _QUESTION = T(en="Text in the picture:", zh="图片中的文字："), T(en="Question:", zh="问题：")


def picture_messages(read: str, question: str, lang: Lang | None = None) -> list[Message]:
    """Ask ``question`` about a picture in which ``read`` stands."""
    lang = lang or language_of(question)
    content = f"{_READ.say(lang)}\n\n{_TEXT.say(lang)}\n{read.strip()}\n\n{_QUESTION.say(lang)}{question.strip()}"
    return [{"role": "user", "content": content}]
