"""Beam search: of all answers, the ``n`` with the highest probability, found by following the best beginnings.

The engine knows nothing of it. Each step is an ordinary request for one token after every beginning that is still followed; the
keys and values of the beginning are in the prefix cache. As in vLLM, twice as many continuations of each beginning are examined
as beginnings are kept, and an answer's score is its log-probability divided by its length (to the power of
``length_penalty``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zhilu import wire
from zhilu.engine.choose.sampler import SampledToken
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.sequence import Output
from zhilu.engine.text.detokenizer import IncrementalText
from zhilu.errors import CancelledByUser, UnsupportedError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.engine.server.service import EngineService

__all__ = ["BeamAnswer", "refuse_beyond_beams"]

# Nothing is drawn, and the likeliest answer is that of the model's own distribution: these would do nothing.
_WITHOUT_EFFECT = (
    *("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("logit_bias", "allowed_token_ids", "bad_words", "min_tokens", "min_characters", "logprob_token_ids"),
)


def refuse_beyond_beams(request: wire.ChatRequest | wire.CompletionRequest) -> None:
    """UnsupportedError for what a beam search cannot take, and for a field of beam search where there is none."""
    if not request.use_beam_search:
        if request.length_penalty not in (None, 1.0):
            text = T("length_penalty: only with use_beam_search", "length_penalty 只能与 use_beam_search 一起使用")
            raise UnsupportedError(text, param="length_penalty")
        return
    fields = type(request).model_fields
    asked = [
        name for name in _WITHOUT_EFFECT if getattr(request, name) not in (fields[name].default, None, 0, 1.0, [], {})
    ]
    asked += [name for name in ("stream", "stop") if getattr(request, name)]
    if request.constraint is not None:
        asked.append(request.constraint.field)
    if isinstance(request, wire.ChatRequest) and request.forced_tools:
        asked.append("tool_choice")
    if asked:
        raise UnsupportedError(
            T(
                f"{asked[0]}: not together with use_beam_search, which draws nothing and tells nothing before its end",
                f"{asked[0]}：不能与 use_beam_search 一起使用，束搜索不采样，结束前也没有输出",
            ),
            param=asked[0],
        )


@dataclass(frozen=True)
class _Beam:
    tokens: tuple[SampledToken, ...] = ()
    logprob: float = 0.0

    def score(self, length_penalty: float) -> float:
        return self.logprob / float(len(self.tokens) ** length_penalty)

    def grown(self, token: SampledToken) -> _Beam:
        return _Beam((*self.tokens, token), self.logprob + (token.logprob or 0.0))


class BeamAnswer:
    """The same as ``service.Answer`` to whoever reads it, but that everything comes at the end.

    Args:
        params: of each prompt; the limit of tokens, what ends an answer and what is to be reported are heeded.
        width: beginnings that are followed, and answers to each prompt.
    """

    has_more = False

    def __init__(
        self,
        service: EngineService,
        prompts: Sequence[list[int]],
        params: Sequence[SamplingParams],
        width: int,
        length_penalty: float | None,
        adapter: str | None = None,
    ) -> None:
        self._service = service
        self._wishes = list(zip(prompts, params, strict=True))
        self._width = width
        self._penalty = 1.0 if length_penalty is None else length_penalty
        self._adapter = adapter
        self._cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aiter__(self) -> AsyncIterator[tuple[int, Output]]:
        work = asyncio.gather(*(self._outputs(prompt, params) for prompt, params in self._wishes))
        try:
            both: set[asyncio.Future[Any]] = {work, self._cancelled}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise CancelledByUser(T("the request was cancelled", "请求已被取消"))
            found = work.result()
        finally:
            work.cancel()
        for position, outputs in enumerate(found):
            for output in outputs:
                yield position * self._width + output.index, output

    def cancel(self) -> None:
        """See ``service.Answer``."""
        if not self._cancelled.done():
            self._cancelled.set_result(None)

    def abort(self) -> None:
        """Nothing to do: a step that is cancelled aborts its own requests."""

    async def _outputs(self, prompt: list[int], params: SamplingParams) -> list[Output]:
        engine = self._service.engine
        await self._service.call(lambda: engine.check(prompt, params))
        ends = params.stop_token_ids if params.ignore_eos else params.stop_token_ids | engine.eos_ids
        first: list[Output] = []  # of the prompt itself: what was cached, how probable it was
        beams = await self._search(prompt, params, ends, first)
        outputs = [output for index, beam in enumerate(beams) for output in self._told(index, beam, params, ends)]
        told = replace(outputs[0], num_cached=first[0].num_cached, prompt_logprobs=first[0].prompt_logprobs)
        return [told, *outputs[1:]]

    async def _search(
        self, prompt: list[int], params: SamplingParams, ends: Collection[int], first: list[Output]
    ) -> list[_Beam]:
        """The best beams, best first; those that did not end have the length of the limit."""
        step = SamplingParams(1, 0.0, num_top_logprobs=2 * self._width, cache_salt=params.cache_salt)
        live, done = [_Beam()], list[_Beam]()
        for length in range(params.max_tokens):
            own = step if length else replace(step, num_prompt_logprobs=params.num_prompt_logprobs)
            rows = [[*prompt, *(token.id for token in beam.tokens)] for beam in live]
            outputs = await self._step(rows, own)
            first += outputs[: not length]
            grown = [
                beam.grown(output.token._replace(id=id, logprob=logprob, rank=rank))
                for beam, output in zip(live, outputs, strict=True)
                if output.token is not None
                for rank, (id, logprob) in enumerate(output.token.top, start=1)
            ]
            done += [beam for beam in grown if beam.tokens[-1].id in ends]
            live = [beam for beam in grown if beam.tokens[-1].id not in ends]
            live = sorted(live, key=lambda beam: -beam.logprob)[: self._width]
            done = self._best(done)
            if not live or not self._can_improve(live[0], done, params.max_tokens):
                break
        else:
            done = self._best([*done, *live])
        return done

    def _best(self, beams: list[_Beam]) -> list[_Beam]:
        return sorted(beams, key=lambda beam: -beam.score(self._penalty))[: self._width]

    def _can_improve(self, best: _Beam, done: list[_Beam], limit: int) -> bool:
        """Every further token makes a beam less likely; at most its length can speak for it."""
        if len(done) < self._width:
            return True
        length = limit if self._penalty > 0 else len(best.tokens) + 1
        return best.logprob / float(length**self._penalty) > done[-1].score(self._penalty)

    async def _step(self, rows: list[list[int]], params: SamplingParams) -> list[Output]:
        answer = await self._service.submit(wire.new_id("beam"), rows, [params] * len(rows), 1, self._adapter)
        try:
            found = {position: output async for position, output in answer}
        finally:
            answer.abort()
        return [found[position] for position in range(len(rows))]

    def _told(self, index: int, beam: _Beam, params: SamplingParams, ends: Collection[int]) -> list[Output]:
        """A beam as the engine would have told it, token by token."""
        text = IncrementalText(self._service.engine.tokenizer, params.skip_special_tokens)
        outputs = []
        for place, token in enumerate(beam.tokens, start=1):
            shown = token if params.num_top_logprobs is not None else SampledToken(token.id)
            shown = shown._replace(top=shown.top[: params.num_top_logprobs])
            if token.id in ends:
                outputs.append(Output("", index, "", shown, "stop", token.id))
            else:
                reason = "length" if place == len(beam.tokens) else None
                outputs.append(Output("", index, text.push(token.id), shown, reason))  # type: ignore[arg-type]
        return outputs
