"""The Responses API's input as chat messages, each with the item it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zhilu.errors import UnsupportedError
from zhilu.messages import T
from zhilu.wire.responses.request import (
    Call,
    CallOutput,
    FilePart,
    FileSearchCall,
    ImagePart,
    Part,
    Reasoning,
    RefusalPart,
    ResponsesRequest,
    TextPart,
)

__all__ = ["messages_of"]


def messages_of(request: ResponsesRequest) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each message stands in the request, and the message. Calls join the assistant's message before them."""
    if request.instructions:
        yield "instructions", {"role": "system", "content": request.instructions}
    if isinstance(request.input, str):
        yield "input", {"role": "user", "content": request.input}
        return
    waiting: dict[str, Any] | None = None
    waiting_at = 0
    for number, item in enumerate(request.input):
        place = f"input.{number}"
        if isinstance(item, Reasoning | FileSearchCall):
            continue
        if isinstance(item, Call):
            waiting, waiting_at = waiting or {"role": "assistant", "content": None}, waiting_at if waiting else number
            function = {"name": item.name, "arguments": item.arguments}
            waiting.setdefault("tool_calls", []).append({"id": item.call_id, "type": "function", "function": function})
            continue
        if waiting:
            yield f"input.{waiting_at}", waiting
            waiting = None
        if isinstance(item, CallOutput):
            content = _content(item.output, f"{place}.output")
            yield place, {"role": "tool", "tool_call_id": item.call_id, "content": content}
        elif item.role == "assistant":
            waiting, waiting_at = {"role": "assistant", "content": _content(item.content, f"{place}.content")}, number
        else:
            yield place, {"role": item.role, "content": _content(item.content, f"{place}.content")}
    if waiting:
        yield f"input.{waiting_at}", waiting


def _content(content: str | list[Part], place: str) -> str | list[dict[str, Any]]:
    """Text where it is nothing but text: that is what every engine and every template takes."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{place}.{number}") for number, part in enumerate(content)]
    return "".join(p["text"] for p in parts) if all(p["type"] == "text" for p in parts) else parts


def _part(part: Part, place: str) -> dict[str, Any]:
    if isinstance(part, ImagePart):
        if part.image_url is None:
            raise _kept_elsewhere(place, "file_id")
        detail = {"detail": part.detail} if part.detail else {}
        return {"type": "image_url", "image_url": {"url": part.image_url, **detail}}
    if isinstance(part, FilePart):
        if part.file_data is None:
            raise _kept_elsewhere(place, "file_url" if part.file_url else "file_id")
        name = {"filename": part.filename} if part.filename else {}
        return {"type": "file", "file": {"file_data": part.file_data, **name}}
    assert isinstance(part, TextPart | RefusalPart)
    return {"type": "text", "text": part.text}


def _kept_elsewhere(place: str, name: str) -> UnsupportedError:
    return UnsupportedError(
        T(
            f"{place}.{name} is not supported: nothing is kept here, send the content itself",
            f"不支持 {place}.{name}：这里不保存文件，请直接发送内容",
        ),
        param=f"{place}.{name}",
    )
