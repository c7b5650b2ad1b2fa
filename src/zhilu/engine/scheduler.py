"""What is computed in the next step: continuous batching (Orca, OSDI 2022) with chunked prefill.

There are no separate phases. Every running sequence has some tokens whose keys and values are missing: one while it is decoding,
the whole prompt at first. A step hands out at most ``max_batch_tokens`` of that work. First, every sequence that is decoding
gets one token (and its guesses, see ``choose/speculate.py``), so that prompts do not stop answers. Of the rest, half goes to the
prompt that came first and half to the shortest. So a flood of long prompts does not keep a short question waiting, and a flood
of short ones does not starve the long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

from zhilu.engine.blocks import BlockPool
from zhilu.engine.sequence import Request, Sequence, Status

__all__ = ["Scheduler", "Work"]


@dataclass(frozen=True)
class Work:
    """``num_tokens`` of one sequence, from ``sequence.num_computed`` on, and behind them guesses to be checked."""

    sequence: Sequence
    num_tokens: int
    draft: SequenceOf[int] = ()

    @property
    def num_prompt_tokens(self) -> int:
        """How many of them belong to the prompt."""
        return max(0, min(self.num_tokens, self.sequence.num_prompt - self.sequence.num_computed))

    @property
    def completes(self) -> bool:
        """After this the sequence has logits for its next token."""
        return self.num_tokens == self.sequence.num_pending

    @property
    def num_logits(self) -> int:
        """One to choose the next token by, and one behind each guess; all of a prompt that is to be reported."""
        if self.sequence.wants_prompt_logits:
            return self.num_tokens
        return 1 + len(self.draft) if self.completes else 0


class Scheduler:
    def __init__(self, pool: BlockPool, max_num_seqs: int, max_batch_tokens: int) -> None:
        self.pool = pool
        self.max_num_seqs = max_num_seqs
        self.max_batch_tokens = max_batch_tokens
        self.share = max_num_seqs - max_num_seqs // 4  # places for one request that wants more than there are
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []  # in the order of admission
        self.num_preemptions = 0
        self.preempted: list[Sequence] = []  # in the last call of ``schedule``

    def add(self, request: Request) -> None:
        self.waiting.extend(request.sequences)

    def schedule(self) -> list[Work]:
        """Assign the next step's work and the blocks it needs; may preempt the youngest to let the oldest go on."""
        self.preempted = []
        work = self._decode()
        budget = self.max_batch_tokens - sum(item.num_tokens + len(item.draft) for item in work)
        return work + self._read_prompts(budget, may_admit=not self.preempted)

    def _decode(self) -> list[Work]:
        """One token for each sequence that lacks no more than one, oldest first, and guesses where there is room."""
        work: list[Work] = []
        decoding = [sequence for sequence in self.running if sequence.num_pending == 1]
        decoding = sorted(decoding, key=_arrival)[: self.max_batch_tokens]  # so that who is preempted comes later
        spare = self.max_batch_tokens - len(decoding)
        for sequence in decoding:
            if sequence.status is not Status.RUNNING or not self._make_room(sequence, 1):
                continue  # preempted just now, by an older one or for lack of anybody younger
            draft = sequence.draft(spare)
            if draft and not self.pool.grow(sequence.table, sequence.num_computed + 1 + len(draft)):
                draft = []  # nobody is preempted for a guess
            work.append(Work(sequence, 1, draft))
            spare -= len(draft)
        return work

    def _read_prompts(self, budget: int, may_admit: bool) -> list[Work]:
        """Hand out ``budget`` tokens of prompts, to those begun and, where one may, to those waiting."""
        begun = [sequence for sequence in self.running if sequence.num_pending > 1]
        waiting = [s for s in self._in_turn() if not s.waits_for_leader] if may_admit and budget > 0 else []
        queue = sorted(begun + waiting, key=_arrival)
        if queue and not self._start(queue[0]):
            queue = sorted(begun, key=_arrival)  # nobody overtakes one who waits for memory
        if not queue or budget <= 0:
            return []
        first, others = queue[0], sorted(queue[1:], key=lambda sequence: sequence.num_pending)
        share = budget - min(first.num_pending, budget - budget // 2)
        work: list[Work] = []
        for sequence in others:
            if share <= 0 or not self._start(sequence):
                break
            work.append(Work(sequence, min(sequence.num_pending, share)))
            share -= work[-1].num_tokens
        left = budget - sum(item.num_tokens for item in work)
        return [Work(first, min(first.num_pending, left)), *work]

    def _in_turn(self) -> list[Sequence]:
        """Those who wait, without the answers of a request that has its share: who comes after it waits for one of them,
        not for all."""
        taken: dict[str, int] = {}
        for sequence in self.running:
            taken[sequence.request.id] = taken.get(sequence.request.id, 0) + 1
        found = []
        for sequence in self.waiting:
            request, number = sequence.request, taken.get(sequence.request.id, 0)
            if len(request.sequences) <= self.max_num_seqs or number < self.share:
                taken[request.id] = number + 1
                found.append(sequence)
        return found

    def _start(self, sequence: Sequence) -> bool:
        """True if it runs already or can be admitted."""
        if sequence.status is Status.RUNNING:
            return True
        return len(self.running) < self.max_num_seqs and self._admit(sequence)

    def _admit(self, sequence: Sequence) -> bool:
        """Reuse what is cached and take blocks for all of the rest, so that no prompt is preempted half-way."""
        sequence.table = []
        if not sequence.wants_prompt_logits:
            sequence.table = self.pool.match(sequence.token_ids, sequence.adapter, sequence.params.cache_salt)
        cached = len(sequence.table) * self.pool.block_size
        if not self.pool.grow(sequence.table, len(sequence.token_ids)):
            self.pool.release(sequence.table)
            return False
        sequence.num_computed = cached
        sequence.num_published = cached // self.pool.block_size
        if sequence.num_output == 0:
            sequence.num_cached = cached
        self.waiting.remove(sequence)
        sequence.status = Status.RUNNING
        self.running.append(sequence)
        return True

    def _make_room(self, sequence: Sequence, num_tokens: int) -> bool:
        while not self.pool.grow(sequence.table, sequence.num_computed + num_tokens):
            youngest = max(reversed(self.running), key=_arrival)
            self._preempt(youngest)
            if youngest is sequence:
                return False
        return True

    def _preempt(self, sequence: Sequence) -> None:
        """Take a sequence's blocks away. It waits in front and computes its tokens anew (recompute, not swapping)."""
        self.running.remove(sequence)
        self.pool.release(sequence.table)
        sequence.num_computed = sequence.num_published = 0
        sequence.status = Status.WAITING
        sequence.num_preemptions += 1
        self.num_preemptions += 1
        self.preempted.append(sequence)
        self.waiting.appendleft(sequence)

    def computed(self, work: Work) -> None:
        """Record that a piece of work is done, and share its full blocks. Guesses do not count before they are taken."""
        sequence = work.sequence
        sequence.num_computed += work.num_tokens
        sequence.num_published = self.pool.publish(
            sequence.table,
            sequence.token_ids,
            sequence.num_computed,
            sequence.num_published,
            sequence.adapter,
            sequence.params.cache_salt,
        )

    def finish(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is, and free its blocks. Finishing twice does nothing."""
        if sequence.status is Status.RUNNING:
            self.running.remove(sequence)
        elif sequence.status is Status.WAITING:
            self.waiting.remove(sequence)
        self.pool.release(sequence.table)
        sequence.status = Status.FINISHED


def _arrival(sequence: Sequence) -> float:
    return sequence.request.arrived
