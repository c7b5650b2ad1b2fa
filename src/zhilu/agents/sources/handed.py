"""What is handed over to a sub-agent: its budget, its calls under names of their own, and what is told of its ending."""

from __future__ import annotations

from dataclasses import replace

from zhilu.agents.loop import Budget, Ending
from zhilu.tools.base import ToolCall, ToolFacts, ToolResult
from zhilu.tools.wrappers import Ask, Decision, Journal

__all__ = ["SUB_BUDGET", "Within", "asking_as", "told"]

SUB_BUDGET = Budget(steps=8, tokens=20_000, seconds=600.0)  # its tokens count for the run as well
_CHARACTERS = 4000  # of an answer, as the agent that asked gets it


def _within(outer: ToolCall, inner_id: str) -> str:
    """Unique in the run, and the same when it goes on after a kill."""
    return f"{outer.id}~{inner_id}"  # an id is a part of an address


class Within:
    """The run's journal for the calls of a sub-agent: what was done once is not done again, whoever did it."""

    def __init__(self, journal: Journal, outer: ToolCall) -> None:
        self._journal, self._outer = journal, outer

    def outcome(self, call_id: str) -> ToolResult | None:
        return self._journal.outcome(_within(self._outer, call_id))

    def was_begun(self, call_id: str) -> bool:
        return self._journal.was_begun(_within(self._outer, call_id))

    def begin(self, call: ToolCall) -> None:
        self._journal.begin(replace(call, id=_within(self._outer, call.id)))

    def end(self, call_id: str, result: ToolResult) -> None:
        self._journal.end(_within(self._outer, call_id), result)


def asking_as(name: str, outer: ToolCall, ask: Ask) -> Ask:
    """Asks the person under the sub-agent's name: a yes for ``write_file`` of the agent is none for that of its sub-agent."""

    async def asking(facts: ToolFacts, call: ToolCall) -> Decision:
        own = f"{name}_{facts.name}"[:64]
        return await ask(replace(facts, name=own), replace(call, id=_within(outer, call.id), name=own))

    return asking


def told(ending: Ending) -> ToolResult:
    """What comes back to the agent that asked."""
    data = {"steps": ending.steps, "tokens": ending.tokens, "stop": ending.stop}
    if ending.stop != "answered":
        return ToolResult(f"It ended without an answer ({ending.stop}).", data=data, is_error=True)
    doubt = f"\n[Not from any of its results: {', '.join(ending.unfounded)}]" if ending.unfounded else ""
    return ToolResult(f"{ending.answer[:_CHARACTERS]}{doubt}", data=data)
