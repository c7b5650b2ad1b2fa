"""Who computes what in the next step: continuous batching (Orca, OSDI 2022) with chunked prefill.

There are no separate phases. Every running sequence has some tokens whose keys and values are missing: one while it is
decoding, the whole prompt at first. A step hands out at most ``max_batch_tokens`` of that work, oldest sequence first, so
that a long prompt is cut into pieces and does not stop those who are decoding.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from zhilu.engine.blocks import BlockPool
from zhilu.engine.sequence import Request, Sequence, Status

__all__ = ["Scheduler", "Work"]


@dataclass(frozen=True)
class Work:
    """``num_tokens`` of one sequence, from ``sequence.num_computed`` on."""

    sequence: Sequence
    num_tokens: int

    @property
    def completes(self) -> bool:
        """After this the sequence has logits for its next token."""
        return self.num_tokens == self.sequence.num_pending


class Scheduler:
    def __init__(self, pool: BlockPool, max_num_seqs: int, max_batch_tokens: int) -> None:
        self.pool = pool
        self.max_num_seqs = max_num_seqs
        self.max_batch_tokens = max_batch_tokens
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []  # oldest first
        self.num_preemptions = 0

    def add(self, request: Request) -> None:
        self.waiting.extend(request.sequences)

    def schedule(self) -> list[Work]:
        """Assign the next step's work and the blocks it needs; may preempt the youngest to let the oldest go on."""
        work: list[Work] = []
        budget = self.max_batch_tokens
        preemptions_before = self.num_preemptions
        for sequence in list(self.running):
            num_tokens = min(sequence.num_pending, budget)
            if sequence.status is not Status.RUNNING or num_tokens == 0:
                continue  # preempted just now by an older one, or nothing left to hand out
            if self._make_room(sequence, num_tokens):
                work.append(Work(sequence, num_tokens))
                budget -= num_tokens
        if self.num_preemptions == preemptions_before:
            self._admit_waiting(work, budget)
        return work

    def _admit_waiting(self, work: list[Work], budget: int) -> None:
        """Start waiting sequences in their order while there is room, stopping at the first that does not fit."""
        for sequence in list(self.waiting):
            if not budget or len(self.running) >= self.max_num_seqs:
                return
            if sequence.waits_for_leader:
                continue
            if not self._admit(sequence):
                return
            num_tokens = min(sequence.num_pending, budget)
            work.append(Work(sequence, num_tokens))
            budget -= num_tokens

    def _admit(self, sequence: Sequence) -> bool:
        """Reuse what is cached and take blocks for all of the rest, so that no prompt is preempted half-way."""
        sequence.table = self.pool.match(sequence.token_ids)
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
            youngest = self.running[-1]
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
        self.waiting.appendleft(sequence)

    def computed(self, work: Work) -> None:
        """Record that a piece of work is done, and share its full blocks."""
        sequence = work.sequence
        sequence.num_computed += work.num_tokens
        sequence.num_published = self.pool.publish(
            sequence.table, sequence.token_ids, sequence.num_computed, sequence.num_published
        )

    def finish(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is, and free its blocks. Finishing twice does nothing."""
        if sequence.status is Status.RUNNING:
            self.running.remove(sequence)
        elif sequence.status is Status.WAITING:
            self.waiting.remove(sequence)
        self.pool.release(sequence.table)
        sequence.status = Status.FINISHED
