"""Pictures for a model that cannot see, where somebody opted in: each becomes the text that OCR reads in it, and the reply says so.

Without the opt-in such a request is refused by name (``wire.capabilities``): a client that sends a photograph and gets an answer would
believe that it was seen. The opt-in is the setting ``image_ocr``, or the request header ``x-zhilu-image-ocr: 1`` (``0`` refuses also where the
setting is on). The reply has the header ``x-zhilu-image-ocr: NUMBER`` of pictures. Only text is read: nothing that is drawn.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.models.ocr import as_text, read_image

__all__ = ["IMAGE_OCR", "MOST_CHARACTERS", "MOST_PICTURES", "is_wanted", "read_out"]

IMAGE_OCR = "x-zhilu-image-ocr"
MOST_PICTURES, MOST_CHARACTERS = 4, 4000  # of a request; of text in one, so that a small model's window holds it
_MOST_BYTES = 20 * 2**20
_PIECES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/gif;base64,", "data:image/webp;base64,")
_READ = T(
    en="[Picture {number}. You cannot see it. The text that OCR read in it:]",
    zh="[图片 {number}。你看不到它，以下是 OCR 从中读出的文字：]",
)


def is_wanted(header: str | None, setting: bool) -> bool:
    return setting if header is None else header.strip() == "1"


async def read_out(data: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The request with text in place of pictures, and how many there were.

    Raises:
        InputError: a picture at an address (nothing is fetched), one that is none, or one in which there is no text. TooLargeError: too
            many, or too large. MissingComponentError: OCR is not installed.
    """
    contents = [m.get("content") for m in data.get("messages") or () if isinstance(m, Mapping)]
    if sum(_is_picture(part) for content in contents if isinstance(content, list) for part in content) > MOST_PICTURES:
        raise TooLargeError(  # before the first is read
            T(
                f"OCR reads {MOST_PICTURES} pictures of a request at most.",
                f"一次请求最多对 {MOST_PICTURES} 张图片做 OCR。",
            ),
            param="messages",
        )
    number = 0
    messages = []
    for place, message in enumerate(data.get("messages") or ()):
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, list):
            parts = []
            for part in content:
                if _is_picture(part):
                    number += 1
                    parts.append(await _read(part, number, f"messages.{place}.content"))
                else:
                    parts.append(part)
            message = {**message, "content": _joined(parts)}
        messages.append(message)
    return {**data, "messages": messages}, number


def _is_picture(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "image_url"


async def _read(part: Mapping[str, Any], number: int, param: str) -> dict[str, str]:
    text = as_text((await asyncio.to_thread(read_image, _bytes_of(part, param))).lines).strip()
    if not text:
        raise InputError(
            T(
                "No text can be read in this picture, and the model cannot see it.",
                "这张图片里没有可识别的文字，而模型看不到图片。",
            ),
            param=param,
            code="nothing_to_read",
            fix="zhilu model catalog",
        )
    lang = "zh" if any("\u4e00" <= sign <= "\u9fff" for sign in text) else "en"
    return {"type": "text", "text": f"{_READ.say(lang).format(number=number)}\n{text[:MOST_CHARACTERS]}"}


def _bytes_of(part: Mapping[str, Any], param: str) -> bytes:
    address = part.get("image_url")
    url = str(address.get("url") if isinstance(address, Mapping) else address)
    head = next((piece for piece in _PIECES if url.startswith(piece)), None)
    if head is None:
        raise InputError(
            T(
                "OCR reads pictures that are sent along (data:image/png;base64,… or JPEG, GIF, WebP); none is fetched.",
                "OCR 只读取随请求发送的图片（data:image/png;base64,… 或 JPEG、GIF、WebP），不会去下载。",
            ),
            param=param,
            code="not_an_image",
        )
    if len(url) > _MOST_BYTES * 4 // 3 + 64:
        raise TooLargeError(T("The picture is larger than 20 MB.", "图片超过 20 MB。"), param=param)
    try:
        return base64.b64decode(url[len(head) :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            T("The picture is no base64.", "图片不是 base64。"), param=param, code="not_an_image"
        ) from error


def _joined(parts: list[Any]) -> Any:
    """One text where all is text: templates of models that cannot see take no lists."""
    if all(isinstance(part, Mapping) and part.get("type") == "text" for part in parts):
        return "\n\n".join(str(part["text"]) for part in parts)
    return parts
