"""From an OpenAI request to the engine: prompts and parameters. ``reply.py`` is the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zhilu import wire
from zhilu.engine.choose.guided_grammars import Grammar
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.model.config import read_json
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError, TooLargeError, UnsupportedError
from zhilu.messages import T

__all__ = [
    "Defaults",
    "Generation",
    "bad_words",
    "chat_prompt",
    "completion_prompts",
    "read_defaults",
    "refuse_uncountable",
    "sampling_params",
]

Generation = wire.ChatRequest | wire.CompletionRequest
Defaults = Mapping[str, float]
Words = tuple[tuple[int, ...], ...]
_DEFAULTED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def read_defaults(folder: Path) -> dict[str, float]:
    """Sampling values that the model's author recommends; a request's own values go before them (as in vLLM).

    ``"do_sample": false`` means the likeliest token, as in transformers: temperature 0 where none is stated.
    """
    path = folder / "generation_config.json"
    stated = read_json(path) if path.is_file() else {}
    if stated.get("do_sample") is False:
        stated = {"temperature": 0.0, **stated}
    return {key: stated[key] for key in _DEFAULTED if isinstance(stated.get(key), int | float)}


def sampling_params(
    request: Generation,
    defaults: Defaults,
    room: int,
    grammar: Grammar | None = None,
    bad_words: Words = (),
) -> SamplingParams:
    """``room``: tokens that the context still holds behind the prompt; the limit where the request has none."""
    wanted = {key: getattr(request, key) for key in _DEFAULTED if getattr(request, key) is not None}
    chosen = {**defaults, **wanted}
    limit = request.token_limit or max(1, room)
    if request.min_tokens > limit:
        raise InputError(
            T(
                f"min_tokens {request.min_tokens} is more than the limit of {limit}",
                f"min_tokens {request.min_tokens} 大于上限 {limit}",
            ),
            param="min_tokens",
        )
    return SamplingParams(
        max_tokens=limit,
        temperature=float(chosen.get("temperature", 1.0)),
        top_p=float(chosen.get("top_p", 1.0)),
        top_k=max(0, int(chosen.get("top_k", 0))),
        min_p=float(chosen.get("min_p", 0.0)),
        repetition_penalty=float(chosen.get("repetition_penalty", 1.0)),
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        logit_bias={int(id): bias for id, bias in (request.logit_bias or {}).items()},
        seed=request.seed,
        min_tokens=request.min_tokens,
        min_characters=request.min_characters,
        bad_words=bad_words,
        logprob_token_ids=tuple(request.logprob_token_ids or ()),
        cache_salt=request.cache_salt,
        stop_strings=tuple(request.stop_strings),
        stop_token_ids=frozenset(request.stop_token_ids or ()),
        ignore_eos=request.ignore_eos,
        include_stop=request.include_stop_str_in_output,
        skip_special_tokens=request.skip_special_tokens,
        num_top_logprobs=request.num_top_logprobs,
        num_prompt_logprobs=_num_prompt_logprobs(request),
        allowed_token_ids=frozenset(request.allowed_token_ids or ()),
        grammar=grammar,
    )


def _num_prompt_logprobs(request: Generation) -> int | None:
    """A completion that echoes its prompt reports the prompt's log-probabilities with the others."""
    asked = [request.prompt_logprobs]
    if isinstance(request, wire.CompletionRequest) and request.echo:
        asked.append(request.num_top_logprobs)
    return max((number for number in asked if number is not None), default=None)


def bad_words(tokenizer: Tokenizer, request: Generation) -> Words:
    """The words as token ids, at the beginning of a line and behind a blank: mostly these are other tokens."""
    found = {
        tuple(tokenizer.encode(blank + word.lstrip(), add_special_tokens=False))
        for word in request.bad_words or ()
        for blank in ("", " ")
    }
    return tuple(sorted(ids for ids in found if ids))


def chat_prompt(tokenizer: Tokenizer, request: wire.ChatRequest | wire.TokenizeRequest, max_len: int = 0) -> list[int]:
    """The conversation through the model's chat template, as token ids; ``max_len``: of the context, for -1."""
    if isinstance(request, wire.ChatRequest) and request.prompt_token_ids is not None:
        return _truncated(list(request.prompt_token_ids), request, max_len)
    messages = []
    for message in request.messages or ():
        data = message.model_dump(exclude_none=True, exclude={"content"})
        data["content"] = message.text
        if message.role == "developer":  # OpenAI's newer name; templates know the old one
            data["role"] = "system"
        messages.append(data)
    tools = None
    if request.tools and getattr(request, "tool_choice", None) != "none":
        tools = [tool.model_dump(exclude_none=True) for tool in request.tools]
    variables = {**_effort(tokenizer, request.reasoning_effort), **(request.chat_template_kwargs or {})}
    try:
        text = tokenizer.render_chat(messages, tools, request.add_generation_prompt, **variables)
    except InputError as error:
        raise _unknown_role(tokenizer, messages) or error from None
    if request.continue_final_message:
        text = _without_end(text, str(messages[-1]["content"] or ""))
    # The template writes its own beginning-of-text token.
    return _encoded(tokenizer, text, request, max_len, "messages", bool(request.add_special_tokens))


def refuse_uncountable(request: wire.TokenizeRequest, max_len: int) -> None:
    """TooLargeError for a text so long that counting its tokens takes seconds: beyond half a million characters, and beyond
    what a context of ``max_len`` tokens holds in any language (a token has two to five characters)."""
    messages = request.messages or ()
    texts = [request.prompt or "", *(message.text or "" for message in messages)]
    texts += [call.function.arguments for message in messages for call in message.tool_calls or ()]
    texts += [tool.model_dump_json() for tool in request.tools or ()]
    length, most = sum(map(len, texts)), max(500_000, 16 * max_len)
    if length > most:
        raise TooLargeError(
            T(
                f"the text has {length} characters; tokens are counted of at most {most}",
                f"文本有 {length} 个字符；最多统计 {most} 个字符的 token",
            ),
            param="prompt" if request.prompt is not None else "messages",
        )


def _unknown_role(tokenizer: Tokenizer, messages: Sequence[Mapping[str, Any]]) -> InputError | None:
    """Of a conversation that the template refuses: the first role that nobody knows, nor the template names."""
    named = tokenizer.chat_template.source if tokenizer.chat_template else ""
    for place, message in enumerate(messages):
        if message["role"] not in wire.ROLES and message["role"] not in named:
            said = wire.unknown_role(message["role"])
            where = f"messages.{place}.role"
            return InputError(T(f"{where}: {said.en}", f"{where}：{said.zh}"), param=where, code="invalid_value")
    return None


def _encoded(tokenizer: Tokenizer, text: str, request: Any, max_len: int, param: str, special: bool) -> list[int]:
    """The prompt's tokens, cut where that was asked for; ``max_len`` 0: as many as there are."""
    length = _length(request, max_len)
    if length is not None:
        text = tokenizer.keep_end(text, length, first=request.truncation_side == "right")
    elif max_len:
        return tokenizer.encode_within(text, max_len, param, special)
    return _truncated(tokenizer.encode(text, special), request, max_len)


def _effort(tokenizer: Tokenizer, wanted: str | None) -> dict[str, Any]:
    """How much to think, as the template's own variables; a template that knows none cannot think less or more.

    gpt-oss has ``reasoning_effort`` itself, Qwen3 and its like ``enable_thinking``: there every effort but "none" is yes.
    """
    if wanted is None:
        return {}
    variables = {"reasoning_effort": wanted, "enable_thinking": wanted != "none"}
    template = tokenizer.chat_template
    known = {name: value for name, value in variables.items() if template and name in template.variables}
    if not known and wanted != "none":
        raise UnsupportedError(
            T(
                f"reasoning_effort={wanted!r} is not supported by this engine's model: its chat template knows no "
                "thinking; it can do 'none'",
                f"不支持 reasoning_effort={wanted!r}：模型的对话模板没有思考；可用的取值：'none'",
            ),
            param="reasoning_effort",
        )
    return known


def _without_end(text: str, last: str) -> str:
    """A rendered conversation up to the end of its last message, so that the model goes on with it."""
    at = text.rfind(last.strip())
    if not last.strip() or at < 0:
        raise InputError(
            T(
                "the last message cannot be continued: the chat template does not write it out",
                "无法续写最后一条消息：对话模板没有输出它的内容",
            ),
            param="continue_final_message",
        )
    whole = text.rfind(last)  # with its own white space at the end, where the template keeps that
    return text[: whole + len(last)] if whole >= 0 else text[: at + len(last.strip())]


def completion_prompts(tokenizer: Tokenizer, request: wire.CompletionRequest, max_len: int = 0) -> list[list[int]]:
    special = request.add_special_tokens is not False
    return [
        _encoded(tokenizer, prompt, request, max_len, "prompt", special)
        if isinstance(prompt, str)
        else _truncated(list(prompt), request, max_len)
        for prompt in request.prompts
    ]


def _truncated(ids: list[int], request: Any, max_len: int) -> list[int]:
    """Only where it was asked for: a prompt that is too long is an error otherwise."""
    length = _length(request, max_len)
    if length is None or len(ids) <= length:
        return ids
    return ids[:length] if request.truncation_side == "right" else ids[-length:]


def _length(request: Any, max_len: int) -> int | None:
    """How many tokens of the prompt are to be kept; -1: what leaves room for the answer. None: all of them."""
    length: int | None = getattr(request, "truncate_prompt_tokens", None)
    return max(1, max_len - (request.token_limit or 1)) if length == -1 else length
