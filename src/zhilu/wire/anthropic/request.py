"""What ``POST /v1/messages`` and ``/v1/messages/count_tokens`` accept, and what they refuse by name.

Source: Anthropic's API reference, "Messages", and its Python SDK's types (also its beta fields, as far as clients send them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from zhilu.errors import UnsupportedError
from zhilu.messages import T
from zhilu.wire.anthropic.blocks import Content, TextOrBlocks, refuse_blocks
from zhilu.wire.requests import Refusal, Request
from zhilu.wire.requests.base import Strict

__all__ = ["MessagesRequest", "OfferedTool", "refuse_elsewhere"]


class _Effort(Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class _Turn(Strict):
    """``system`` in the middle of a conversation speaks from there on, or with ``clear_at`` until the user speaks again. Its
    ``output_config`` has no effect: only the request's own has."""

    role: Literal["user", "assistant", "system"]
    content: Content = ""
    clear_at: Literal["next_user_message", "never"] | None = None
    output_config: _Effort | None = None

    @model_validator(mode="after")
    def _belongs_to_its_role(self) -> _Turn:
        of_system = next((name for name in ("clear_at", "output_config") if getattr(self, name) is not None), None)
        if self.role != "system" and of_system:
            raise Refusal(of_system, T("belongs to a system message", "只属于 system 消息"))
        if "content" not in self.model_fields_set and not (self.role == "system" and of_system):
            raise Refusal("content", T("is required", "不能缺少"))
        return self


class OfferedTool(Strict):
    """A tool of the client's own. ``eager_input_streaming`` has no effect: an input is sent once it is whole."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
    input_schema: dict[str, Any]
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None
    input_examples: list[dict[str, Any]] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[Literal["direct"]] | None = None
    cache_control: dict[str, Any] | None = None


class _Choice(Strict):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _names_one(self) -> _Choice:
        if (self.type == "tool") != (self.name is not None):
            raise Refusal(
                "name", T("belongs to, and is needed by, type 'tool'", "type 为 'tool' 时必须且只有它可以带 name")
            )
        return self


class _Thinking(Strict):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Field(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None

    @model_validator(mode="after")
    def _has_a_budget(self) -> _Thinking:
        if (self.type == "enabled") != (self.budget_tokens is not None):
            raise Refusal(
                "budget_tokens",
                T(
                    "belongs to, and is needed by, type 'enabled'",
                    "type 为 'enabled' 时必须且只有它可以带 budget_tokens",
                ),
            )
        return self


class _Format(Strict):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class _OutputConfig(_Effort):
    format: _Format | None = None


class _Metadata(Strict):
    user_id: str | None = None


class _Edits(Strict):
    """What the server may leave out of a long conversation. Nothing is left out here, and the answer says so."""

    edits: list[dict[str, Any]] | None = None


class _Diagnostics(Strict):
    previous_message_id: str | None = None


class MessagesRequest(Request):
    """``POST /v1/messages``. Where tokens are only counted, ``max_tokens`` may be missing."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_Turn], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    system: TextOrBlocks | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = False
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    tools: list[OfferedTool] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None  # its older name
    # taken, and without effect
    metadata: _Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    speed: Literal["standard"] | None = None
    cache_control: dict[str, Any] | None = None
    context_management: _Edits | None = None
    diagnostics: _Diagnostics | None = None
    user: None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> MessagesRequest:
        budget = self.thinking.budget_tokens if self.thinking else None
        if budget and self.max_tokens and budget >= self.max_tokens:
            raise Refusal(
                "thinking.budget_tokens",
                T(
                    f"must be less than max_tokens, which is {self.max_tokens}",
                    f"必须小于 max_tokens（{self.max_tokens}）",
                ),
            )
        if self.output_format and self.output_config and self.output_config.format:
            raise Refusal(
                "output_format", T("not together with output_config.format", "不能与 output_config.format 同时使用")
            )
        return self

    @property
    def schema_wanted(self) -> dict[str, Any] | None:
        format = self.output_format or (self.output_config and self.output_config.format)
        return format.schema_ if format else None


# Known fields that need what is not here: a server that keeps conversations, runs tools, or has another model to fall back on.
_ELSEWHERE = (
    *("container", "mcp_servers", "inference_geo", "fallbacks", "fallback_credit_token", "thread", "compaction"),
    *("billing_policy", "user_profile_id", "workspace_id"),
)


def refuse_elsewhere(data: Mapping[str, Any]) -> dict[str, Any]:
    """The request without the fields that say nothing; UnsupportedError for what only Anthropic's own servers can do."""
    kept = dict(data)
    for name in _ELSEWHERE:
        if kept.pop(name, None) not in (None, [], {}):
            raise UnsupportedError(T(f"{name} is not supported", f"不支持 {name}"), param=name)
    if data.get("speed") == "fast":
        raise UnsupportedError(T("speed='fast' is not supported", "不支持 speed='fast'"), param="speed")
    tools = data.get("tools")
    for number, tool in enumerate(tools if isinstance(tools, list) else ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "custom":
            raise UnsupportedError(
                T(
                    f"tools.{number}: the tool {kind[:60]!r} does not exist here; tools with an input_schema of their own do.",
                    f"tools.{number}：这里没有工具 {kind[:60]!r}；只支持自带 input_schema 的工具。",
                ),
                param=f"tools.{number}.type",
            )
    refuse_blocks(data)
    return kept
