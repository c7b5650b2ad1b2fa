"""A question about a picture: to a model that sees where the engine can, else to any model with the text that OCR reads.

Offline there is no captioner with an open licence in the package index: what stands in a picture as text can be read, what is
drawn in it cannot, and every answer says which way it came.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from zhilu.client import connect
from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.models.chosen import named_model
from zhilu.models.ocr import as_text, read_image
from zhilu.prompts.picture import picture_messages

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["BY_OCR", "MOST_BYTES", "Answer", "look", "look_at"]

BY_OCR = T(
    "Read by OCR; the model did not see the picture: it knows the text in it and nothing else.",
    "由 OCR 识别；模型没有看到图片，只知道其中的文字。",
)
MOST_BYTES = 20 * 2**20
_MOST_CHARS = 4000  # of text, so that a small model's window holds it
_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


class Answer(NamedTuple):
    """``way``: the model saw the picture, or was given the text in it (``text``)."""

    answer: str
    way: Literal["seen", "ocr"]
    model: str
    text: str


async def look(context: Context, path: Path, question: str, model: str | None = None) -> Answer:
    """What ``look_at`` does, for a file. Raises the same."""
    return await look_at(context, await asyncio.to_thread(path.read_bytes), path.name, question, model)


async def look_at(context: Context, picture: bytes, title: str, question: str, model: str | None = None) -> Answer:
    """
    Args:
        title: the picture's name in messages.

    Raises:
        InputError: it is no picture, or one in which nothing can be read. MissingComponentError: OCR is not installed.
        UnreachableError and what the model's server raises.
    """
    kind = next((name for sign, name in _TYPES.items() if picture.startswith(sign)), None)
    if kind is None:
        raise InputError(
            T(f"{title!r} is no PNG, JPEG, GIF or WebP.", f"{title!r} 不是 PNG、JPEG、GIF 或 WebP 图片。"),
            param="file",
            code="not_an_image",
        )
    if len(picture) > MOST_BYTES:
        raise TooLargeError(T("The picture is larger than 20 MB.", "图片超过 20 MB。"), param="file")
    name = named_model(context, model)
    async with connect(context) as client:
        url = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
        try:
            reply = await client.chat([{"role": "user", "content": parts}], model=name, max_tokens=300)
            return Answer(_said(reply), "seen", name, "")
        except InputError as error:  # the engine has no eyes: it is refused by name (wire/capabilities.py)
            if error.code != "unsupported_parameter" or not str(error.param).startswith("messages"):
                raise
        read = as_text((await asyncio.to_thread(read_image, picture)).lines).strip()
        if not read:
            raise InputError(
                T(
                    "No text can be read in this picture, and the model that runs cannot see it.",
                    "这张图片里没有可识别的文字，而当前模型看不到图片。",
                ),
                param="file",
                code="nothing_to_read",
                fix="zhilu model catalog",
            )
        reply = await client.chat(
            picture_messages(read[:_MOST_CHARS], question), model=name, max_tokens=300, temperature=0
        )
        return Answer(_said(reply), "ocr", name, read)


def _said(reply: dict[str, object]) -> str:
    choices = reply["choices"]
    assert isinstance(choices, list)
    return str(choices[0]["message"]["content"] or "").strip()
