"""Behaviour around a tool: approval, time limit, output limit, audit, prefix, once. Each takes a tool and is one.

The order matters and is said in ``guarded``: what is asked for is what will be done, and what is recorded is what was done.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from zhilu.errors import ForbiddenError, UnreachableError
from zhilu.messages import T
from zhilu.tools.base import Tool, ToolCall, ToolFacts, ToolResult
from zhilu.tools.check import checked

__all__ = [
    "Approved",
    "Ask",
    "Audited",
    "Clipped",
    "Decision",
    "Journal",
    "Limited",
    "MemoryJournal",
    "Once",
    "Prefixed",
    "Record",
    "Wrapped",
    "guarded",
]

SECONDS = 120.0  # of one call
CHARACTERS = 8000  # of a result, as the model gets it


@dataclass(frozen=True)
class Decision:
    """A person's answer; ``reason`` is told to the model where it is no. ``arguments``: what to do instead, with a yes."""

    allowed: bool
    reason: str = ""
    arguments: dict[str, Any] | None = None


Ask = Callable[[ToolFacts, ToolCall], Awaitable[Decision]]
Record = Callable[[ToolFacts, ToolCall, ToolResult], None]


class Wrapped:
    """Passes everything on: the base of the others."""

    def __init__(self, inner: Tool) -> None:
        self.inner = inner

    @property
    def facts(self) -> ToolFacts:
        return self.inner.facts

    async def call(self, call: ToolCall) -> ToolResult:
        return await self.inner.call(call)


class Prefixed(Wrapped):
    """Another name: the prefix in front, so that two sources can both have a ``search``."""

    def __init__(self, inner: Tool, prefix: str) -> None:
        super().__init__(inner)
        self._facts = replace(inner.facts, name=f"{prefix}{inner.facts.name}"[:64])

    @property
    def facts(self) -> ToolFacts:
        return self._facts

    async def call(self, call: ToolCall) -> ToolResult:
        return await self.inner.call(replace(call, name=self.inner.facts.name))


class Approved(Wrapped):
    """Asks a person before each call that does more than read. It alone decides by ``facts.effect``: neither the name, nor the
    arguments, nor anything that a model or a document says can change that.

    A person may change the arguments: the model is told what was done instead.

    Raises:
        ForbiddenError: the person said no. InputError: the changed arguments do not fit the tool.
    """

    def __init__(self, inner: Tool, ask: Ask) -> None:
        super().__init__(inner)
        self._ask = ask

    async def call(self, call: ToolCall) -> ToolResult:
        if self.facts.effect == "read":
            return await self.inner.call(call)
        # Checked first, and frozen: what is shown to the person is what is done, whatever happens to the object meanwhile.
        asked = _copy(call, checked(self.facts, call.arguments))
        decision = await self._ask(self.facts, _copy(asked, asked.arguments))
        if decision.allowed is not True:
            reason = f" {decision.reason}" if decision.reason else ""
            raise ForbiddenError(
                T(
                    f"The person did not allow {call.name}.{reason} Do not try it in another way.",
                    f"用户没有同意 {call.name}。{reason}不要换一种方式再试。",
                ),
                code="not_allowed",
            )
        if decision.arguments is None or decision.arguments == asked.arguments:
            return await self.inner.call(asked)
        changed = _copy(asked, checked(self.facts, decision.arguments))
        result = await self.inner.call(changed)
        told = json.dumps(changed.arguments, ensure_ascii=False, default=str)
        return replace(result, text=f"The person changed the arguments to {told}. Its result: {result.text}")


class Limited(Wrapped):
    """Gives a call up after ``seconds``.

    Raises:
        UnreachableError: it took longer.
    """

    def __init__(self, inner: Tool, seconds: float = SECONDS) -> None:
        super().__init__(inner)
        self._seconds = seconds

    async def call(self, call: ToolCall) -> ToolResult:
        try:
            return await asyncio.wait_for(self.inner.call(call), self._seconds)
        except asyncio.TimeoutError as error:
            raise UnreachableError(
                T(
                    f"{call.name} gave no result in {self._seconds:g} s.",
                    f"{call.name} 在 {self._seconds:g} 秒内没有结果。",
                ),
                code="tool_timeout",
            ) from error


class Clipped(Wrapped):
    """Keeps a long result from filling the model's window: its beginning and end, and how much is left out."""

    def __init__(self, inner: Tool, characters: int = CHARACTERS) -> None:
        super().__init__(inner)
        self._most = characters

    async def call(self, call: ToolCall) -> ToolResult:
        result = await self.inner.call(call)
        over = len(result.text) - self._most
        if over <= 0:
            return result
        head, tail = self._most * 3 // 4, self._most // 4
        text = f"{result.text[:head]}\n[… {over} characters left out …]\n{result.text[-tail:]}"
        return replace(result, text=text)


class Audited(Wrapped):
    """Tells ``record`` of every call that came to an end, whichever."""

    def __init__(self, inner: Tool, record: Record) -> None:
        super().__init__(inner)
        self._record = record

    async def call(self, call: ToolCall) -> ToolResult:
        try:
            result = await self.inner.call(call)
        except BaseException as error:
            self._record(self.facts, call, ToolResult(str(error) or type(error).__name__, is_error=True))
            raise
        self._record(self.facts, call, result)
        return result


class Journal(Protocol):
    """What outlives a kill -9: which calls were begun and what came of them. Both writes are on the disk when they return."""

    def outcome(self, call_id: str) -> ToolResult | None:
        """What is known to have come of a call."""

    def was_begun(self, call_id: str) -> bool:
        """Whether it was begun at all."""

    def begin(self, call: ToolCall) -> None: ...

    def end(self, call_id: str, result: ToolResult) -> None: ...


class MemoryJournal:
    """For a run that need not survive a kill."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: dict[str, ToolResult] = {}

    def outcome(self, call_id: str) -> ToolResult | None:
        return self.ended.get(call_id)

    def was_begun(self, call_id: str) -> bool:
        return call_id in self.begun

    def begin(self, call: ToolCall) -> None:
        self.begun.append(call.id)

    def end(self, call_id: str, result: ToolResult) -> None:
        self.ended[call_id] = result


class Once(Wrapped):
    """A call that changes something is done at most once, whenever the process is killed: the intent is written before, the outcome
    after. If there is an intent and no outcome, nobody knows whether it happened; only a repeatable call is then made again."""

    def __init__(self, inner: Tool, journal: Journal) -> None:
        super().__init__(inner)
        self._journal = journal

    async def call(self, call: ToolCall) -> ToolResult:
        known = self._journal.outcome(call.id)
        if known is not None:
            return known
        facts = self.facts
        if self._journal.was_begun(call.id) and facts.effect != "read" and not facts.repeatable:
            result = ToolResult(
                f"The program was stopped while {call.name} ran, and it is not known whether it was done. It was not done "
                "again. Look first, and repeat it only if it was not done.",
                is_error=True,
            )
        else:
            self._journal.begin(call)
            result = await self.inner.call(call)
        self._journal.end(call.id, result)
        return result


def guarded(tool: Tool, ask: Ask, journal: Journal, *, seconds: float = SECONDS, characters: int = CHARACTERS) -> Tool:
    """A tool as an agent gets it. From the outside in: the approval, the journal, the limits, the tool."""
    return Approved(Once(Clipped(Limited(tool, seconds), characters), journal), ask)


def _copy(call: ToolCall, arguments: dict[str, object]) -> ToolCall:
    import copy

    return replace(call, arguments=copy.deepcopy(arguments))
