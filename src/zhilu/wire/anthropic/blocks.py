"""The content blocks that a request may hold. Kinds that nothing here can read are refused by name before (``refuse_blocks``).

Source: Anthropic's API reference, "Messages", and its Python SDK's types. ``cache_control`` is taken anywhere and has no effect:
the prefix cache of an engine needs no marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from zhilu.errors import UnsupportedError
from zhilu.messages import T
from zhilu.wire.requests.base import Strict

__all__ = [
    "Block",
    "Content",
    "DocumentBlock",
    "ImageBlock",
    "RedactedBlock",
    "ResultBlock",
    "SearchResultBlock",
    "TextBlock",
    "TextOrBlocks",
    "ThinkingBlock",
    "ToolChangeBlock",
    "ToolReferenceBlock",
    "ToolUseBlock",
    "refuse_blocks",
]


class _Marked(Strict):
    cache_control: dict[str, Any] | None = None


class TextBlock(_Marked):
    """``citations``: of an answer that is sent back."""

    type: Literal["text"]
    text: str
    citations: list[Any] | None = None


class _Base64(Strict):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: Annotated[str, Field(min_length=1)]


class _Url(Strict):
    type: Literal["url"]
    url: Annotated[str, Field(pattern=r"^https?://")]


def _source_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>"


class ImageBlock(_Marked):
    type: Literal["image"]
    source: Annotated[Annotated[_Base64, Tag("<base64>")] | Annotated[_Url, Tag("<url>")], Discriminator(_source_kind)]
    transformations: Annotated[dict[str, Any], Field(max_length=0)] | None = None

    @property
    def url(self) -> str:
        """As chat completions take it."""
        source = self.source
        return source.url if isinstance(source, _Url) else f"data:{source.media_type};base64,{source.data}"


class _PlainText(Strict):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class _Pdf(Strict):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: Annotated[str, Field(min_length=1)]


def _list_or_text(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<str>"


TextOrBlocks = Annotated[
    Annotated[str, Tag("<str>")] | Annotated[list[TextBlock], Tag("<list>")], Discriminator(_list_or_text)
]


class _Blocks(Strict):
    type: Literal["content"]
    content: TextOrBlocks


class _Citations(Strict):
    enabled: Literal[False] | None = None  # nothing here cites by itself


class DocumentBlock(_Marked):
    type: Literal["document"]
    source: Annotated[
        Annotated[_PlainText, Tag("<text>")] | Annotated[_Pdf, Tag("<base64>")] | Annotated[_Blocks, Tag("<content>")],
        Discriminator(_source_kind),
    ]
    title: str | None = None
    context: str | None = None
    citations: _Citations | None = None


class SearchResultBlock(_Marked):
    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlock]
    citations: _Citations | None = None


class ThinkingBlock(Strict):
    """An earlier answer's thoughts. The signature is ours or another server's: it proves nothing here."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class RedactedBlock(Strict):
    """Thoughts that only Anthropic's servers can read."""

    type: Literal["redacted_thinking"]
    data: str


class _Caller(Strict):
    type: Literal["direct"]


class ToolUseBlock(_Marked):
    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1, max_length=256)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: dict[str, Any]
    caller: _Caller | None = None
    toolset_name: None = None


class ToolReferenceBlock(_Marked):
    """A tool that a search of the client's has found: it is offered from here on."""

    type: Literal["tool_reference"]
    tool_name: str


class _Named(Strict):
    type: Literal["tool_reference"]
    name: str


class ToolChangeBlock(_Marked):
    """Of a system message: one of ``tools`` is offered, or no longer offered, from here on."""

    type: Literal["tool_addition", "tool_removal"]
    tool: _Named


_CHANGES = ("tool_addition", "tool_removal")
_IN_RESULT = ("text", "image", "document", "search_result", "tool_reference")
_IN_MESSAGE = (*_IN_RESULT[:-1], "thinking", "redacted_thinking", "tool_use", "tool_result", *_CHANGES)


def _block_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if kind in _CHANGES:
        return "<tool_change>"
    return f"<{kind}>" if kind in (*_IN_MESSAGE, *_IN_RESULT) else "<text>"  # what has no type fails as text


_Text = Annotated[TextBlock, Tag("<text>")]
_Image = Annotated[ImageBlock, Tag("<image>")]
_Document = Annotated[DocumentBlock, Tag("<document>")]
_Found = Annotated[SearchResultBlock, Tag("<search_result>")]
_Reference = Annotated[ToolReferenceBlock, Tag("<tool_reference>")]
_Told = Annotated[_Text | _Image | _Document | _Found | _Reference, Discriminator(_block_kind)]


class ResultBlock(_Marked):
    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1, max_length=256)]
    content: (
        Annotated[Annotated[str, Tag("<str>")] | Annotated[list[_Told], Tag("<list>")], Discriminator(_list_or_text)]
        | None
    ) = None
    is_error: bool | None = None
    toolset_name: None = None


Block = Annotated[
    _Text
    | _Image
    | _Document
    | _Found
    | Annotated[ThinkingBlock, Tag("<thinking>")]
    | Annotated[RedactedBlock, Tag("<redacted_thinking>")]
    | Annotated[ToolUseBlock, Tag("<tool_use>")]
    | Annotated[ResultBlock, Tag("<tool_result>")]
    | Annotated[ToolChangeBlock, Tag("<tool_change>")],
    Discriminator(_block_kind),
]
Content = Annotated[Annotated[str, Tag("<str>")] | Annotated[list[Block], Tag("<list>")], Discriminator(_list_or_text)]


def refuse_blocks(data: Mapping[str, Any]) -> None:
    """UnsupportedError that names a kind of block, or of source, which cannot be read here. What is malformed is left to the parser."""
    for number, message in enumerate(_list(data.get("messages"))):
        content = message.get("content") if isinstance(message, dict) else None
        for place, block in enumerate(_list(content)):
            where = f"messages.{number}.content.{place}"
            _refuse_block(block, where, _IN_MESSAGE)
            if isinstance(block, dict) and block.get("type") == "tool_result":
                for inner, told in enumerate(_list(block.get("content"))):
                    _refuse_block(told, f"{where}.content.{inner}", _IN_RESULT)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_SOURCES = {"image": ("base64", "url"), "document": ("text", "base64", "content")}


def _refuse_block(block: Any, where: str, known: tuple[str, ...]) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        return
    if kind not in known:
        raise _unread(f"{where}.type", f"blocks of type {kind[:60]!r}", f"类型为 {kind[:60]!r} 的内容块")
    source = block.get("source")
    of = source.get("type") if isinstance(source, dict) else None
    if kind in _SOURCES and isinstance(of, str) and of not in _SOURCES[kind]:
        raise _unread(
            f"{where}.source.type", f"{kind} sources of type {of[:60]!r}", f"类型为 {of[:60]!r} 的 {kind} 来源"
        )
    cites = block.get("citations")
    if kind in ("document", "search_result") and isinstance(cites, dict) and cites.get("enabled"):
        raise _unread(f"{where}.citations", "citations", "引用标注")


def _unread(param: str, en: str, zh: str) -> UnsupportedError:
    return UnsupportedError(T(f"{param}: {en} are not supported", f"{param}：不支持{zh}"), param=param)
