"""Answers that are being written.

A task of the gateway makes each answer, and any number of readers follow it: a page may be loaded again or opened twice while
the answer goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from itertools import groupby

from zhilu.apps.chat.store import ConversationStore
from zhilu.context import Context
from zhilu.errors import NotFoundError, ZhiluError, error_body
from zhilu.events import Event
from zhilu.logs import as_error

__all__ = ["RunningTurn", "RunningTurns"]


class RunningTurn:
    """The events of one answer so far. They are kept until it ends: a late follower gets them from the beginning."""

    def __init__(self, conversation_id: str) -> None:
        self.conversation_id = conversation_id
        self.task: asyncio.Task[None] | None = None
        self._events: list[Event] = []
        self._ended = False
        self._news = asyncio.Event()

    @property
    def assistant_id(self) -> str | None:
        """The answer's message, once it has begun."""
        started = next((event for event in self._events if event.name == "start"), None)
        return started.data["assistant"]["id"] if started else None

    def put(self, event: Event) -> None:
        self._events.append(event)
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def stop(self) -> None:
        """End the answer; the part that came is kept, marked ``stopped``."""
        if self.task is not None:
            self.task.cancel()

    async def follow(self) -> AsyncIterator[Event]:
        """All events from the first on, and then each as it comes. Text that has been waiting comes in one piece."""
        at = 0
        while True:
            news, waiting, at = self._news, self._events[at:], len(self._events)
            for event in _joined(waiting):
                yield event
            if at == len(self._events):
                if self._ended:
                    return
                await news.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _joined(events: list[Event]) -> list[Event]:
    """The same events, neighbouring ``delta`` ones as one, and neighbouring ``thought`` ones."""
    joined: list[Event] = []
    for name, group in groupby(events, key=lambda event: event.name):
        if name in ("delta", "thought"):
            joined.append(Event(name, {"text": "".join(event.data["text"] for event in group)}))
        elif name == "steps":  # each has all that there are
            joined.append(list(group)[-1])
        else:
            joined.extend(group)
    return joined


class RunningTurns:
    """The answers that are on their way in this process. Everything here happens in its event loop."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns: list[RunningTurn] = []
        self.leaving = False  # the process ends: what can go on without it is left to

    def start(self, conversation_id: str, source: AsyncGenerator[Event, None]) -> RunningTurn:
        """Let ``source`` run to its end, whoever follows it."""
        turn = RunningTurn(conversation_id)
        self._turns.append(turn)
        turn.task = asyncio.create_task(self._drive(turn, source))
        return turn

    def of(self, conversation_id: str) -> RunningTurn | None:
        """The newest answer on its way in a conversation."""
        return next((turn for turn in reversed(self._turns) if turn.conversation_id == conversation_id), None)

    async def stop(self, conversation_id: str) -> int:
        """End a conversation's answers and wait until what came of them is kept; returns how many there were."""
        mine = [turn for turn in self._turns if turn.conversation_id == conversation_id]
        await _stopped(mine)
        return len(mine)

    async def close(self) -> None:
        """The process ends: what came is kept, and marked as cut off by that."""
        turns = list(self._turns)
        self.leaving = True
        await _stopped(turns)
        store = ConversationStore(self._context)
        going_on = {message for _, message, _ in store.unfinished()}
        for turn in turns:
            if turn.assistant_id is not None and turn.assistant_id not in going_on:
                with suppress(ZhiluError):
                    store.save_answer(turn.assistant_id, finish_reason="interrupted")

    async def _drive(self, turn: RunningTurn, source: AsyncGenerator[Event, None]) -> None:
        try:
            async with aclosing(source):
                async for event in source:
                    turn.put(event)
        except asyncio.CancelledError:
            self._say_stopped(turn)
            raise
        except Exception as error:  # whatever it is: a stream that has begun ends with an event
            problem = as_error(error, conversation=turn.conversation_id)
            turn.put(Event("error", {**error_body(problem), "assistant": None}))
        finally:
            self._turns.remove(turn)
            turn.end()

    def _say_stopped(self, turn: RunningTurn) -> None:
        with suppress(NotFoundError):  # the conversation may be what was deleted
            kept = ConversationStore(self._context).get(turn.conversation_id)
            message = next((m for m in kept.messages if m.id == turn.assistant_id), None)
            if message is not None:
                turn.put(Event("done", {"assistant": message.model_dump(mode="json"), "title": kept.title}))


async def _stopped(turns: list[RunningTurn]) -> None:
    for turn in turns:
        turn.stop()
    await asyncio.gather(*(turn.task for turn in turns if turn.task is not None), return_exceptions=True)
