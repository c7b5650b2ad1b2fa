"""``POST /v1/chat/completions``: a conversation, the tools that may be called, and what the answer must be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests.base import Strict
from zhilu.wire.requests.content import Message
from zhilu.wire.requests.sampled import Sampled
from zhilu.wire.requests.templated import Templated

__all__ = ["ChatRequest", "Tool"]


class FunctionSpec(Strict):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]  # OpenAI's own end at 64, Anthropic's at 128
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    type: Literal["function"]
    function: FunctionSpec


class ChatRequest(Sampled, Templated):
    """``POST /v1/chat/completions``."""

    messages: list[Message]
    prompt_token_ids: Annotated[list[int], Field(min_length=1)] | None = None  # in place of messages and template
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[Tool], Field(min_length=1)] | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    # known, refused by name
    audio: Any = None
    chat_template: str | None = None
    documents: Any = None
    function_call: Any = None
    functions: Any = None
    metadata: dict[str, str] | None = None
    modalities: list[str] | None = None
    moderation: Any = None
    prediction: Any = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: str | None = None
    include_reasoning: bool | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    verbosity: str | None = None
    web_search_options: Any = None

    @model_validator(mode="after")
    def _chat_fields_belong_together(self) -> ChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise Refusal("top_logprobs", T("only with logprobs=true", "只能与 logprobs=true 一起使用"))
        both = (self.max_tokens, self.max_completion_tokens)
        if None not in both and both[0] != both[1]:
            raise Refusal("max_tokens", T("differs from max_completion_tokens", "与 max_completion_tokens 不一致"))
        _check_prompt_token_ids(self)
        _check_tool_choice(self)
        return self

    @property
    def forced_tools(self) -> list[Tool]:
        """The tools one of which must be called; empty where calling is the model's choice."""
        if isinstance(self.tool_choice, dict):
            name = self.tool_choice["function"]["name"]
            return [tool for tool in self.tools or () if tool.function.name == name]
        return list(self.tools or ()) if self.tool_choice == "required" else []

    @property
    def may_call_tools(self) -> bool:
        return bool(self.tools) and self.tool_choice != "none"

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def num_top_logprobs(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


def _check_prompt_token_ids(request: ChatRequest) -> None:
    """Either messages, which the template makes a prompt of, or the prompt itself."""
    if request.prompt_token_ids is None:
        if not request.messages:
            raise Refusal("messages", T("must not be empty", "不能为空"))
        return
    others = (
        "messages",
        "add_generation_prompt",
        "continue_final_message",
        "chat_template_kwargs",
        "reasoning_effort",
        "add_special_tokens",
    )
    given = [name for name in others if name in request.model_fields_set and getattr(request, name) != []]
    if given:
        raise Refusal(
            "prompt_token_ids",
            T(
                f"takes the place of the conversation and its template: not together with {', '.join(given)}",
                f"代替对话与模板：不能与 {'、'.join(given)} 一起使用",
            ),
        )


def _check_tool_choice(request: ChatRequest) -> None:
    choice = request.tool_choice
    if choice in (None, "none"):
        return
    if not request.tools:
        raise Refusal("tool_choice", T("needs tools to choose from", "需要同时给出 tools"))
    if not isinstance(choice, dict):
        return
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if choice.get("type") != "function" or set(choice) != {"type", "function"} or not isinstance(name, str):
        raise Refusal(
            "tool_choice",
            T(
                'must be "auto", "none", "required" or {"type": "function", "function": {"name": …}}, '
                f"given {choice!r}",
                '只能是 "auto"、"none"、"required" 或 {"type": "function", "function": {"name": …}}，'
                f"给出的是 {choice!r}",
            ),
        )
    names = [tool.function.name for tool in request.tools]
    if name not in names:
        raise Refusal(
            "tool_choice",
            T(f"{name!r} is none of the tools {', '.join(names)}", f"tools 中没有 {name!r}，只有 {'、'.join(names)}"),
        )
    if request.guided:
        raise Refusal(
            request.guided.field,
            T("either this or a named tool, not both", "不能与指定的工具同时使用"),
        )
