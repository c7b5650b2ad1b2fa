"""The engine in one page: ``step()`` schedules, computes, samples and hands out.

There are no threads here. Whoever calls ``step`` drives the engine: a test, or ``server/service.py``. Only ``metrics.py`` and
``steps.py`` read the clock.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from math import isfinite

import numpy as np
import numpy.typing as npt

from zhilu.engine.blocks import BlockPool
from zhilu.engine.choose.guided import Guides
from zhilu.engine.choose.sampler import report, sample
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.choose.speculate import Drafter
from zhilu.engine.metrics import Metrics
from zhilu.engine.model.adapters import read_adapter
from zhilu.engine.model.config import ModelConfig, read_config
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.options import EngineOptions, choose_max_len
from zhilu.engine.runner.adapter_table import AdapterTable
from zhilu.engine.runner.base import Runner, StepChunk
from zhilu.engine.scheduler import Scheduler, Work
from zhilu.engine.sequence import Output, Request, Sequence, Status
from zhilu.engine.steps import StepLog
from zhilu.engine.text.ends import end_ids
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError, UpstreamError, ZhiluError
from zhilu.heap import give_back_freed
from zhilu.messages import T
from zhilu.wire import FinishReason

__all__ = ["Engine", "load_engine"]


class Engine:
    """One model, its key-value memory and the requests in flight. All methods belong to one thread."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        runner: Runner,
        scheduler: Scheduler,
        *,
        max_len: int,
        eos_ids: frozenset[int],
        speculate: int = 0,
    ) -> None:
        self.tokenizer = tokenizer
        self.runner = runner
        self.scheduler = scheduler
        self.max_len = max_len
        self.eos_ids = eos_ids
        self.guides = Guides(tokenizer, runner.vocab_size, eos_ids)
        self.adapters = AdapterTable(runner)
        self.speculate = speculate
        self.metrics = Metrics()
        self.steps = StepLog()
        self.requests: dict[str, Request] = {}

    def add(
        self, id: str, prompt_ids: list[int], params: SamplingParams, n: int = 1, adapter: str | None = None
    ) -> Request:
        """Queue a request, for the model itself or with one of its LoRA adapters.

        Raises:
            NotFoundError: no such adapter is loaded.
            InputError: the prompt is empty, holds unknown token ids, or prompt and answer exceed the context; the
                grammar is none (a caller with time for it asks ``guides.check`` first, outside of the engine's thread).
        """
        self.check(prompt_ids, params)
        request = Request(id, prompt_ids, params, n)
        request.sequences = [Sequence(request, index, self.tokenizer) for index in range(n)]
        if params.grammar is not None:
            for sequence in request.sequences:
                sequence.guide = self.guides.start(params.grammar)
        if adapter is not None:
            request.adapter, request.adapter_number = adapter, self.adapters.acquire(adapter)
        if self.speculate:
            for sequence in request.sequences:
                sequence.drafter = Drafter(self.speculate)
        self.requests[id] = request
        self.scheduler.add(request)
        self.metrics.num_prompt_tokens += len(prompt_ids)
        return request

    def step(self) -> list[Output]:
        """One turn: who may compute, compute it, choose the next tokens, tell what is new."""
        work = self.scheduler.schedule()
        if not work:
            return []
        self.metrics.note_start(work)
        self.steps.begin(work, self.scheduler)
        logits = self.runner.run([self._chunk(item) for item in work])
        ends = accumulate(item.num_logits for item in work)
        shares = [logits[end - item.num_logits : end] for item, end in zip(work, ends, strict=True)]
        num_read = sum(item.num_prompt_tokens for item in work)
        for item in work:
            self.scheduler.computed(item)
        outputs = [output for item, rows in zip(work, shares, strict=True) for output in self._take_tokens(item, rows)]
        self.metrics.count_step(work, num_read + len(outputs))
        self.steps.end(outputs)
        return outputs

    def abort(self, id: str) -> None:
        """Forget a request and free its blocks; unknown and finished ids are fine."""
        request = self.requests.get(id)
        if request is not None:
            for sequence in request.sequences:
                self.scheduler.finish(sequence)
            self._forget(request)

    def fail_all(self, error: Exception) -> list[Output]:
        """End every request with ``error``: after a failed step nobody's cache can be trusted."""
        failed = list(self.requests)
        for id in failed:
            self.abort(id)
        return [Output(id, index=0, error=error) for id in failed]

    def check(self, prompt_ids: SequenceOf[int], params: SamplingParams) -> None:
        if not prompt_ids:
            raise InputError(T("the prompt is empty", "提示词为空"), param="prompt")
        vocab_size = self.runner.vocab_size
        for what, ids in (
            ("prompt", prompt_ids),
            ("logit_bias", params.logit_bias),
            ("stop_token_ids", params.stop_token_ids),
            ("allowed_token_ids", params.allowed_token_ids),
            ("logprob_token_ids", params.logprob_token_ids),
        ):
            strange = next((id for id in ids if not 0 <= id < vocab_size), None)
            if strange is not None:
                raise InputError(
                    T(
                        f"{what}: token id {strange} is out of vocabulary, which has {vocab_size} tokens",
                        f"{what}：不存在 id 为 {strange} 的 token，词表大小为 {vocab_size}",
                    ),
                    param=what,
                )
        surplus = len(prompt_ids) + params.max_tokens - self.max_len
        if surplus > 0:
            raise InputError(
                T(
                    f"the context holds {self.max_len} tokens; the prompt has {len(prompt_ids)} and the answer may have "
                    f"{params.max_tokens}: {surplus} too many",
                    f"上下文长度为 {self.max_len} 个 token；提示词有 {len(prompt_ids)} 个，回答最多 {params.max_tokens} 个，"
                    f"超出 {surplus} 个",
                ),
                param="prompt",
                code="context_length_exceeded",
            )

    def _chunk(self, work: Work) -> StepChunk:
        sequence = work.sequence
        end = sequence.num_computed + work.num_tokens
        ids = [*sequence.token_ids[sequence.num_computed : end], *work.draft]
        return StepChunk(ids, sequence.num_computed, sequence.table, work.num_logits, sequence.adapter)

    def _take_tokens(self, work: Work, logits: npt.NDArray[np.float32]) -> list[Output]:
        """Choose the next token, and go on as long as it is the one that was guessed and computed already."""
        sequence, outputs = work.sequence, list[Output]()
        if sequence.wants_prompt_logits:
            logits = self._report_prompt(work, logits)
        for row, guess in zip(logits, [*work.draft, None], strict=False):
            if sequence.status is not Status.RUNNING:  # over, or its request has failed in another sequence
                break
            outputs.append(self._take_token_or_fail(sequence, row))
            token = outputs[-1].token
            if token is None or token.id != guess:
                break
            sequence.num_computed += 1
        if work.draft and sequence.drafter:
            num_accepted = max(0, len(outputs) - 1)
            sequence.drafter.learn(len(work.draft), num_accepted)
            self.metrics.count_draft(len(work.draft), num_accepted)
        return outputs

    def _report_prompt(self, work: Work, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Note how probable the prompt's own tokens were; returns the row that chooses the next one, if it is there."""
        sequence = work.sequence
        start = sequence.num_computed - work.num_tokens
        ids = sequence.token_ids[start + 1 : sequence.num_computed + 1]
        num_top = sequence.params.num_prompt_logprobs or 0
        sequence.request.prompt_logprobs[start:] = report(logits[: len(ids)], ids, num_top)
        return logits[-1:] if sequence.num_pending == 0 else logits[:0]

    def _take_token_or_fail(self, sequence: Sequence, logits: npt.NDArray[np.float32]) -> Output:
        """A failure here is one request's own (its parameters, its logits): the others go on."""
        try:
            return self._take_token(sequence, logits)
        except Exception as error:
            id = sequence.request.id
            self.abort(id)
            if not isinstance(error, ZhiluError):
                name = type(error).__name__
                error = UpstreamError(T(f"sampling failed: {name}: {error}", f"采样失败：{name}: {error}"))
            return Output(id, sequence.index, error=error)

    def _take_token(self, sequence: Sequence, logits: npt.NDArray[np.float32]) -> Output:
        """Sample one token, append it and see whether the sequence ends with it."""
        likeliest = int(logits.argmax())  # of NaN the first
        if not isfinite(logits[likeliest]):
            raise UpstreamError(T("the model produced no finite logits", "模型输出的 logits 不是有限数"))
        params = sequence.params
        ends = params.stop_token_ids if params.ignore_eos else params.stop_token_ids | self.eos_ids
        forbidden = sequence.forbidden if sequence.may_end else sequence.forbidden | ends
        guide = sequence.guide
        allowed = guide.allowed() if guide else None
        token = sample(
            logits, params, sequence.generator, sequence.prompt_set, sequence.counts, forbidden, allowed, likeliest
        )
        if guide:
            guide.take(token.id)
        sequence.token_ids.append(token.id)
        sequence.counts[token.id] += 1
        self.metrics.count_token(sequence)

        finish_reason: FinishReason | None = None
        stop_reason: str | int | None = None
        if token.id in ends:
            text, finish_reason, stop_reason = sequence.stops.flush(), "stop", token.id
        else:
            piece = sequence.text.push(token.id)
            sequence.num_characters += len(piece)
            text, stop_reason = sequence.stops.push(piece)
            if stop_reason is not None:
                finish_reason = "stop"
            elif guide and guide.is_finished:  # nothing can follow: no need to draw an end token
                text, finish_reason = text + sequence.stops.flush(), "stop"
            elif sequence.num_output >= params.max_tokens:
                text, finish_reason = text + sequence.stops.flush(), "length"
        if finish_reason:
            self._finish(sequence, finish_reason)
        is_first = sequence.index == 0 and sequence.num_output == 1
        return Output(
            sequence.request.id,
            sequence.index,
            text,
            token,
            finish_reason,
            stop_reason,
            sequence.num_cached,
            prompt_logprobs=sequence.request.prompt_logprobs if is_first else (),
        )

    def _finish(self, sequence: Sequence, reason: str) -> None:
        self.scheduler.finish(sequence)
        request = sequence.request
        self.metrics.count_finish(sequence, reason)
        if request.is_finished:
            self._forget(request)

    def _forget(self, request: Request) -> None:
        if self.requests.pop(request.id, None) and request.adapter is not None:
            self.adapters.release(request.adapter)


def _refuse_other_vocabulary(tokenizer: Tokenizer, config: ModelConfig) -> None:
    """Added tokens may lie behind the weights (Gemma 3's image token does in its text models); words may not."""
    if tokenizer.base_vocab_size > config.vocab_size:
        raise InputError(
            T(
                f"the tokenizer has {tokenizer.base_vocab_size} tokens, the weights have {config.vocab_size}: they are of "
                "different models, or vocab_size in config.json is wrong",
                f"分词器有 {tokenizer.base_vocab_size} 个 token，而权重有 {config.vocab_size} 个："
                "两者不属于同一模型，或 config.json 中的 vocab_size 有误",
            ),
            code="bad_weights",
        )


def load_engine(options: EngineOptions) -> Engine:
    """Read a model folder and make an engine of it (a second with OpenVINO, several with torch).

    The tokenizer (a second for 150,000 tokens) is read beside the weights, on another core: nobody waits for it.
    """
    from zhilu.engine.runner.load import load_runner

    gguf = find_gguf(options.model)
    header = read_gguf(gguf) if gguf else None  # held, so that it is read once
    config = read_config(options.model)
    max_len, _ = choose_max_len(options.max_len, config)
    adapters = [read_adapter(name, folder, config, options.model) for name, folder in options.adapters.items()]
    with ThreadPoolExecutor(1, thread_name_prefix="tokenizer") as beside:
        reading = beside.submit(Tokenizer, options.model)

        def check_tokenizer() -> None:
            _refuse_other_vocabulary(reading.result(), config)
            give_back_freed()  # what it was made from: 60 MB for 150,000 tokens, which the weights would scatter over

        runner = load_runner(config.for_length(max_len), options, max_len, check_tokenizer)
    tokenizer = reading.result()
    max_len = min(max_len, runner.num_blocks * runner.block_size)  # where nobody asked for one, the memory may say less
    pool = BlockPool(runner.num_blocks, runner.block_size, options.prefix_caching)
    scheduler = Scheduler(pool, options.max_num_seqs, options.max_batch_tokens)
    eos_ids = end_ids(options.model, config, tokenizer)
    engine = Engine(tokenizer, runner, scheduler, max_len=max_len, eos_ids=eos_ids, speculate=options.speculate)
    for adapter in adapters:
        engine.adapters.add(adapter)
    del header
    give_back_freed()
    return engine
