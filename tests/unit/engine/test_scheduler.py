"""Who computes when: short prompts are not kept waiting, long ones are not starved, decoding goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhilu.engine.blocks import BlockPool
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.scheduler import Scheduler, Work
from zhilu.engine.sequence import Request, Sequence, Status
from zhilu.engine.text.tokenizer import Tokenizer

BUDGET = 64


@pytest.fixture(scope="module")
def words(tiny: Path) -> Tokenizer:
    return Tokenizer(tiny)


class Desk:
    """A scheduler whose steps are only counted."""

    def __init__(self, words: Tokenizer, num_blocks: int = 1000, max_num_seqs: int = 32) -> None:
        self.words = words
        self.scheduler = Scheduler(BlockPool(num_blocks, 16), max_num_seqs, BUDGET)
        self.num_added = 0
        self.num_steps = 0

    def add(self, length: int, max_tokens: int = 4, n: int = 1) -> Sequence:
        self.num_added += 1
        ids = [self.num_added, *range(length - 1)]
        request = Request(str(self.num_added), ids, SamplingParams(max_tokens), arrived=float(self.num_added))
        request.n, request.sequences = n, [Sequence(request, index, self.words) for index in range(n)]
        self.scheduler.add(request)
        return request.sequences[0]

    def step(self) -> list[Work]:
        work = self.scheduler.schedule()
        self.num_steps += 1
        assert sum(item.num_tokens for item in work) <= BUDGET
        for item in work:
            completes = item.completes
            self.scheduler.computed(item)
            if completes:
                item.sequence.token_ids.append(7)
                if item.sequence.num_output >= item.sequence.params.max_tokens:
                    self.scheduler.finish(item.sequence)
        return work

    def steps_until(self, sequence: Sequence, limit: int = 1000) -> int:
        """Steps until its first token."""
        for count in range(1, limit):
            self.step()
            if sequence.num_output:
                return count
        raise AssertionError("starved")


def test_a_short_prompt_is_not_kept_waiting_by_a_flood_of_long_ones(words: Tokenizer) -> None:
    desk = Desk(words)
    for _ in range(10):
        desk.add(1000)
    desk.step()
    assert desk.steps_until(desk.add(20)) <= 2


def test_a_long_prompt_is_not_starved_by_a_flood_of_short_ones(words: Tokenizer) -> None:
    desk = Desk(words)
    long = desk.add(640)
    while not long.num_output and desk.num_steps < 100:
        for _ in range(4):
            desk.add(60, max_tokens=1)
        desk.step()
    assert desk.num_steps <= 640 / (BUDGET / 2) + 1


def test_first_come_first_served_holds_for_those_who_wait(words: Tokenizer) -> None:
    """Each long prompt in its turn gets at least half, however many short ones overtake it meanwhile."""
    desk = Desk(words)
    longs = [desk.add(320) for _ in range(5)]
    waits = []
    for long in longs:
        for _ in range(1000):
            if long.num_output:
                break
            desk.add(60, max_tokens=1)
            desk.step()
        waits.append(desk.num_steps)
    assert waits == sorted(waits) and waits[-1] <= 5 * 320 / (BUDGET / 2) + 5


def test_who_decodes_gets_a_token_in_every_step(words: Tokenizer) -> None:
    desk = Desk(words)
    decoding = [desk.add(8, max_tokens=40) for _ in range(4)]
    desk.step()
    for _ in range(6):
        desk.add(500)
    for _ in range(30):
        worked = {id(item.sequence) for item in desk.step()}
        assert all(id(sequence) in worked for sequence in decoding)


def test_nobody_overtakes_the_first_when_it_waits_for_memory(words: Tokenizer) -> None:
    desk = Desk(words, num_blocks=20)
    running = desk.add(200, max_tokens=60)
    desk.steps_until(running)
    big, small = desk.add(280), desk.add(10)
    while running.status is not Status.FINISHED:
        desk.step()
        assert big.status is small.status is Status.WAITING
    while not (big.num_output and small.num_output):
        assert desk.step()
    assert desk.scheduler.num_preemptions == 0


def test_nothing_is_leaked_and_everybody_ends(words: Tokenizer) -> None:
    desk = Desk(words, num_blocks=30, max_num_seqs=6)
    sequences = [desk.add(length, max_tokens=length % 37 + 1) for length in (5, 300, 90, 16, 17, 200, 33, 64, 1, 400)]
    for number in range(2000):
        desk.step()
        if number == 5:
            desk.scheduler.finish(sequences[5])
        pool = desk.scheduler.pool
        held = sum(len(sequence.table) for sequence in desk.scheduler.running)
        assert pool.num_free == pool.num_blocks - held  # no two of these prompts share a block
        if all(sequence.status is Status.FINISHED for sequence in sequences):
            break
    assert all(sequence.status is Status.FINISHED for sequence in sequences)
    assert desk.scheduler.pool.num_free == 30


def test_a_request_of_more_answers_than_places_leaves_some_to_those_who_come_after_it(words: Tokenizer) -> None:
    desk = Desk(words, max_num_seqs=8)
    many = desk.add(20, max_tokens=50, n=100)
    for _ in range(5):
        desk.step()
    assert len(desk.scheduler.running) == 6
    assert desk.steps_until(desk.add(20)) <= 2
    whole = desk.add(20, max_tokens=2, n=8)  # as many as there are: nobody is kept from them
    for _ in range(2000):
        desk.step()
    assert all(s.status is Status.FINISHED for s in (*many.request.sequences, *whole.request.sequences))
