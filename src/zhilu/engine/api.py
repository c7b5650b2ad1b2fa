"""From the OpenAI wire to the engine and back: prompts and parameters in, replies and streamed chunks out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zhilu import wire
from zhilu.engine.config import read_json
from zhilu.engine.sampler import SampledToken
from zhilu.engine.sampling import SamplingParams
from zhilu.engine.sequence import Output
from zhilu.engine.service import Answer
from zhilu.engine.tokenizer import Tokenizer
from zhilu.engine.tools import ToolCallParser
from zhilu.errors import InputError, UpstreamError, ZhiluError
from zhilu.messages import T

__all__ = ["Defaults", "Reply", "chat_prompt", "completion_prompts", "read_defaults", "sampling_params"]

Generation = wire.ChatRequest | wire.CompletionRequest
Defaults = Mapping[str, float]
_DEFAULTED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def read_defaults(folder: Path) -> dict[str, float]:
    """Sampling values that the model's author recommends; a request's own values go before them (as in vLLM)."""
    path = folder / "generation_config.json"
    stated = read_json(path) if path.is_file() else {}
    return {key: stated[key] for key in _DEFAULTED if isinstance(stated.get(key), int | float)}


def sampling_params(request: Generation, defaults: Defaults, room: int) -> SamplingParams:
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
        stop_strings=tuple(request.stop_strings),
        stop_token_ids=frozenset(request.stop_token_ids or ()),
        ignore_eos=request.ignore_eos,
        include_stop=request.include_stop_str_in_output,
        skip_special_tokens=request.skip_special_tokens,
        num_top_logprobs=request.num_top_logprobs,
    )


def chat_prompt(tokenizer: Tokenizer, request: wire.ChatRequest | wire.TokenizeRequest) -> list[int]:
    """The conversation through the model's chat template, as token ids."""
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
    variables = {"messages", "tools", "add_generation_prompt"} & set(request.chat_template_kwargs or {})
    if variables:
        name = sorted(variables)[0]
        message_ = T(f"{name} is a field of its own", f"{name} 应作为单独的字段给出")
        raise InputError(message_, param="chat_template_kwargs")
    text = tokenizer.render_chat(messages, tools, request.add_generation_prompt, **(request.chat_template_kwargs or {}))
    # The template writes its own beginning-of-text token.
    return tokenizer.encode(text, add_special_tokens=False)


def completion_prompts(tokenizer: Tokenizer, request: wire.CompletionRequest) -> list[list[int]]:
    return [tokenizer.encode(p) if isinstance(p, str) else list(p) for p in request.prompts]


@dataclass
class _Choice:
    """One answer as far as it has come."""

    parser: ToolCallParser | None
    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[wire.TokenLogprob] = field(default_factory=list)
    finish_reason: wire.FinishReason | None = None
    num_tokens: int = 0
    num_chars: int = 0  # of all token texts so far, for text_offset

    def take(self, output: Output) -> tuple[str, list[dict[str, Any]]]:
        """Add an output; returns the text and the tool calls that are new."""
        self.num_tokens += output.token is not None
        text = output.text
        calls: list[dict[str, Any]] = []
        if self.parser:
            text, calls = self.parser.push(text)
            if output.finish_reason:
                rest, late = self.parser.finish()
                text, calls = text + rest, calls + late
        self.text += text
        self.tool_calls += calls
        if output.finish_reason:
            called = output.finish_reason == "stop" and self.tool_calls
            self.finish_reason = "tool_calls" if called else output.finish_reason
        return text, calls


class Reply:
    """Turns the outputs of one answer into one JSON reply or a stream of events."""

    def __init__(
        self,
        request: Generation,
        answer: Answer,
        tokenizer: Tokenizer,
        model: str,
        prompts: Sequence[Sequence[int]],
        lang: str | None = None,
    ) -> None:
        self.request = request
        self.answer = answer
        self.model = model
        self.lang = lang  # of errors in the stream
        self.is_chat = isinstance(request, wire.ChatRequest)
        self.id = wire.new_id("chatcmpl" if self.is_chat else "cmpl")
        self.created = int(time.time())
        self._tokenizer = tokenizer
        self._num_prompt = sum(map(len, prompts))
        self._cached = [0] * len(prompts)
        parses = isinstance(request, wire.ChatRequest) and bool(request.tools) and request.tool_choice != "none"
        self._choices = [_Choice(ToolCallParser() if parses else None) for _ in range(len(prompts) * request.n)]

    async def whole(self) -> dict[str, Any]:
        async for index, output in self.answer:
            self._choices[index].take(output)
            self._choices[index].logprobs += self._logprobs(output)
            self._note_cached(index, output)
        if self.is_chat:
            return wire.chat_completion(
                self.id, self.model, [self._chat_choice(c) for c in self._choices], self._usage(), self.created
            )
        choices = [self._text_choice(i, c, c.text, c.logprobs) for i, c in enumerate(self._choices)]
        return wire.text_completion(self.id, self.model, self.created, choices, self._usage())

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events. What fails after the first byte becomes an event, since the status is long sent."""
        try:
            if self.is_chat:
                for index in range(len(self._choices)):
                    yield self._chunk(index, {"role": "assistant", "content": ""})
            async for index, output in self.answer:
                choice = self._choices[index]
                text, calls = choice.take(output)
                self._note_cached(index, output)
                if event := self._event(index, choice, output, text, calls):
                    yield event
            if self.request.include_usage:
                yield self._last_event()
        except ZhiluError as error:
            yield wire.sse_error(error, self.lang)
        except Exception as error:
            name = type(error).__name__
            message = T(f"the answer broke off: {name}: {error}", f"回答中断：{name}: {error}")
            yield wire.sse_error(UpstreamError(message), self.lang)
        yield wire.SSE_DONE

    def _event(
        self, index: int, choice: _Choice, output: Output, text: str, calls: Sequence[Mapping[str, Any]]
    ) -> bytes | None:
        logprobs = self._logprobs(output)
        if not (text or calls or logprobs or choice.finish_reason):
            return None
        if not self.is_chat:
            piece = self._text_choice(index, choice, text, logprobs)
            return wire.sse(wire.text_completion(self.id, self.model, self.created, [piece], **self._no_usage_yet()))
        delta: dict[str, Any] = {"content": text} if text else {}
        if calls:
            first = len(choice.tool_calls) - len(calls)
            delta["tool_calls"] = [{"index": first + i, **call} for i, call in enumerate(calls)]
        return self._chunk(index, delta, choice.finish_reason, wire.chat_logprobs(logprobs) if logprobs else None)

    def _chunk(
        self,
        index: int | None,
        delta: Mapping[str, Any] | None = None,
        finish_reason: wire.FinishReason | None = None,
        logprobs: Mapping[str, Any] | None = None,
        used: Mapping[str, Any] | None = None,
    ) -> bytes:
        return wire.sse(
            wire.chat_chunk(
                self.id,
                self.model,
                self.created,
                index=index,
                delta=delta,
                finish_reason=finish_reason,
                logprobs=logprobs,
                used=used,
                include_usage=self.request.include_usage,
            )
        )

    def _last_event(self) -> bytes:
        if self.is_chat:
            return self._chunk(None, used=self._usage())
        return wire.sse(wire.text_completion(self.id, self.model, self.created, [], self._usage()))

    def _no_usage_yet(self) -> dict[str, Any]:
        return {"used": None, "include_usage": self.request.include_usage}

    def _chat_choice(self, choice: _Choice) -> dict[str, Any]:
        return {
            "content": choice.text if choice.text or not choice.tool_calls else None,
            "tool_calls": choice.tool_calls,
            "finish_reason": choice.finish_reason,
            "logprobs": wire.chat_logprobs(choice.logprobs) if self.request.num_top_logprobs is not None else None,
        }

    def _text_choice(
        self, index: int, choice: _Choice, text: str, logprobs: Sequence[wire.TokenLogprob]
    ) -> dict[str, Any]:
        piece: dict[str, Any] = {"index": index, "text": text, "finish_reason": choice.finish_reason}
        if self.request.num_top_logprobs is not None:
            piece["logprobs"] = wire.text_logprobs(logprobs, choice.num_chars)
            choice.num_chars += sum(len(token) for token, *_ in logprobs)
        return piece

    def _logprobs(self, output: Output) -> list[wire.TokenLogprob]:
        """None for the token that ended the answer: it is no part of the text."""
        token = output.token
        if token is None or token.logprob is None or isinstance(output.stop_reason, int):
            return []
        return [self._token_logprob(token, token.logprob)]

    def _token_logprob(self, token: SampledToken, logprob: float) -> wire.TokenLogprob:
        def spelled(id: int, value: float) -> tuple[str, bytes, float]:
            raw = self._tokenizer.token_bytes(id)
            return raw.decode("utf-8", "replace"), raw, max(value, -9999.0)  # JSON has no infinity

        return *spelled(token.id, logprob), [spelled(id, value) for id, value in token.top]

    def _note_cached(self, index: int, output: Output) -> None:
        if output.index == 0:
            self._cached[index // self.request.n] = output.num_cached

    def _usage(self) -> dict[str, Any]:
        return wire.usage(self._num_prompt, sum(c.num_tokens for c in self._choices), sum(self._cached))
