"""What Ollama's ``/api/chat``, ``/api/generate`` and ``/api/embed`` accept, and its options by OpenAI's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zhilu.errors import InputError, UnsupportedError, nearest
from zhilu.messages import T
from zhilu.wire.requests import Request

__all__ = [
    "SAME",
    "ChatWish",
    "GenerateWish",
    "Generation",
    "OllamaEmbedRequest",
    "OllamaEmbeddingsRequest",
    "Said",
    "check_options",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Function(_Strict):
    name: str
    arguments: dict[str, Any] = {}
    description: str | None = None
    index: int | None = None


class _Call(_Strict):
    id: str | None = None
    type: Literal["function"] | None = None
    function: _Function


class Said(_Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None  # base64
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    name: str | None = None


class Generation(Request):
    """Fields of both. ``keep_alive`` 0 unloads after the answer; other times change nothing (see the documentation)."""

    model: str
    options: dict[str, Any] | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    stream: bool | None = None
    keep_alive: float | str | None = None
    think: bool | str | None = None
    truncate: Literal[False] | None = None  # a conversation is never cut, nor moved out of the context, in silence
    shift: Literal[False] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class ChatWish(Generation):
    messages: list[Said] = Field(default_factory=list)
    tools: list[dict[str, Any]] | None = None


class GenerateWish(Generation):
    prompt: str | None = None
    system: str | None = None
    raw: bool | None = None
    images: list[str] | None = None  # base64
    # known, refused by name
    suffix: str | None = None
    template: str | None = None
    context: list[int] | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None


class OllamaEmbedRequest(Request):
    """``POST /api/embed``."""

    model: str
    input: str | list[str]
    truncate: bool | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    options: dict[str, Any] | None = None
    keep_alive: float | str | None = None


class OllamaEmbeddingsRequest(Request):
    """``POST /api/embeddings``, the older one: one text, one vector."""

    model: str
    prompt: str
    options: dict[str, Any] | None = None
    keep_alive: float | str | None = None


# Ollama's word -> OpenAI's (or vLLM's extra), where only the name differs.
SAME = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "repeat_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
# Values that ask for nothing; every other value is refused by name.
_HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "mirostat": (0,),
    "mirostat_tau": (),
    "mirostat_eta": (),
    "tfs_z": (1, 1.0),
    "typical_p": (1, 1.0),
    "repeat_last_n": (-1,),  # over the whole context, which is how engines here do it
    "penalize_newline": (True,),
    "num_keep": (),
    "num_batch": (),
    "num_gpu": (),
    "main_gpu": (),
    "num_thread": (),
    "use_mmap": (),
    "use_mlock": (False,),
    "numa": (False,),
    "low_vram": (False,),
    "f16_kv": (True,),
    "vocab_only": (False,),
    "logits_all": (False,),
    "embedding_only": (False,),
}


def check_options(options: Mapping[str, Any] | None) -> tuple[dict[str, Any], int | None]:
    """OpenAI's parameters for Ollama's, and the context length that was asked for.

    Raises:
        UnsupportedError: names the option that is unknown or cannot be had here.
    """
    chosen: dict[str, Any] = {}
    num_ctx = None
    for name, value in (options or {}).items():
        param = f"options.{name}"
        if value is None:
            continue
        if name in SAME:
            chosen[SAME[name]] = value
        elif name in ("num_predict", "num_ctx"):
            if not isinstance(value, int) or isinstance(value, bool):
                raise InputError(
                    T(f"{param} must be an integer, given {value!r}", f"{param} 必须是整数，给出的是 {value!r}"),
                    param=param,
                )
            if name == "num_ctx":
                num_ctx = value
            elif value > 0:
                chosen["max_tokens"] = value
            elif value not in (-1, -2):  # without end, or until the context is full: both end there
                raise InputError(
                    T(f"{param} must be positive or -1, given {value}", f"{param} 必须为正数或 -1，给出的是 {value}"),
                    param=param,
                )
        elif name not in _HARMLESS:
            meant = nearest(name, [*SAME, *_HARMLESS, "num_predict", "num_ctx"])
            hint = T(f"; did you mean {meant!r}?", f"；是不是 {meant!r}？") if meant else T("", "")
            raise UnsupportedError(T(f"unknown option {name!r}{hint.en}", f"未知选项 {name!r}{hint.zh}"), param=param)
        elif value not in _HARMLESS[name]:
            raise UnsupportedError(
                T(f"option {name}={value!r} is not supported", f"不支持选项 {name}={value!r}"), param=param
            )
    return chosen, num_ctx
