"""Ollama's messages as OpenAI's: calls get ids, and pictures become parts of the content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.wire.ollama.request import Said

__all__ = ["messages_of", "with_images"]


def messages_of(messages: Sequence[Said]) -> Iterator[dict[str, Any]]:
    """OpenAI's messages. Ollama's calls need no ids: ours are numbered, and results take them in order, or by name."""
    open_calls: list[tuple[str, str]] = []  # (id, name) of calls that have no result yet
    num_calls = 0
    for number, message in enumerate(messages):
        content = message.content or ""
        if message.images and message.role != "user":
            raise InputError(
                T(
                    f"messages.{number}.images: only a user shows pictures",
                    f"messages.{number}.images：只有 user 消息可以带图片",
                ),
                param=f"messages.{number}.images",
            )
        if message.role == "tool":
            wanted = message.tool_name or message.name
            match = next((call for call in open_calls if call[1] == wanted or call[0] == message.tool_call_id), None)
            match = match or (open_calls[0] if open_calls else None)
            if match in open_calls:
                open_calls.remove(match)
            id = message.tool_call_id or (match[0] if match else f"call_{num_calls}")
            yield {"role": "tool", "tool_call_id": id, "content": content}
        elif message.tool_calls:
            calls = []
            for call in message.tool_calls:
                id = call.id or f"call_{num_calls}"
                num_calls += 1
                open_calls.append((id, call.function.name))
                arguments = json.dumps(call.function.arguments, ensure_ascii=False)
                calls.append(
                    {"id": id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}}
                )
            yield {"role": "assistant", "content": content or None, "tool_calls": calls}
        else:
            yield {"role": message.role, "content": with_images(content, message.images, f"messages.{number}.images")}


# How the base64 of a picture begins (four characters are three bytes, so that the beginning of a file is always the same).
_PICTURES = {"iVBORw0KGgo": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}


def with_images(text: str, images: Sequence[str] | None, param: str) -> str | list[dict[str, Any]]:
    """The content of a chat message; InputError for a picture that is none of the known kinds."""
    if not images:
        return text
    parts: list[dict[str, Any]] = []
    for image in images:
        kind = next((kind for start, kind in _PICTURES.items() if image.startswith(start)), None)
        if kind is None:
            raise InputError(
                T(
                    f"{param}: pictures are the base64 of a PNG, JPEG, GIF or WebP file",
                    f"{param}：图片必须是 PNG、JPEG、GIF 或 WebP 文件的 base64",
                ),
                param=param,
                code="not_an_image",
            )
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{image}"}})
    return [*parts, *([{"type": "text", "text": text}] if text else [])]
