"""What the last steps of an engine did, for a page that draws them: who computed, who waited, whose blocks were taken away.

No text and no token is in it. A few hundred steps are kept, so that a busy engine's record takes a few megabytes at most.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import Any

from zhilu.engine.scheduler import Scheduler, Work
from zhilu.engine.sequence import Output, Sequence

__all__ = ["Share", "Step", "StepLog"]

_STEPS = 512
_NAMED = 64  # of those that wait; the others are only counted

Name = tuple[str, int]  # a request's id, and which of its answers


@dataclass(slots=True)
class Share:
    """One sequence's part of a step, in tokens: ``prompt`` read, ``guessed`` to be checked, ``written`` new ones."""

    name: Name
    prompt: int
    guessed: int
    written: int = 0
    ended: bool = False


@dataclass(slots=True)
class Step:
    """
    Attributes:
        number: steps since the engine started, from 1.
        start, end: microseconds on a clock that only grows; ``end`` 0 while it computes.
        preempted: whose blocks were taken away for it.
        waiting: the first of those that wait; ``num_waiting``: all of them.
        free: blocks that nobody holds, before the step.
    """

    number: int
    start: int
    end: int
    shares: list[Share]
    preempted: tuple[Name, ...]
    waiting: tuple[Name, ...]
    num_waiting: int
    free: int

    def data(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "start": self.start,
            "end": self.end,
            "shares": [
                {
                    "request": share.name[0],
                    "index": share.name[1],
                    "prompt": share.prompt,
                    "guessed": share.guessed,
                    "written": share.written,
                    "ended": share.ended,
                }
                for share in self.shares
            ],
            "preempted": _told(self.preempted),
            "waiting": _told(self.waiting),
            "num_waiting": self.num_waiting,
            "free": self.free,
        }


class StepLog:
    """Written by the engine's thread; ``after`` is called there too (``EngineService.call``)."""

    def __init__(self, most: int = _STEPS) -> None:
        self._steps: deque[Step] = deque(maxlen=most)
        self._number = 0

    def begin(self, work: SequenceOf[Work], scheduler: Scheduler) -> None:
        """Before the step computes: how far each sequence is can only be told now. One that failed keeps its ``end`` 0."""
        self._number += 1
        waiting = scheduler.waiting
        step = Step(
            self._number,
            _now(),
            0,
            [Share(_name(item.sequence), item.num_prompt_tokens, len(item.draft)) for item in work],
            tuple(_name(sequence) for sequence in scheduler.preempted),
            tuple(_name(waiting[place]) for place in range(min(len(waiting), _NAMED))),
            len(waiting),
            scheduler.pool.num_free,
        )
        self._steps.append(step)

    def end(self, outputs: SequenceOf[Output]) -> None:
        step = self._steps[-1]
        written = Counter((output.request_id, output.index) for output in outputs if output.token is not None)
        ended = {(o.request_id, o.index) for o in outputs if o.finish_reason is not None or o.error is not None}
        for share in step.shares:
            share.written, share.ended = written[share.name], share.name in ended
        step.end = _now()

    def after(self, number: int, scheduler: Scheduler) -> dict[str, Any]:
        """Steps later than that one, as far as they are kept; the clock's time now; and the block tables as they are now."""
        pool = scheduler.pool
        return {
            "now": _now(),
            "last": self._number,
            "steps": [step.data() for step in self._steps if step.number > number and step.end],
            "max_batch_tokens": scheduler.max_batch_tokens,
            "block_size": pool.block_size,
            "num_blocks": pool.num_blocks,
            "free": pool.num_free,
            "tables": [
                {
                    "request": sequence.request.id,
                    "index": sequence.index,
                    "tokens": sequence.num_computed,
                    "blocks": list(sequence.table),
                    "shared": sum(pool.references(block) > 1 for block in sequence.table),
                }
                for sequence in scheduler.running
            ],
        }


def _now() -> int:
    return time.monotonic_ns() // 1000


def _name(sequence: Sequence) -> Name:
    return sequence.request.id, sequence.index


def _told(names: Iterable[Name]) -> list[dict[str, Any]]:
    return [{"request": id, "index": index} for id, index in names]
