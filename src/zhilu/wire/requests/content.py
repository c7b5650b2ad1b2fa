"""What a message contains: text, and parts of other kinds that only some engines can read.

Every kind that OpenAI defines is known here; ``capabilities`` says which engine reads which. An engine that reads only text never
gets a picture: the request is refused, and the error names the part's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests.base import Strict

__all__ = ["ROLES", "Content", "Message", "Part", "ToolCall", "unknown_role"]


class TextPart(Strict):
    type: Literal["text"]
    text: str


class RefusalPart(Strict):
    """The assistant's words where it declined; to the model they are text like any other."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


class ImageUrl(Strict):
    url: Annotated[str, Field(pattern=r"^(https?://|data:image/)")]
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: ImageUrl


class InputAudio(Strict):
    data: Annotated[str, Field(min_length=1)]  # base64
    format: Literal["wav", "mp3"]


class AudioPart(Strict):
    type: Literal["input_audio"]
    input_audio: InputAudio


class File(Strict):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Strict):
    type: Literal["file"]
    file: File


class _OtherPart(Strict):
    """Stands for what is none of them, so that its ``type`` is what is named."""

    type: Literal["text", "image_url", "input_audio", "file", "refusal"]


_KINDS = ("text", "refusal", "image_url", "input_audio", "file")


def _part_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if kind in _KINDS else "<other>"


def _content_kind(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<str>"


Part = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ImagePart, Tag("<image_url>")]
    | Annotated[AudioPart, Tag("<input_audio>")]
    | Annotated[FilePart, Tag("<file>")]
    | Annotated[_OtherPart, Tag("<other>")],
    Discriminator(_part_kind),
]
Content = Annotated[Annotated[str, Tag("<str>")] | Annotated[list[Part], Tag("<list>")], Discriminator(_content_kind)]


class FunctionCall(Strict):
    name: str
    arguments: str  # JSON text, as the model wrote it


class ToolCall(Strict):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | None = None  # of a streamed call; clients that collect deltas send it back


ROLES = ("system", "developer", "user", "assistant", "tool")
# What other protocols and data sets call the same speakers.
_OTHER_NAMES = {"human": "user", "ai": "assistant", "bot": "assistant", "gpt": "assistant"}


def _nearest_role(given: str) -> str | None:
    """The role that was surely meant; None for a word that may be a role of the model's own."""
    plain = given.strip().lower()
    close = get_close_matches(plain, ROLES, n=1, cutoff=0.8)
    return _OTHER_NAMES.get(plain) or (close[0] if close else None)


def unknown_role(given: str) -> T:
    """What is said of a role that is none, with those there are."""
    meant = _nearest_role(given)
    return T(
        f"unknown: {given!r};" + (f" did you mean {meant!r}?" if meant else "") + f" the roles are {', '.join(ROLES)}",
        f"未知：{given!r}；" + (f"您是不是想用 {meant!r}？" if meant else "") + f"可用的角色有 {'、'.join(ROLES)}",
    )


class Message(Strict):
    """One message of the history; fields beyond ``role`` and ``content`` belong to the assistant or tool role.

    Some models' chat templates know roles and fields of their own, so these are handed to the template (as vLLM does). A
    name that is almost a known one is refused: it is a slip.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: Content | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None  # the assistant's words where it declined, in place of content
    # The official clients send these back as null when a reply is put into the history.
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Message:
        if self.role not in ROLES and _nearest_role(self.role):
            raise Refusal("role", unknown_role(self.role))
        for name in self.model_extra or ():
            meant = get_close_matches(name, tuple(type(self).model_fields), n=1, cutoff=0.8)
            if meant:
                raise Refusal(
                    name,
                    T(
                        f"unknown: {name!r}; did you mean {meant[0]!r}?",
                        f"未知：{name!r}；您是不是想用 {meant[0]!r}？",
                    ),
                )
        if self.refusal is not None and self.role != "assistant":
            raise Refusal("refusal", T("only an assistant refuses", "只有 assistant 消息可以有 refusal"))
        if self.content is None and not (self.role == "assistant" and (self.tool_calls or self.refusal)):
            raise Refusal("content", T(f"a {self.role} message needs content", f"{self.role} 消息必须有 content"))
        if self.tool_calls and self.role != "assistant":
            raise Refusal("tool_calls", T("only an assistant calls tools", "只有 assistant 消息可以有 tool_calls"))
        if self.tool_call_id and self.role != "tool":
            raise Refusal("tool_call_id", T("belongs to a tool message", "tool_call_id 只属于 tool 消息"))
        return self

    @property
    def text(self) -> str | None:
        """The content as one string; several text parts are joined without a separator. A refusal is what was said."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content if isinstance(part, TextPart | RefusalPart))
        return self.refusal if self.content is None else self.content

    @property
    def parts(self) -> Iterator[tuple[int, str]]:
        """Place and kind of each part of the content."""
        if isinstance(self.content, list):
            yield from ((place, part.type) for place, part in enumerate(self.content))
