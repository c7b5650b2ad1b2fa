"""One request and its sequences (``n`` answers to one prompt), from arrival to the last token."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from zhilu.engine.detokenizer import IncrementalText, StopWatch
from zhilu.engine.sampler import SampledToken, make_generator
from zhilu.engine.sampling import SamplingParams
from zhilu.engine.tokenizer import Tokenizer
from zhilu.wire import FinishReason

__all__ = ["Output", "Request", "Sequence", "Status"]


class Status(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True)
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


@dataclass
class Request:
    id: str
    prompt_ids: list[int]
    params: SamplingParams
    n: int = 1
    arrived: float = field(default_factory=time.monotonic)  # seconds
    sequences: list[Sequence] = field(default_factory=list)

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
        self.first_token_at: float | None = None

    @property
    def num_output(self) -> int:
        return len(self.token_ids) - self.num_prompt

    @property
    def num_pending(self) -> int:
        """Tokens whose keys and values are still to be computed: one when decoding, many before."""
        return len(self.token_ids) - self.num_computed

    @property
    def waits_for_leader(self) -> bool:
        """The first of ``n`` computes the prompt alone; the others then find its blocks in the prefix cache."""
        leader = self.request.sequences[0]
        return leader is not self and leader.status is not Status.FINISHED and leader.num_output == 0
