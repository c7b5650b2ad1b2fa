"""What may be asked: one strict model per endpoint. Field names follow OpenAI's API reference and vLLM's extras."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Constraint, Refusal, read_guided, read_response_format

__all__ = [
    "ChatRequest",
    "CompletionRequest",
    "DetokenizeRequest",
    "EmbeddingRequest",
    "LoadAdapterRequest",
    "Message",
    "Refusal",
    "Request",
    "StreamOptions",
    "TokenizeRequest",
    "Tool",
    "ToolCall",
    "Truncation",
    "UnloadAdapterRequest",
]


class _Strict(BaseModel):
    """No unknown field, no silent conversion: ``"5"`` is not a number and ``1`` is not a truth value."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, data: Any) -> Any:
        """Clients send ``null`` for what they leave open, also where the default is not null."""
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields

        def says_nothing(key: Any, value: Any) -> bool:
            field = fields.get(key)
            return value is None and field is not None and not field.is_required() and field.default is not None

        return {key: value for key, value in data.items() if not says_nothing(key, value)}


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
    index: int | None = None  # of a streamed call; clients that collect deltas send it back


class Message(_Strict):
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
    # The official clients send these back as null when a reply is put into the history.
    refusal: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> Message:
        for kind, name, known in [
            ("role", self.role, ("system", "developer", "user", "assistant", "tool")),
            *(("", name, tuple(type(self).model_fields)) for name in self.model_extra or ()),
        ]:
            meant = [] if name in known else get_close_matches(name, known, n=1, cutoff=0.8)
            if meant:
                raise Refusal(
                    kind or name,
                    T(
                        f"unknown: {name!r}; did you mean {meant[0]!r}?",
                        f"未知：{name!r}；您是不是想用 {meant[0]!r}？",
                    ),
                )
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
    continuous_usage_stats: bool = False  # with include_usage: the counts so far in every event
    include_obfuscation: bool | None = None


class Request(_Strict):
    """What every request has. ``model`` may be left out where an engine serves just one."""

    model: str | None = None
    user: str | None = None


def _is_truncation(value: int) -> int:
    if value < 1 and value != -1:
        raise Refusal("", T(f"must be at least 1, or -1, given {value}", f"至少为 1，或为 -1，给出的是 {value}"))
    return value


# -1, vLLM's word for it: as much as the model can read.
Truncation = Annotated[int, AfterValidator(_is_truncation)] | None


class _Sampled(Request):
    """Fields of both kinds of generation. ``None`` means: the model's generation_config, else the API's default."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
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
    min_characters: Annotated[int, Field(ge=0)] = 0  # of the answer's text, like min_tokens
    bad_words: Annotated[list[str], Field(max_length=128)] | None = None
    logprob_token_ids: Annotated[list[int], Field(max_length=128)] | None = None  # in place of the likeliest
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] | None = None
    stop_token_ids: list[int] | None = None
    allowed_token_ids: Annotated[list[int], Field(min_length=1)] | None = None
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    return_token_ids: bool = False
    return_tokens_as_token_ids: bool = False
    # refused by name unless the engine says that it can (see HARMLESS)
    response_format: dict[str, Any] | None = None
    prompt_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    truncate_prompt_tokens: Truncation = None
    truncation_side: Literal["left", "right"] = "left"
    add_special_tokens: bool | None = None
    guided_json: Any = None
    guided_json_object: bool | None = None
    guided_regex: Any = None
    guided_choice: Any = None
    guided_grammar: Any = None
    guided_whitespace_pattern: str | None = None
    structured_outputs: dict[str, Any] | None = None
    best_of: int | None = None
    use_beam_search: bool | None = None
    length_penalty: float | None = None
    priority: int | None = None
    echo: bool | None = None
    cache_salt: str | None = None  # prompts share their computation only with those of the same salt
    spaces_between_special_tokens: bool | None = None

    @model_validator(mode="after")
    def _belongs_together(self) -> _Sampled:
        if self.cache_salt == "":
            raise Refusal("cache_salt", T("must not be empty", "不能为空"))
        if any(not word.strip() for word in self.bad_words or ()):
            raise Refusal("bad_words", T("a word must not be empty", "词不能为空"))
        self._check_logprob_token_ids()
        if self.stream_options is not None and not self.stream:
            raise Refusal("stream_options", T("only with stream=true", "只能与 stream=true 一起使用"))
        if any(not text for text in self.stop_strings):
            raise Refusal("stop", T("a stop string must not be empty", "停止字符串不能为空"))
        strange = [key for key in self.logit_bias or () if not (key.isascii() and key.isdecimal())]
        if strange:
            given = ", ".join(map(repr, strange))
            raise Refusal("logit_bias", T(f"keys are token ids, given {given}", f"键必须是 token id，给出的是 {given}"))
        if self.prompt_logprobs is not None and self.stream:
            raise Refusal("prompt_logprobs", T("not with stream=true", "不能与 stream=true 一起使用"))
        read_response_format(self.response_format)
        if self.guided and self.response_format and self.response_format.get("type") != "text":
            raise Refusal(self.guided.field, T("not together with response_format", "不能与 response_format 一起使用"))
        return self

    def _check_logprob_token_ids(self) -> None:
        if self.logprob_token_ids is None:
            return
        if not self.logprob_token_ids:
            raise Refusal("logprob_token_ids", T("must not be an empty list", "不能是空列表"))
        if self.num_top_logprobs is None:
            raise Refusal(
                "logprob_token_ids",
                T(
                    "logprobs is needed when using `logprob_token_ids`",
                    "使用 logprob_token_ids 时需要同时给出 logprobs",
                ),
            )

    @property
    def num_top_logprobs(self) -> int | None:
        """How many alternatives to report per token; ``None``: no log-probabilities at all."""
        raise NotImplementedError

    @property
    def guided(self) -> Constraint | None:
        """What vLLM's ``structured_outputs`` or ``guided_…`` fields ask for."""
        older = ("json", "json_object", "regex", "choice", "grammar", "whitespace_pattern")
        given = {f"guided_{key}": getattr(self, f"guided_{key}") for key in older}
        return read_guided(self.structured_outputs, {key: value for key, value in given.items() if value is not None})

    @property
    def constraint(self) -> Constraint | None:
        """What the text of the answer must look like, whichever field says so."""
        return self.guided or read_response_format(self.response_format)

    @property
    def stop_strings(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def continuous_usage(self) -> bool:
        return bool(self.stream_options and self.include_usage and self.stream_options.continuous_usage_stats)


class ChatRequest(_Sampled):
    """``POST /v1/chat/completions``."""

    messages: list[Message]
    prompt_token_ids: Annotated[list[int], Field(min_length=1)] | None = None  # in place of messages and template
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[Tool], Field(min_length=1)] | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
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
        _check_prompt_token_ids(self)
        _check_continuation(self)
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


def _check_continuation(request: ChatRequest | TokenizeRequest) -> None:
    if request.continue_final_message and request.add_generation_prompt:
        raise Refusal(
            "continue_final_message",
            T("needs add_generation_prompt=false", "需要同时给出 add_generation_prompt=false"),
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


class CompletionRequest(_Sampled):
    """``POST /v1/completions``. The prompt is text, token ids, or a list of either."""

    prompt: str | list[int] | list[str] | list[list[int]] = ""
    prompt_embeds: Any = None  # known, refused by name
    max_tokens: Annotated[int, Field(ge=0)] | None = None  # 0 with echo: only the prompt's log-probabilities
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    suffix: str | None = None

    @model_validator(mode="after")
    def _has_a_prompt(self) -> CompletionRequest:
        if not self.prompt and not self.prompt_embeds:
            # The sentence that clients of vLLM know.
            words = "Either prompt or prompt_embeds must be provided and non-empty."
            raise Refusal("prompt", T(words, "必须给出非空的 prompt 或 prompt_embeds。"))
        if self.max_tokens == 0 and not self.echo:
            raise Refusal(
                "max_tokens", T("must be at least 1, or 0 with echo=true", "至少为 1；与 echo=true 一起可为 0")
            )
        return self

    @property
    def token_limit(self) -> int:
        return 16 if self.max_tokens is None else max(1, self.max_tokens)  # 16: the API's default here

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
    truncate_prompt_tokens: Truncation = None
    embed_dtype: Literal["float32", "float16"] = "float32"  # of what base64 encodes
    endianness: Literal["native", "little", "big"] = "native"  # little on every machine this runs on

    @model_validator(mode="after")
    def _bytes_are_for_base64(self) -> EmbeddingRequest:
        for name in ("embed_dtype", "endianness"):
            if name in self.model_fields_set and self.encoding_format != "base64":
                raise Refusal(name, T("only with encoding_format='base64'", "只能与 encoding_format='base64' 一起使用"))
        return self


class TokenizeRequest(Request):
    """vLLM's ``POST /tokenize``: either a ``prompt`` or chat ``messages``."""

    prompt: str | None = None
    messages: list[Message] | None = None
    tools: list[Tool] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    add_special_tokens: bool | None = None  # as with generation: yes for a prompt, no for what a template has written
    return_token_strs: bool = False
    chat_template_kwargs: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            raise Refusal("prompt", T("give either prompt or messages", "prompt 与 messages 必须且只能给出一个"))
        _check_continuation(self)
        return self


class DetokenizeRequest(Request):
    tokens: list[int]


class LoadAdapterRequest(Request):
    """vLLM's ``POST /v1/load_lora_adapter``: the adapter is a model of this name from then on."""

    lora_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")]
    lora_path: Annotated[str, Field(min_length=1)]
    load_inplace: bool = False  # take the place of one with the same name


class UnloadAdapterRequest(Request):
    """vLLM's ``POST /v1/unload_lora_adapter``."""

    lora_name: Annotated[str, Field(min_length=1)]
    lora_int_id: int | None = None
