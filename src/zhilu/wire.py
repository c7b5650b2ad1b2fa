"""The OpenAI wire in one file: request models that refuse what they do not know, response builders, SSE framing.

Used by our engine's server and by the gateway, so both refuse the same things with the same words. A request passes two
doors: ``parse_request`` (is every field known, well-typed and in range?) and ``refuse_unsupported`` (can *this* engine
honour it?). The gateway needs only the first one for foreign engines. Field names follow OpenAI's API reference (client
3.54) and vLLM's extra parameters.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from zhilu.errors import InputError, UnsupportedError, ZhiluError, error_body, nearest
from zhilu.messages import T

__all__ = [
    "HARMLESS",
    "OWN_ENGINE",
    "SSE_DONE",
    "ChatRequest",
    "CompletionRequest",
    "DetokenizeRequest",
    "EmbeddingRequest",
    "FinishReason",
    "Message",
    "Request",
    "StreamOptions",
    "TokenLogprob",
    "TokenizeRequest",
    "ToolCall",
    "chat_chunk",
    "chat_completion",
    "chat_logprobs",
    "embedding_list",
    "model_list",
    "new_id",
    "parse_json",
    "parse_request",
    "refuse_unsupported",
    "sse",
    "sse_error",
    "text_completion",
    "text_logprobs",
    "usage",
]

FinishReason = Literal["stop", "length", "tool_calls"]


# ---------------------------------------------------------------- requests


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
            raise _refusal("content", T(f"a {self.role} message needs content", f"{self.role} 消息必须有 content"))
        if self.tool_calls and self.role != "assistant":
            raise _refusal("tool_calls", T("only an assistant calls tools", "只有 assistant 消息可以有 tool_calls"))
        if self.tool_call_id and self.role != "tool":
            raise _refusal("tool_call_id", T("belongs to a tool message", "tool_call_id 只属于 tool 消息"))
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
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
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
            raise _refusal("stream_options", T("only with stream=true", "只能与 stream=true 一起使用"))
        if any(not text for text in self.stop_strings):
            raise _refusal("stop", T("a stop string must not be empty", "停止字符串不能为空"))
        for key in self.logit_bias or ():
            if not key.isdecimal():
                raise _refusal(
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
            raise _refusal("top_logprobs", T("only with logprobs=true", "只能与 logprobs=true 一起使用"))
        both = (self.max_tokens, self.max_completion_tokens)
        if None not in both and both[0] != both[1]:
            raise _refusal("max_tokens", T("differs from max_completion_tokens", "与 max_completion_tokens 不一致"))
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
            raise _refusal("prompt", T("give either prompt or messages", "prompt 与 messages 必须且只能给出一个"))
        return self


class DetokenizeRequest(Request):
    tokens: list[int]


# ---------------------------------------------------------------- the two doors

R = TypeVar("R", bound=Request)

# Known fields with the values that change nothing, so any engine may take them. Other values need an engine that can.
# ``...`` stands for "any value": labels and cache hints that never touch the output.
HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "add_special_tokens": (None,),
    "audio": (None,),
    "best_of": (None, 1),
    "chat_template": (None,),
    "continue_final_message": (None, False),
    "documents": (None,),
    "echo": (None, False),
    "function_call": (None,),
    "functions": (None,),
    "guided_choice": (None,),
    "guided_grammar": (None,),
    "guided_json": (None,),
    "guided_regex": (None,),
    "length_penalty": (None, 1.0),
    "metadata": (...,),
    "modalities": (None, ["text"]),
    "moderation": (None,),
    "parallel_tool_calls": (None, True),
    "prediction": (None,),
    "priority": (None, 0),
    "prompt_cache_key": (...,),
    "prompt_cache_options": (...,),
    "prompt_cache_retention": (...,),
    "prompt_logprobs": (None,),
    "reasoning_effort": (None,),
    "response_format": (None, {"type": "text"}),
    "safety_identifier": (...,),
    "service_tier": (None, "auto", "default"),
    "store": (None, False),
    "structured_outputs": (None,),
    "suffix": (None, ""),
    "tool_choice": (None, "auto", "none"),
    "truncate_prompt_tokens": (None,),
    "use_beam_search": (None, False),
    "user": (...,),
    "verbosity": (None, "medium"),
    "web_search_options": (None,),
}

# What our own engine can do beyond the harmless values.
OWN_ENGINE: frozenset[str] = frozenset()


def parse_json(body: bytes) -> dict[str, Any]:
    """A request body as an object; InputError where it is not JSON or not an object."""
    try:
        data = json.loads(body)
    except ValueError as error:  # also UnicodeDecodeError
        raise InputError(T(f"the body is not JSON: {error}", f"请求体不是 JSON：{error}")) from None
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise InputError(T(f"the body must be a JSON object, given {kind}", f"请求体必须是 JSON 对象，给出的是 {kind}"))
    return data


def parse_request(model: type[R], data: Mapping[str, Any]) -> R:
    """Check ``data`` against ``model``.

    Raises:
        UnsupportedError: a field is unknown; the message names it and the nearest known one.
        InputError: a value has the wrong type or is out of range; ``param`` is its dotted path.
    """
    try:
        return model.model_validate(dict(data))
    except ValidationError as failure:
        raise _as_input_error(model, failure) from None


def refuse_unsupported(request: Request, supported: Iterable[str] = OWN_ENGINE) -> None:
    """Raise UnsupportedError for the first field whose value asks for something outside ``supported``."""
    can = set(supported)
    for name in sorted(request.model_fields_set & HARMLESS.keys() - can):
        value = getattr(request, name)
        allowed = HARMLESS[name]
        if ... in allowed or value in allowed:
            continue
        shown = "、".join(repr(v) for v in allowed if v is not None)
        raise UnsupportedError(
            T(
                f"{name}={value!r} is not supported by this engine" + (f"; it can do {shown}" if shown else ""),
                f"当前引擎不支持 {name}={value!r}" + (f"；可用的取值：{shown}" if shown else ""),
            ),
            param=name,
        )


class _Refusal(ValueError):
    """Carries a field name and a bilingual message through pydantic's validators."""

    def __init__(self, field: str, message: T) -> None:
        self.field, self.message = field, message
        super().__init__(message.en)


def _refusal(field: str, message: T) -> _Refusal:
    return _Refusal(field, message)


_REASONS = {
    "missing": T("is required", "不能缺少"),
    "greater_than_equal": T("must be at least {ge}", "不能小于 {ge}"),
    "greater_than": T("must be greater than {gt}", "必须大于 {gt}"),
    "less_than_equal": T("must be at most {le}", "不能大于 {le}"),
    "less_than": T("must be less than {lt}", "必须小于 {lt}"),
    "finite_number": T("must be a finite number", "必须是有限的数"),
    "literal_error": T("must be one of {expected}", "只能是 {expected}"),
    "string_type": T("must be a string", "必须是字符串"),
    "int_type": T("must be an integer", "必须是整数"),
    "float_type": T("must be a number", "必须是数字"),
    "bool_type": T("must be true or false", "必须是 true 或 false"),
    "list_type": T("must be a list", "必须是列表"),
    "dict_type": T("must be an object", "必须是对象"),
    "model_type": T("must be an object", "必须是对象"),
    "none_required": T("must be null", "只能是 null"),
    "too_long": T("has more than {max_length} entries", "不能超过 {max_length} 项"),
    "too_short": T("has fewer than {min_length} entries", "不能少于 {min_length} 项"),
    "string_pattern_mismatch": T("must match {pattern}", "必须符合 {pattern}"),
}


def _as_input_error(model: type[BaseModel], failure: ValidationError) -> InputError:
    """The most specific of pydantic's complaints (a union reports one for each of its members), in both languages."""
    complaints = failure.errors(include_url=False)
    unknown = [c for c in complaints if c["type"] == "extra_forbidden"]
    if unknown:
        return _unknown_field(model, unknown[0]["loc"])
    worst = max(complaints, key=lambda c: (len(c["loc"]), c["type"] not in ("string_type", "none_required")))
    path = _path(worst["loc"], model)
    context = worst.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, _Refusal):
        param = ".".join(filter(None, [path, cause.field]))
        return InputError(T(f"{param}: {cause.message.en}", f"{param}：{cause.message.zh}"), param=param)
    reason = _REASONS.get(worst["type"], T.of(worst["msg"]))
    en, zh = (text.format(**context) if worst["type"] in _REASONS else text for text in reason)
    if worst["type"] == "missing":
        return InputError(T(f"{path} {en}", f"{path} {zh}"), param=path)
    given = _short(worst["input"])
    return InputError(T(f"{path} {en}, given {given}", f"{path} {zh}，给出的是 {given}"), param=path)


def _unknown_field(model: type[BaseModel], loc: Sequence[int | str]) -> UnsupportedError:
    path = _path(loc, model)
    known = model.model_fields if len(loc) == 1 else {}
    meant = nearest(str(loc[-1]), known)
    return UnsupportedError(
        T(
            f"unknown parameter {path!r}" + (f"; did you mean {meant!r}?" if meant else ""),
            f"未知参数 {path!r}" + (f"；您是不是想用 {meant!r}？" if meant else ""),
        ),
        param=path,
    )


def _path(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    """``("messages", 0, "content", "<list>", 1, "type")`` -> ``messages.0.content.1.type``: union members left out."""
    first, *rest = loc or ("",)
    inner = [str(p) for p in rest if isinstance(p, int) or (p.isidentifier() and p not in ("str", "int", "bool"))]
    return ".".join([str(first), *inner])


def _short(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


# ---------------------------------------------------------------- responses


def new_id(kind: str) -> str:
    """``chatcmpl-…``, ``cmpl-…``, ``call_…`` (tool calls use an underscore, as OpenAI does)."""
    return f"{kind}{'_' if kind == 'call' else '-'}{uuid.uuid4().hex[:24]}"


def usage(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """Token counts. ``cached``: prompt tokens whose keys and values were found in the prefix cache."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def chat_completion(
    id: str, model: str, choices: Sequence[Mapping[str, Any]], used: Mapping[str, Any], created: int | None = None
) -> dict[str, Any]:
    """The whole reply. Each choice: ``{"content", "tool_calls", "finish_reason", "logprobs"}``."""
    return {
        "id": id,
        "object": "chat.completion",
        "created": created or int(time.time()),
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": choice["content"],
                    "refusal": None,
                    **({"tool_calls": choice["tool_calls"]} if choice.get("tool_calls") else {}),
                },
                "logprobs": choice.get("logprobs"),
                "finish_reason": choice["finish_reason"],
            }
            for index, choice in enumerate(choices)
        ],
        "usage": dict(used),
    }


def chat_chunk(
    id: str,
    model: str,
    created: int,
    *,
    index: int | None = 0,
    delta: Mapping[str, Any] | None = None,
    finish_reason: FinishReason | None = None,
    logprobs: Mapping[str, Any] | None = None,
    used: Mapping[str, Any] | None = None,
    include_usage: bool = False,
) -> dict[str, Any]:
    """One streamed piece; ``index=None`` makes the last one, which has no choice and carries ``used``."""
    choice = {"index": index, "delta": dict(delta or {}), "logprobs": logprobs, "finish_reason": finish_reason}
    chunk: dict[str, Any] = {
        "id": id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [] if index is None else [choice],
    }
    if include_usage:
        chunk["usage"] = dict(used) if used else None
    return chunk


def text_completion(
    id: str,
    model: str,
    created: int,
    choices: Sequence[Mapping[str, Any]],
    used: Mapping[str, Any] | None = None,
    include_usage: bool = True,
) -> dict[str, Any]:
    """A reply of ``/v1/completions``, whole or streamed piece: both have the same shape.

    Each choice: ``{"index", "text", "finish_reason", "logprobs"}``.
    """
    reply: dict[str, Any] = {
        "id": id,
        "object": "text_completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": choice["index"],
                "text": choice["text"],
                "logprobs": choice.get("logprobs"),
                "finish_reason": choice.get("finish_reason"),
            }
            for choice in choices
        ],
    }
    if include_usage:
        reply["usage"] = dict(used) if used else None
    return reply


# One generated token with its alternatives: (text, bytes, logprob, [(text, bytes, logprob), ...])
TokenLogprob = tuple[str, bytes, float, Sequence[tuple[str, bytes, float]]]


def chat_logprobs(tokens: Iterable[TokenLogprob]) -> dict[str, Any]:
    def entry(text: str, raw: bytes, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(raw)}

    content = [{**entry(text, raw, lp), "top_logprobs": [entry(*alt) for alt in top]} for text, raw, lp, top in tokens]
    return {"content": content, "refusal": None}


def text_logprobs(tokens: Iterable[TokenLogprob], offset: int = 0) -> dict[str, Any]:
    """The older shape of ``/v1/completions``; ``offset``: characters of the text that came before."""
    out: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for text, _, logprob, top in tokens:
        out["tokens"].append(text)
        out["token_logprobs"].append(logprob)
        out["top_logprobs"].append({**{alt: value for alt, _, value in top}, text: logprob})
        out["text_offset"].append(offset)
        offset += len(text)
    return out


def embedding_list(model: str, data: Sequence[Any], num_tokens: int) -> dict[str, Any]:
    """``data``: one vector (list of floats, or base64 text of little-endian float32) per input."""
    return {
        "object": "list",
        "model": model,
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(data)],
        "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
    }


def model_list(models: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``GET /v1/models``; each entry needs ``id``, other keys (``max_model_len``, ``owned_by`` …) are passed on."""
    return {
        "object": "list",
        "data": [{"object": "model", "created": 0, "owned_by": "zhilu", **model} for model in models],
    }


# ---------------------------------------------------------------- server-sent events

SSE_DONE = b"data: [DONE]\n\n"


def sse(data: Mapping[str, Any], event: str | None = None) -> bytes:
    """One event. OpenAI's streams have no event name; the workbench's have."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def sse_error(error: ZhiluError, lang: str | None = None, event: str | None = None) -> bytes:
    """An error after streaming began: the body an HTTP error would have had, as an event."""
    return sse(error_body(error, lang), event)
