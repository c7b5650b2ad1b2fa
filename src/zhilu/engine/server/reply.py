"""From the engine to the OpenAI wire: one JSON reply or a stream of events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zhilu import wire
from zhilu.engine.choose.sampler import SampledToken
from zhilu.engine.sequence import Output
from zhilu.engine.server.api import Generation
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.engine.text.tools import ToolCallParser
from zhilu.errors import UpstreamError, ZhiluError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.engine.choose.beam import BeamAnswer
    from zhilu.engine.server.service import Answer

__all__ = ["Reply"]


@dataclass
class _Choice:
    """One answer as far as it has come."""

    parser: ToolCallParser | None
    is_forced: bool  # to call a tool: whatever else is in the text is part of an unfinished call
    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[wire.TokenLogprob] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    finish_reason: wire.FinishReason | None = None
    stop_reason: str | int | None = None
    num_tokens: int = 0
    offsets: wire.TextOffsets = field(default_factory=wire.TextOffsets)

    def take(self, output: Output) -> tuple[str, list[dict[str, Any]]]:
        """Add an output; returns the text and the pieces of tool calls that are new."""
        self.num_tokens += output.token is not None
        text = output.text
        deltas: list[dict[str, Any]] = []
        if self.parser:
            text, deltas = self.parser.push(text)
            if output.finish_reason:
                rest, late = self.parser.finish()
                text, deltas = text + rest, deltas + late
            if self.is_forced:
                text = ""
        self.text += text
        for delta in deltas:
            self._collect(delta)
        if output.finish_reason:
            called = output.finish_reason == "stop" and self.tool_calls
            self.finish_reason = "tool_calls" if called else output.finish_reason
        return text, deltas

    def _collect(self, delta: Mapping[str, Any]) -> None:
        self.tool_calls.append({key: value for key, value in delta.items() if key != "index"})


class Reply:
    """Turns the outputs of one answer into one JSON reply or a stream of events.

    Args:
        answer: yields ``(choice, Output)``; several prompts with ``n`` answers each are numbered prompt by prompt.
        fingerprint: of the weights and the arithmetic: OpenAI's ``system_fingerprint``.
    """

    def __init__(
        self,
        request: Generation,
        answer: Answer | BeamAnswer,
        tokenizer: Tokenizer,
        model: str,
        prompts: Sequence[Sequence[int]],
        lang: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.request = request
        self.answer = answer
        self.model = model
        self.lang = lang  # of errors in the stream
        self.is_chat = isinstance(request, wire.ChatRequest)
        kind = "chatcmpl" if self.is_chat else "cmpl"
        self.id = f"{kind}-{request.request_id}" if request.request_id else wire.new_id(kind)
        self.created = int(time.time())
        self._fingerprint = fingerprint
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._cached = [0] * len(prompts)
        self._prompt_tokens: list[Sequence[SampledToken]] = [()] * len(prompts)
        # max_tokens=0 asks for the prompt alone; the engine always draws one token.
        self._only_prompt = isinstance(request, wire.CompletionRequest) and request.max_tokens == 0
        shows_more = request.return_token_ids or request.continuous_usage or request.num_top_logprobs is not None
        # Its events hold nothing but text, except for the first and the last.
        self._is_plain = not (shows_more or self._only_prompt)
        self._frames: dict[int, Callable[[str], bytes]] = {}  # of a choice's events that hold nothing but text
        self._choices = [_new_choice(request) for _ in range(len(prompts) * request.n)]

    async def whole(self) -> dict[str, Any]:
        async for index, output in self.answer:
            self._note(index, output)
            if not self._only_prompt:
                self._choices[index].take(output)
                self._choices[index].logprobs += self._logprobs(output)
            elif output.finish_reason:
                self._choices[index].finish_reason = "length"
        if isinstance(self.request, wire.ChatRequest):
            return wire.chat_completion(
                self.id,
                self.model,
                [self._chat_choice(i, c) for i, c in enumerate(self._choices)],
                self._usage(),
                self.created,
                system_fingerprint=self._fingerprint,
                prompt_logprobs=self._prompt_logprobs(0),
                prompt_token_ids=list(self._prompts[0]) if self.request.return_token_ids else None,
            )
        choices = [self._whole_text(i, c) for i, c in enumerate(self._choices)]
        used = self._usage()
        return wire.text_completion(
            self.id, self.model, self.created, choices, used, system_fingerprint=self._fingerprint
        )

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events. What fails after the first byte becomes an event, since the status is long sent."""
        ready: list[bytes] = []  # what a step or a busy moment made at once goes out at once: each write costs
        try:
            if isinstance(self.request, wire.ChatRequest):
                yield b"".join(self._openings(self.request))
            async for index, output in self.answer:
                self._note(index, output)
                ready += self._pieces(index, self._choices[index], output)
                if ready and not self.answer.has_more:
                    yield b"".join(ready)
                    ready.clear()
            if self.request.include_usage:
                ready.append(self._last_event())
        except ZhiluError as error:
            ready.append(wire.sse_error(error, self.lang))
        except Exception as error:
            name = type(error).__name__
            message = T(f"the answer broke off: {name}: {error}", f"回答中断：{name}: {error}")
            ready.append(wire.sse_error(UpstreamError(message), self.lang))
        yield b"".join([*ready, wire.SSE_DONE])

    def _openings(self, request: wire.ChatRequest) -> list[bytes]:
        events = []
        for index in range(len(self._choices)):
            shown: dict[str, Any] = {}
            if request.return_token_ids and not index:
                shown["prompt_token_ids"] = list(self._prompts[0])
            events.append(self._chunk(index, {"role": "assistant", "content": ""}, **shown))
            if said := _echoed(request):
                events.append(self._chunk(index, {"content": said}))
        return events

    def _pieces(self, index: int, choice: _Choice, output: Output) -> list[bytes]:
        """The events of one output: mostly one; none where a token completes no text."""
        if choice.num_tokens and output.finish_reason is None and self._is_plain and not choice.parser:
            text, _ = choice.take(output)
            return [self._frame(index)(text)] if text else []
        is_first = choice.num_tokens == 0
        text, deltas = ("", []) if self._only_prompt else choice.take(output)
        if self._only_prompt:
            choice.num_tokens += 1
            choice.finish_reason = "length" if output.finish_reason else None
        logprobs = [] if self._only_prompt else self._logprobs(output)
        ids = choice.token_ids[-1:] if logprobs or self._is_shown(output) else []
        if not self.is_chat:
            return self._text_pieces(index, choice, text, logprobs, ids, is_first)
        if not (text or deltas or logprobs or choice.finish_reason or (ids and self.request.return_token_ids)):
            return []
        extras: dict[str, Any] = {"token_ids": ids} if self.request.return_token_ids else {}
        if choice.finish_reason:
            extras["stop_reason"] = choice.stop_reason
        shown = wire.chat_logprobs(logprobs) if logprobs else None
        bodies: list[dict[str, Any]] = [{"content": text}] if text or not deltas else []
        bodies += [{"tool_calls": [delta]} for delta in deltas]
        events = [self._chunk(index, body) for body in bodies[:-1]]
        return [*events, self._chunk(index, bodies[-1], choice.finish_reason, shown, extras)]

    def _frame(self, index: int) -> Callable[[str], bytes]:
        if index not in self._frames:
            if self.is_chat:
                data = self._chunk_data(index, {"content": wire.HOLE})
            else:
                data = self._text_data({"index": index, "text": wire.HOLE, "finish_reason": None})
            self._frames[index] = wire.sse_frame(data)
        return self._frames[index]

    def _text_pieces(
        self, index: int, choice: _Choice, text: str, logprobs: list[wire.TokenLogprob], ids: list[int], is_first: bool
    ) -> list[bytes]:
        prompt = index // self.request.n
        if is_first and self.request.echo:
            text = self._prompt_text(prompt) + text
            logprobs = self._prompt_entries(prompt) + logprobs
        wants_ids = self.request.return_token_ids
        if not (text or logprobs or choice.finish_reason or (ids and wants_ids)):
            return []
        piece = self._text_choice(index, choice, text, logprobs)
        if wants_ids:
            piece |= {"token_ids": ids, **({"prompt_token_ids": list(self._prompts[prompt])} if is_first else {})}
        if choice.finish_reason:
            piece["stop_reason"] = choice.stop_reason
        return [wire.sse(self._text_data(piece))]

    def _text_data(self, piece: Mapping[str, Any]) -> dict[str, Any]:
        used = self._usage() if self.request.continuous_usage else None
        fingerprint = {"system_fingerprint": self._fingerprint}
        include = self.request.include_usage
        return wire.text_completion(self.id, self.model, self.created, [piece], used, include, **fingerprint)

    def _chunk(self, *of: Any, **extras: Any) -> bytes:
        return wire.sse(self._chunk_data(*of, **extras))

    def _chunk_data(
        self,
        index: int | None,
        delta: Mapping[str, Any] | None = None,
        finish_reason: wire.FinishReason | None = None,
        logprobs: Mapping[str, Any] | None = None,
        choice_extras: Mapping[str, Any] | None = None,
        **extras: Any,
    ) -> dict[str, Any]:
        shows_usage = index is None or self.request.continuous_usage
        return wire.chat_chunk(
            self.id,
            self.model,
            self.created,
            index=index,
            delta=delta,
            finish_reason=finish_reason,
            logprobs=logprobs,
            used=self._usage() if shows_usage else None,
            include_usage=self.request.include_usage,
            choice_extras=choice_extras,
            system_fingerprint=self._fingerprint,
            **extras,
        )

    def _last_event(self) -> bytes:
        if self.is_chat:
            return self._chunk(None)
        used, fingerprint = self._usage(), self._fingerprint
        return wire.sse(
            wire.text_completion(self.id, self.model, self.created, [], used, system_fingerprint=fingerprint)
        )

    def _chat_choice(self, index: int, choice: _Choice) -> dict[str, Any]:
        assert isinstance(self.request, wire.ChatRequest)
        text = _echoed(self.request) + choice.text
        return {
            "content": text if text or choice.is_forced or not choice.tool_calls else None,
            "tool_calls": choice.tool_calls,
            "finish_reason": choice.finish_reason,
            "logprobs": wire.chat_logprobs(choice.logprobs) if self.request.num_top_logprobs is not None else None,
            "stop_reason": choice.stop_reason,
            "token_ids": choice.token_ids if self.request.return_token_ids else None,
            **self._own_prompt(index),
        }

    def _own_prompt(self, index: int) -> dict[str, Any]:
        """Of a choice, where there are several conversations: the reply's own field holds only one."""
        if len(self._prompts) == 1 or not self.request.return_token_ids:
            return {}
        return {"prompt_token_ids": list(self._prompts[index // self.request.n])}

    def _whole_text(self, index: int, choice: _Choice) -> dict[str, Any]:
        prompt = index // self.request.n
        text, logprobs = choice.text, choice.logprobs
        if self.request.echo:
            text, logprobs = self._prompt_text(prompt) + text, self._prompt_entries(prompt) + logprobs
        shows_ids = self.request.return_token_ids
        return {
            **self._text_choice(index, choice, text, logprobs),
            "stop_reason": choice.stop_reason,
            "prompt_logprobs": self._prompt_logprobs(prompt),
            "token_ids": choice.token_ids if shows_ids else None,
            "prompt_token_ids": list(self._prompts[prompt]) if shows_ids else None,
        }

    def _text_choice(
        self, index: int, choice: _Choice, text: str, logprobs: Sequence[wire.TokenLogprob]
    ) -> dict[str, Any]:
        piece: dict[str, Any] = {"index": index, "text": text, "finish_reason": choice.finish_reason}
        if self.request.num_top_logprobs is not None:
            piece["logprobs"] = wire.text_logprobs(logprobs, choice.offsets)
        return piece

    def _prompt_text(self, prompt: int) -> str:
        """As it was sent; token ids are decoded."""
        assert isinstance(self.request, wire.CompletionRequest)
        sent = self.request.prompts[prompt]
        is_cut = self.request.truncate_prompt_tokens is not None
        return sent if isinstance(sent, str) and not is_cut else self._tokenizer.decode(self._prompts[prompt], False)

    def _prompt_entries(self, prompt: int) -> list[wire.TokenLogprob]:
        """The prompt's tokens for an echo; nothing comes before the first, so it has no probability."""
        if self.request.num_top_logprobs is None:
            return []
        count = self.request.num_top_logprobs
        first: wire.TokenLogprob = (*self._spelled(self._prompts[prompt][0]), None, [])
        rest = [self._token_logprob(token, count) for token in self._prompt_tokens[prompt]]
        return [first, *rest]

    def _prompt_logprobs(self, prompt: int) -> list[dict[str, Any] | None] | None:
        """vLLM's shape: per token the probable ones and itself, by id."""
        if self.request.prompt_logprobs is None:
            return None
        entries: list[dict[str, Any] | None] = [None]
        for token in self._prompt_tokens[prompt]:
            ranked = [(id, value, place) for place, (id, value) in enumerate(token.top, start=1)]
            ranked = ranked[: self.request.prompt_logprobs]
            if token.id not in (id for id, *_ in ranked):
                ranked.insert(0, (token.id, token.logprob or 0.0, token.rank or 1))
            entries.append(
                {
                    str(id): {"logprob": max(value, -9999.0), "rank": rank, "decoded_token": self._spelled(id)[0]}
                    for id, value, rank in ranked
                }
            )
        return entries

    def _logprobs(self, output: Output) -> list[wire.TokenLogprob]:
        """None for the token that ended the answer: it is no part of the text."""
        token = output.token
        if token is None or token.logprob is None or not self._is_shown(output):
            return []
        return [self._token_logprob(token)]

    @staticmethod
    def _is_shown(output: Output) -> bool:
        return output.token is not None and not isinstance(output.stop_reason, int)

    def _token_logprob(self, token: SampledToken, count: int | None = None) -> wire.TokenLogprob:
        def spelled(id: int, value: float) -> tuple[str, bytes, float]:
            return *self._spelled(id), max(value, -9999.0)  # JSON has no infinity

        assert token.logprob is not None
        return *spelled(token.id, token.logprob), [spelled(id, value) for id, value in token.top[:count]]

    def _spelled(self, id: int) -> tuple[str, bytes]:
        raw = self._tokenizer.token_bytes(id)
        text = f"token_id:{id}" if self.request.return_tokens_as_token_ids else raw.decode("utf-8", "replace")
        return text, raw

    def _note(self, index: int, output: Output) -> None:
        choice, prompt = self._choices[index], index // self.request.n
        if output.index == 0:
            self._cached[prompt] = output.num_cached
            self._prompt_tokens[prompt] = output.prompt_logprobs or self._prompt_tokens[prompt]
        if self._is_shown(output) and output.token is not None and not self._only_prompt:
            choice.token_ids.append(output.token.id)
        if output.finish_reason and not self._only_prompt:
            # The model's own end is no stop that somebody asked for.
            asked = isinstance(output.stop_reason, str) or output.stop_reason in (self.request.stop_token_ids or ())
            choice.stop_reason = output.stop_reason if asked else None

    def _usage(self) -> dict[str, Any]:
        generated = 0 if self._only_prompt else sum(c.num_tokens for c in self._choices)
        return wire.usage(sum(map(len, self._prompts)), generated, sum(self._cached))


def _new_choice(request: Generation) -> _Choice:
    if not isinstance(request, wire.ChatRequest) or not request.may_call_tools:
        return _Choice(None, is_forced=False)
    max_calls = 1 if request.parallel_tool_calls is False else None
    parser = ToolCallParser(max_calls, [tool.function.name for tool in request.tools or ()])
    return _Choice(parser, is_forced=bool(request.forced_tools))


def _echoed(request: wire.ChatRequest) -> str:
    """With ``echo`` an answer begins with the last message, if that is the assistant's own."""
    last = request.messages[-1] if request.messages else None
    return (last.text or "") if request.echo and last and last.role == "assistant" else ""
