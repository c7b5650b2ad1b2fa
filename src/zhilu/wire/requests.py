"""What may be asked: one strict model per endpoint. Field names follow OpenAI's API reference and vLLM's extras."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from zhilu.messages import T

__all__ = [
    "ChatRequest",
    "CompletionRequest",
    "DetokenizeRequest",
    "EmbeddingRequest",
    "Message",
    "Refusal",
    "Request",
    "StreamOptions",
    "TokenizeRequest",
    "Tool",
    "ToolCall",
]


class Refusal(ValueError):
    """Carries a field name and a bilingual message through pydantic's validators."""

    def __init__(self, field: str, message: T) -> None:
        self.field, self.message = field, message
        super().__init__(message.en)


class _Strict(BaseModel):
    """No unknown field, no silent conversion: ``"5"`` is not a number and ``1`` is not a truth value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(_Strict):
    type: Literal["text"]
    text: str


def _content_kind(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<str>"


Content = Annotated[
    Annotated[str, Tag("<str>")] | Annotated[list[TextPart], Tag("<list>")], Discriminator(_content_kind)
]


class FunctionCall(_Strict):
    name: str
    arguments: str  # JSON text, as the model wrote it


class ToolCall(_Strict):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(_Strict):
    """One message of the history; fields beyond ``role`` and ``content`` belong to the assistant or tool role."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    # The official clients send these back as null when a reply is put into the history.
    refusal: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Message:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise Refusal("content", T(f"a {self.role} message needs content", f"{self.role} 消息必须有 content"))
        if self.tool_calls and self.role != "assistant":
            raise Refusal("tool_calls", T("only an assistant calls tools", "只有 assistant 消息可以有 tool_calls"))
        if self.tool_call_id and self.role != "tool":
            raise Refusal("tool_call_id", T("belongs to a tool message", "tool_call_id 只属于 tool 消息"))
        return self

    @property
    def text(self) -> str | None:
        """The content as one string; several text parts are joined without a separator."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content


class FunctionSpec(_Strict):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(_Strict):
    type: Literal["function"]
    function: FunctionSpec


class StreamOptions(_Strict):
    include_usage: bool = False
    include_obfuscation: bool | None = None


class Request(_Strict):
    """What every request has. ``model`` may be left out where an engine serves just one."""

    model: str | None = None
    user: str | None = None


class _Sampled(Request):
    """Fields of both kinds of generation. ``None`` means: the model's generation_config, else the API's default."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=64)] = 1
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    # vLLM's extras
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] = 0
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    # known, refused by name unless the engine says that it can (see HARMLESS)
    response_format: dict[str, Any] | None = None
    prompt_logprobs: int | None = None
    truncate_prompt_tokens: int | None = None
    add_special_tokens: bool | None = None
    guided_json: Any = None
    guided_regex: Any = None
    guided_choice: Any = None
    guided_grammar: Any = None
    structured_outputs: Any = None
    best_of: int | None = None
    use_beam_search: bool | None = None
    length_penalty: float | None = None
    priority: int | None = None
    echo: bool | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> _Sampled:
        if self.stream_options is not None and not self.stream:
            raise Refusal("stream_options", T("only with stream=true", "只能与 stream=true 一起使用"))
        if any(not text for text in self.stop_strings):
            raise Refusal("stop", T("a stop string must not be empty", "停止字符串不能为空"))
        for key in self.logit_bias or ():
            if not key.isdecimal():
                raise Refusal(
                    "logit_bias", T(f"keys are token ids, given {key!r}", f"键必须是 token id，给出的是 {key!r}")
                )
        return self

    @property
    def stop_strings(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(_Sampled):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool = True
    # known, refused by name
    audio: Any = None
    chat_template: str | None = None
    continue_final_message: bool | None = None
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
    reasoning_effort: str | None = None
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
        return self

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def num_top_logprobs(self) -> int | None:
        """How many alternatives to report per token; ``None``: no log-probabilities at all."""
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(_Sampled):
    """``POST /v1/completions``. The prompt is text, token ids, or a list of either."""

    prompt: str | list[int] | list[str] | list[list[int]]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    suffix: str | None = None

    @model_validator(mode="after")
    def _has_a_prompt(self) -> CompletionRequest:
        if not self.prompt:
            raise Refusal("prompt", T("must not be empty", "不能为空"))
        return self

    @property
    def token_limit(self) -> int:
        return self.max_tokens or 16  # the API's default for this endpoint

    @property
    def num_top_logprobs(self) -> int | None:
        return self.logprobs

    @property
    def prompts(self) -> list[str | list[int]]:
        if isinstance(self.prompt, str) or (self.prompt and isinstance(self.prompt[0], int)):
            return [self.prompt]
        return list(self.prompt)  # type: ignore[arg-type]


class EmbeddingRequest(Request):
    """``POST /v1/embeddings``. The official Python client asks for base64 unless told otherwise."""

    input: str | list[int] | list[str] | list[list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    input_type: Literal["query", "passage"] = "passage"


class TokenizeRequest(Request):
    """vLLM's ``POST /tokenize``: either a ``prompt`` or chat ``messages``."""

    prompt: str | None = None
    messages: list[Message] | None = None
    tools: list[Tool] | None = None
    add_generation_prompt: bool = True
    add_special_tokens: bool = True
    return_token_strs: bool = False
    chat_template_kwargs: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            raise Refusal("prompt", T("give either prompt or messages", "prompt 与 messages 必须且只能给出一个"))
        return self


class DetokenizeRequest(Request):
    tokens: list[int]
