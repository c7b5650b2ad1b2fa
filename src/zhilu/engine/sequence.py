"""One request and its sequences (``n`` answers to one prompt), from arrival to the last token."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from enum import Enum

from zhilu.engine.choose.guided import Guide
from zhilu.engine.choose.sampler import SampledToken, make_generator
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.choose.speculate import Drafter
from zhilu.engine.text.detokenizer import IncrementalText, StopWatch
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.wire import FinishReason

__all__ = ["Output", "Request", "Sequence", "Status"]


class Status(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(slots=True)  # not frozen: one is made for every token, and freezing triples what that costs
class Output:
    """What one step added to one sequence. ``error`` ends the whole request."""

    request_id: str
    index: int
    text: str = ""
    token: SampledToken | None = None
    finish_reason: FinishReason | None = None
    stop_reason: str | int | None = None  # the stop string or stop token that ended it
    num_cached: int = 0  # prompt tokens found in the prefix cache
    error: Exception | None = None
    prompt_logprobs: SequenceOf[SampledToken] = ()  # of the prompt from its second token on; comes once, with the first


@dataclass
class Request:
    id: str
    prompt_ids: list[int]
    params: SamplingParams
    n: int = 1
    adapter: str | None = None
    adapter_number: int = 0  # 0: the model alone
    arrived: float = field(default_factory=time.monotonic)  # seconds
    sequences: list[Sequence] = field(default_factory=list)
    prompt_logprobs: list[SampledToken] = field(default_factory=list)  # as far as they are computed, if asked for

    @property
    def is_finished(self) -> bool:
        return all(sequence.status is Status.FINISHED for sequence in self.sequences)


class Sequence:
    """One answer in the making. ``token_ids[:num_computed]`` have their keys and values in the blocks of ``table``."""

    def __init__(self, request: Request, index: int, tokenizer: Tokenizer) -> None:
        self.request = request
        self.params = request.params
        self.index = index
        self.status = Status.WAITING
        self.token_ids = list(request.prompt_ids)
        self.num_prompt = len(request.prompt_ids)
        self.prompt_set = frozenset(request.prompt_ids) if request.params.repetition_penalty != 1 else frozenset()
        self.num_computed = 0
        self.num_cached = 0
        self.num_published = 0
        self.num_preemptions = 0
        self.table: list[int] = []
        self.counts: Counter[int] = Counter()
        self.generator = make_generator(request.params.seed, index)
        self.text = IncrementalText(tokenizer, request.params.skip_special_tokens)
        self.stops = StopWatch(request.params.stop_strings, request.params.include_stop)
        self.guide: Guide | None = None  # where it stands in its grammar, if it has one
        self.drafter: Drafter | None = None  # where the engine speculates
        self.num_characters = 0
        self.admitted_at: float | None = None  # when it first began to be computed
        self.first_token_at: float | None = None
        self.last_token_at: float | None = None

    @property
    def num_output(self) -> int:
        return len(self.token_ids) - self.num_prompt

    @property
    def num_pending(self) -> int:
        """Tokens whose keys and values are still to be computed: one when decoding, many before."""
        return len(self.token_ids) - self.num_computed

    @property
    def wants_prompt_logits(self) -> bool:
        """Log-probabilities of the prompt are asked for, so all of its logits are needed and none of it may be cached."""
        return self.params.num_prompt_logprobs is not None and self.index == 0 and self.num_output == 0

    @property
    def forbidden(self) -> set[int]:
        """Tokens that would complete a word that must not come."""
        output = self.token_ids[self.num_prompt :]
        words = self.params.bad_words
        return {ids[-1] for ids in words if len(ids) == 1 or tuple(output[-len(ids) + 1 :]) == ids[:-1]}

    @property
    def may_end(self) -> bool:
        """It has the length that was asked for at least."""
        return self.num_output >= self.params.min_tokens and self.num_characters >= self.params.min_characters

    @property
    def adapter(self) -> int:
        return self.request.adapter_number

    def draft(self, room: int) -> list[int]:
        """At most ``room`` guessed tokens that may follow, none where the sequence is not guessing."""
        room = min(room, self.params.max_tokens - self.num_output - 1)
        if self.drafter is None or room <= 0:
            return []
        if self.guide is None:
            return self.drafter.propose(self.token_ids, room)
        guesses = self.guide.forced()[:room] or self.drafter.propose(self.token_ids, room)
        return guesses[: self.guide.count_fitting(guesses)]

    @property
    def waits_for_leader(self) -> bool:
        """The first of ``n`` computes the prompt alone; the others then find its blocks in the prefix cache."""
        leader = self.request.sequences[0]
        return leader is not self and leader.status is not Status.FINISHED and leader.num_output == 0
