"""What the Responses API accepts here, and what it refuses by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T
from zhilu.wire.requests import Refusal, Request
from zhilu.wire.requests.base import Strict
from zhilu.wire.requests.templated import Effort
from zhilu.wire.responses.search import RESULTS, FileSearchTool

__all__ = [
    "LOGPROBS",
    "Call",
    "CallOutput",
    "FilePart",
    "FileSearchCall",
    "Format",
    "Function",
    "ImagePart",
    "Part",
    "Reasoning",
    "RefusalPart",
    "ResponsesRequest",
    "TextPart",
    "refuse_beyond_us",
    "refuse_memory",
]


class TextPart(Strict):
    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class RefusalPart(Strict):
    """The assistant's words where it declined; to the model they are text like any other."""

    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


class ImagePart(Strict):
    type: Literal["input_image"]
    image_url: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None
    file_id: str | None = None


class FilePart(Strict):
    type: Literal["input_file"]
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


class _OtherPart(Strict):
    """Stands for what is none of them, so that its ``type`` is what is named."""

    type: Literal["input_text", "output_text", "refusal", "input_image", "input_file"]


_PARTS = ("refusal", "input_image", "input_file")


def _part_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "<text>" if kind in ("input_text", "output_text") else f"<{kind}>" if kind in _PARTS else "<other>"


def _list_or_text(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<str>"


Part = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ImagePart, Tag("<input_image>")]
    | Annotated[FilePart, Tag("<input_file>")]
    | Annotated[_OtherPart, Tag("<other>")],
    Discriminator(_part_kind),
]
_Text = Annotated[Annotated[str, Tag("<str>")] | Annotated[list[Part], Tag("<list>")], Discriminator(_list_or_text)]


class _Message(Strict):
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: _Text
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class Call(Strict):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None
    namespace: None = None


class CallOutput(Strict):
    type: Literal["function_call_output"]
    call_id: str
    output: _Text
    id: str | None = None
    status: str | None = None


class Reasoning(Strict):
    """An empty one, as clients send it back with a history; what says something is refused before (``refuse_beyond_us``)."""

    type: Literal["reasoning"]
    id: str | None = None
    status: str | None = None
    summary: list[Any] = Field(default_factory=list)
    content: list[Any] | None = None
    encrypted_content: str | None = None


class FileSearchCall(Strict):
    """As clients send it back with a history; each request searches anew."""

    type: Literal["file_search_call"]
    id: str | None = None
    status: str | None = None
    queries: list[Any] = Field(default_factory=list)
    results: list[Any] | None = None


_ITEM_KINDS = ("message", "function_call", "function_call_output", "reasoning", "file_search_call")


def _item_kind(value: Any) -> str:
    """Which of them an item is; anything else fails as a message and is then named by its ``type``."""
    kind = value.get("type") if isinstance(value, dict) else None
    return f"<{kind}>" if kind in _ITEM_KINDS else "<message>"


_Item = Annotated[
    Annotated[_Message, Tag("<message>")]
    | Annotated[Call, Tag("<function_call>")]
    | Annotated[CallOutput, Tag("<function_call_output>")]
    | Annotated[Reasoning, Tag("<reasoning>")]
    | Annotated[FileSearchCall, Tag("<file_search_call>")],
    Discriminator(_item_kind),
]
_Input = Annotated[Annotated[str, Tag("<str>")] | Annotated[list[_Item], Tag("<list>")], Discriminator(_list_or_text)]


class Function(Strict):
    type: Literal["function"]
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


def _tool_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "<file_search>" if kind == "file_search" else "<function>"


Tool = Annotated[
    Annotated[Function, Tag("<function>")] | Annotated[FileSearchTool, Tag("<file_search>")], Discriminator(_tool_kind)
]


class Format(Strict):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_a_schema(self) -> Format:
        if (self.type == "json_schema") != (self.schema_ is not None):
            raise Refusal(
                "schema", T("belongs to, and is needed by, json_schema", "json_schema 必须且只有它可以带 schema")
            )
        return self


class _TextOptions(Strict):
    format: Format | None = None
    verbosity: Literal["medium"] | None = None


class _Effort(Strict):
    """``summary`` and the rest ask for thoughts beside the answer, which nothing here gives."""

    effort: Effort | None = None
    summary: None = None
    generate_summary: None = None


class _StreamOptions(Strict):
    include_obfuscation: bool | None = None


class ResponsesRequest(Request):
    """``POST /v1/responses``, without what needs a memory on the server."""

    input: _Input
    instructions: str | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: _TextOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    include: list[str] | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    # vLLM's extras, checked as those of a chat
    cache_salt: Any = None
    frequency_penalty: Any = None
    ignore_eos: Any = None
    logit_bias: Any = None
    min_p: Any = None
    min_tokens: Any = None
    presence_penalty: Any = None
    repetition_penalty: Any = None
    seed: Any = None
    stop: Any = None
    top_k: Any = None
    chat_template_kwargs: Any = None
    reasoning: _Effort | None = None
    # known, refused by name with other values than these
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None
    truncation: str | None = None
    service_tier: str | None = None
    max_tool_calls: int | None = None
    prompt: Any = None
    context_management: Any = None

    @property
    def functions(self) -> list[Function]:
        return [tool for tool in self.tools or [] if isinstance(tool, Function)]

    @property
    def file_search(self) -> FileSearchTool | None:
        return next((tool for tool in self.tools or [] if isinstance(tool, FileSearchTool)), None)


# Known fields with the values that ask for nothing we lack.
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "store": (None, False),
    "previous_response_id": (None,),
    "conversation": (None,),
    "background": (None, False),
    "truncation": (None, "disabled"),
    "service_tier": (None, "auto", "default"),
    "max_tool_calls": (None,),
    "prompt": (None,),
    "context_management": (None,),
}
_NO_MEMORY = T(
    "This server keeps nothing between requests: send the whole conversation as input.",
    "这个服务器不在请求之间保存任何内容：请把完整对话放进 input。",
)
LOGPROBS = "message.output_text.logprobs"


def refuse_beyond_us(data: Mapping[str, Any]) -> None:
    """Their names say more than "must be 'function'" would."""
    tools = data.get("tools")
    num_searches = 0
    for number, tool in enumerate(tools if isinstance(tools, list) else []):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind not in ("function", "file_search"):
            raise UnsupportedError(
                T(
                    f"tools.{number}: the tool {kind!r} does not exist here; functions and file_search do.",
                    f"tools.{number}：这里没有工具 {kind!r}；只支持 function 和 file_search。",
                ),
                param=f"tools.{number}.type",
            )
        num_searches += kind == "file_search"
        if num_searches > 1:
            raise UnsupportedError(
                T(
                    f"tools.{number}: one file_search for each request; name several vector stores in it.",
                    f"tools.{number}：每个请求只能有一个 file_search；可在其中列出多个 vector store。",
                ),
                param=f"tools.{number}",
            )
    items = data.get("input")
    for number, item in enumerate(items if isinstance(items, list) else []):
        kind = item.get("type", "message") if isinstance(item, dict) else "message"
        is_empty = kind != "reasoning" or not any(
            item.get(name) for name in ("summary", "content", "encrypted_content")
        )
        if kind not in _ITEM_KINDS or not is_empty:
            raise UnsupportedError(
                T(
                    f"input.{number}: items of type {kind!r} are not supported.",
                    f"input.{number}：不支持类型为 {kind!r} 的输入项。",
                ),
                param=f"input.{number}.type",
            )


def refuse_memory(request: ResponsesRequest) -> None:
    for name in sorted(request.model_fields_set & _HARMLESS.keys()):
        value = getattr(request, name)
        if value in _HARMLESS[name]:
            continue
        memory = _NO_MEMORY if name in ("store", "previous_response_id", "conversation", "background") else T("", "")
        raise UnsupportedError(
            T(f"{name}={value!r} is not supported. {memory.en}", f"不支持 {name}={value!r}。{memory.zh}"), param=name
        )
    for wanted in request.include or ():
        if wanted not in (LOGPROBS, RESULTS):
            raise UnsupportedError(
                T(
                    f"include {wanted!r} is not supported; {LOGPROBS!r} and {RESULTS!r} are.",
                    f"include 不支持 {wanted!r}；可用 {LOGPROBS!r} 和 {RESULTS!r}。",
                ),
                param="include",
            )
    if not request.input:
        raise InputError(T("input must not be empty", "input 不能为空"), param="input")
