"""A branch of a conversation as the model reads it: files stand before their question, pictures beside it.

A model that cannot see is given the text that OCR read in a picture, and the answer says so; where there is no text either, it
is an error that names the picture. None is left out in silence.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from zhilu.apps.chat.attach import Attachments, with_files
from zhilu.apps.chat.store import Conversation, ConversationStore, Message
from zhilu.context import Context
from zhilu.errors import InputError, UnsupportedError, ZhiluError
from zhilu.messages import T
from zhilu.prompts import Message as PromptMessage

__all__ = ["BY_OCR", "bound", "has_pictures", "is_blind", "told", "told_with_pictures"]

BY_OCR = T(
    "The model cannot see pictures: it was given the text that OCR read in them, and knows nothing else of them.",
    "这个模型看不到图片：给它的只有 OCR 从图片中识别出的文字，除此之外它一无所知。",
)


def bound(
    context: Context, conversation: Conversation, content: str | None, ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Give attached files to a conversation; what its message keeps of them."""
    if not ids:
        return []
    if content is None:
        raise InputError(
            T(
                "Files go with a question, not with another answer to one.",
                "附件随问题一起发送，重新回答时不能再附加。",
            ),
            param="attachments",
        )
    if (conversation.kb_id or conversation.web) and not conversation.tools:
        raise InputError(
            T(
                "This conversation answers from documents that are not its own files. Add the file to a knowledge base, or talk "
                "without it.",
                "这段对话用知识库或网络回答，不读附件。请把文件加入知识库，或者改为普通对话。",
            ),
            param="attachments",
            fix=f"zhilu kb add {conversation.kb_id or 'NAME'} FILE",
        )
    return Attachments(context).bind(conversation.id, ids)


def has_pictures(history: Sequence[Message]) -> bool:
    return any(one.get("picture") for message in history for one in message.attachments)


def is_blind(error: ZhiluError) -> bool:
    """Whether an engine refused a message by its kind: it has no eyes (``wire.capabilities``)."""
    return isinstance(error, InputError) and error.code == UnsupportedError.kind and "messages" in str(error.param)


def told(context: Context, history: Sequence[Message]) -> list[PromptMessage]:
    """All of it as text; of pictures what OCR read in them. How much of each file is shown is kept with its message.

    Raises:
        InputError: a picture in which there is no text: a model that cannot see knows nothing of it.
    """
    files = Attachments(context).texts(_ids(history))
    blank = [file.name for file in files.values() if not file.text.strip()]
    if blank:
        raise InputError(
            T(
                f"The model cannot see pictures, and no text was read in {', '.join(blank)}. Choose a model that sees.",
                f"这个模型看不到图片，而 {'、'.join(blank)} 中没有识别出文字。请选择能看图片的模型。",
            ),
            param="attachments",
            code="nothing_to_read",
            fix="zhilu model catalog",
        )
    return _with_texts(context, history, set())


def told_with_pictures(context: Context, history: Sequence[Message]) -> list[dict[str, Any]]:
    """The same for a model that sees: pictures as they are."""
    pictures = Attachments(context).pictures(_ids(history))
    written: list[dict[str, Any]] = []
    kept = [m for m in history if m.content]
    for message, text in zip(kept, _with_texts(context, history, set(pictures)), strict=True):
        own = [pictures[one["id"]] for one in message.attachments if one["id"] in pictures]
        parts = [
            {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(content).decode()}"}}
            for kind, content in own
        ]
        said = text["content"]
        written.append({"role": message.role, "content": [*parts, {"type": "text", "text": said}] if parts else said})
    return written


def _ids(history: Sequence[Message]) -> list[str]:
    return [one["id"] for message in history for one in message.attachments]


def _with_texts(context: Context, history: Sequence[Message], without: set[str]) -> list[PromptMessage]:
    asked = [m for m in history if m.role == "user"]
    if not _ids(asked):
        return [{"role": m.role, "content": m.content} for m in history if m.content]
    files = {i: f for i, f in Attachments(context).texts(_ids(asked)).items() if i not in without}
    texts, shown = with_files([(m.content, m.attachments) for m in asked], files, context.settings.chat_file_chars)
    for message in asked:
        kept = [{**one, "shown": one["num_chars"] if one["id"] in without else shown.get(one["id"], 0)} for one in message.attachments]  # fmt: skip
        if kept != message.attachments:
            ConversationStore(context).save_answer(message.id, attachments=kept)
    of = dict(zip((m.id for m in asked), texts, strict=True))
    return [{"role": m.role, "content": of.get(m.id, m.content)} for m in history if m.content]
