"""The fields of both kinds of generation: sampling, stops, formats, and vLLM's extras."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Constraint, Refusal, read_guided, read_response_format
from zhilu.wire.requests.base import Request, Strict, Truncation

__all__ = ["Sampled", "StreamOptions"]


class StreamOptions(Strict):
    include_usage: bool = False
    continuous_usage_stats: bool = False  # with include_usage: the counts so far in every event
    include_obfuscation: bool | None = None


class Sampled(Request):
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
    # refused by name unless the engine says that it can (see ``capabilities``)
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
    def _belongs_together(self) -> Sampled:
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
    @abstractmethod
    def num_top_logprobs(self) -> int | None:
        """How many alternatives to report per token; ``None``: no log-probabilities at all."""

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
