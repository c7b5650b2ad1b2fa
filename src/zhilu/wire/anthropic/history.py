"""The conversation of Anthropic's API as chat messages, each with the place in the request that it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from zhilu.wire.anthropic.blocks import (
    DocumentBlock,
    ImageBlock,
    RedactedBlock,
    ResultBlock,
    SearchResultBlock,
    TextBlock,
    ThinkingBlock,
    ToolChangeBlock,
    ToolReferenceBlock,
    ToolUseBlock,
)
from zhilu.wire.anthropic.errors import refused
from zhilu.wire.anthropic.request import MessagesRequest

__all__ = ["Spoken", "conversation"]

_Part = tuple[str, dict[str, Any]]  # where it stands in the request, and the part of a chat message


class Spoken:
    """One chat message in the making.

    Attributes:
        place: of the first message of the request that it was made of.
        parts: text and other content, each with its place.
    """

    def __init__(self, role: str, place: str) -> None:
        self.role, self.place = role, place
        self.parts: list[_Part] = []
        self.thoughts: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.answers: str | None = None  # the call that a tool's message answers

    @property
    def content(self) -> str | list[dict[str, Any]]:
        """Text where it is nothing but text: that is what every engine and every template takes."""
        parts = _merged(self.parts)
        if all(part["type"] == "text" for _, part in parts):
            return "".join(part["text"] for _, part in parts)
        return [part for _, part in parts]

    @property
    def places(self) -> list[str]:
        return [place for place, _ in _merged(self.parts)]

    def message(self) -> dict[str, Any]:
        content: Any = self.content
        told: dict[str, Any] = {"role": self.role, "content": content}
        if self.calls:
            told |= {"content": content or None, "tool_calls": self.calls}
        if self.thoughts:
            told["reasoning_content"] = _joined(self.thoughts)
        if self.answers is not None:
            told["tool_call_id"] = self.answers
        return told


def conversation(request: MessagesRequest) -> list[Spoken]:
    """Turns of one speaker that follow each other become one message, as in Anthropic's API; an empty last answer is none.

    Raises:
        InputError: a result of a call that nobody made, or a block that its speaker does not say.
    """
    said: list[Spoken] = []
    if request.system:
        system = Spoken("system", "system")
        system.parts = list(_texts(request.system, "system"))
        said.append(system)
    asked_at = max(
        (n for n, turn in enumerate(request.messages) if turn.role == "user" and not _results(turn)), default=-1
    )
    users = [n for n, turn in enumerate(request.messages) if turn.role == "user"]
    called: set[str] = set()
    for number, turn in enumerate(request.messages):
        place = f"messages.{number}"
        blocks = _blocks(turn.content)
        if turn.role == "user":
            _user(said, blocks, place, called)
        elif turn.role == "assistant":
            _assistant(said, blocks, place, called, thinks=number > asked_at)
        elif turn.clear_at != "next_user_message" or number > (users[-1] if users else -1):
            _system(said, blocks, place)
    if not said:
        raise refused("messages", "nobody says anything", "没有任何内容")
    last = said[-1]
    if last.role == "assistant" and not last.calls and not last.content and len(said) > 1:
        said.pop()
    return said


def _blocks(content: str | Sequence[Any]) -> list[Any]:
    return [TextBlock(type="text", text=content)] if isinstance(content, str) else list(content)


def _results(turn: Any) -> bool:
    return not isinstance(turn.content, str) and any(isinstance(block, ResultBlock) for block in turn.content)


def _user(said: list[Spoken], blocks: list[Any], place: str, called: set[str]) -> None:
    """Results come first, as messages of their own; what a tool's message cannot hold (pictures) joins the user's."""
    parts: list[_Part] = []
    for number, block in enumerate(blocks):
        if not isinstance(block, ResultBlock):
            continue
        where = f"{place}.content.{number}"
        if block.tool_use_id not in called:
            raise refused(
                f"{where}.tool_use_id",
                f"no tool_use before it has the id {block.tool_use_id[:80]!r}",
                f"之前没有 id 为 {block.tool_use_id[:80]!r} 的 tool_use",
            )
        result = Spoken("tool", place)
        result.answers = block.tool_use_id
        told = list(_told(block.content or "", where))
        result.parts = [part for part in told if part[1]["type"] == "text"]
        if block.is_error:
            result.parts.insert(0, (where, {"type": "text", "text": "Error: "}))
        parts += [part for part in told if part[1]["type"] != "text"]
        said.append(result)
    for number, block in enumerate(blocks):
        if not isinstance(block, ResultBlock):
            parts += _read(block, f"{place}.content.{number}", "user")
    if not parts and _results_only(blocks):
        return
    if not (said and said[-1].role == "user"):
        said.append(Spoken("user", place))
    said[-1].parts += parts


def _results_only(blocks: list[Any]) -> bool:
    return bool(blocks) and all(isinstance(block, ResultBlock) for block in blocks)


def _assistant(said: list[Spoken], blocks: list[Any], place: str, called: set[str], thinks: bool) -> None:
    """``thinks``: it belongs to the turn that is going on. Thoughts of earlier ones are left out, as in Anthropic's API."""
    if not (said and said[-1].role == "assistant"):
        said.append(Spoken("assistant", place))
    own = said[-1]
    for number, block in enumerate(blocks):
        where = f"{place}.content.{number}"
        if isinstance(block, ThinkingBlock):
            own.thoughts += [block.thinking] if thinks and block.thinking else []
        elif isinstance(block, ToolUseBlock):
            called.add(block.id)
            arguments = json.dumps(block.input, ensure_ascii=False)
            function = {"name": block.name, "arguments": arguments}
            own.calls.append({"id": block.id, "type": "function", "function": function})
        elif not isinstance(block, RedactedBlock):
            own.parts += _read(block, where, "assistant")


def _system(said: list[Spoken], blocks: list[Any], place: str) -> None:
    """At the beginning a message of its own. Later on a part of the user's: many chat templates know no other place for it."""
    parts = [
        part for number, block in enumerate(blocks) for part in _read(block, f"{place}.content.{number}", "system")
    ]
    if not said or (len(said) == 1 and said[0].role == "system"):
        said[:] = said or [Spoken("system", place)]
        said[0].parts += parts
        return
    if not (text := _joined(part["text"] for _, part in parts)):
        return
    if said[-1].role != "user":
        said.append(Spoken("user", place))
    said[-1].parts.append((place, {"type": "text", "text": f"<system>\n{text}\n</system>"}))


def _told(content: str | Sequence[Any], place: str) -> Iterable[_Part]:
    if isinstance(content, str):
        yield place, {"type": "text", "text": content}
        return
    for number, block in enumerate(content):
        if isinstance(block, ToolReferenceBlock):
            yield place, {"type": "text", "text": f"The tool {block.tool_name} can be called now."}
        else:
            yield from _read(block, f"{place}.content.{number}", "user")


def _texts(content: str | Sequence[TextBlock], place: str) -> Iterable[_Part]:
    for block in _blocks(content):
        yield place, {"type": "text", "text": block.text}


def _read(block: Any, place: str, role: str) -> Iterable[_Part]:
    """A block that is content, as parts of a chat message."""
    if isinstance(block, TextBlock):
        yield place, {"type": "text", "text": block.text}
        return
    if isinstance(block, ToolChangeBlock) and role == "system":
        ends = "can be called now" if block.type == "tool_addition" else "can no longer be called"
        yield place, {"type": "text", "text": f"The tool {block.tool.name} {ends}."}
        return
    if role != "user" or not isinstance(block, ImageBlock | DocumentBlock | SearchResultBlock):
        kind = block.type
        raise refused(f"{place}.type", f"{role} messages have no {kind!r} blocks", f"{role} 消息不能有 {kind!r} 内容块")
    if isinstance(block, ImageBlock):
        yield place, {"type": "image_url", "image_url": {"url": block.url}}
    elif isinstance(block, SearchResultBlock):
        found = _joined([f"{block.title} ({block.source})", *(text.text for text in block.content)])
        yield place, {"type": "text", "text": f"<search_result>\n{found}\n</search_result>"}
    elif block.source.type == "base64":
        name = {"filename": block.title} if block.title else {}
        data = f"data:application/pdf;base64,{block.source.data}"
        yield place, {"type": "file", "file": {"file_data": data, **name}}
    else:
        source = block.source
        text = (
            source.data if source.type == "text" else _joined(part["text"] for _, part in _texts(source.content, place))
        )
        whole = _joined([*filter(None, (block.title, block.context)), text])
        yield place, {"type": "text", "text": f"<document>\n{whole}\n</document>"}


def _merged(parts: Sequence[_Part]) -> list[_Part]:
    """Texts that follow each other as one, each a paragraph of its own; empty ones say nothing."""
    merged: list[_Part] = []
    waiting: list[_Part] = []
    for part in [*parts, None]:
        if part is not None and part[1]["type"] == "text":
            waiting += [part] if part[1]["text"] else []
            continue
        if waiting:
            text = _joined(one["text"] for _, one in waiting)
            merged.append((waiting[0][0], {"type": "text", "text": text}))
            waiting = []
        if part is not None:
            merged.append(part)
    return merged


def _joined(texts: Iterable[str]) -> str:
    """Blocks as paragraphs, unless white space parts them already: a client may have cut a sentence."""
    pieces: list[str] = []
    for text in texts:
        if not text:
            continue
        if pieces and not pieces[-1][-1].isspace() and not text[0].isspace():
            pieces.append("\n\n")
        pieces.append(text)
    return "".join(pieces)
