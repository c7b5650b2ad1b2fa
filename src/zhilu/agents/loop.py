"""The loop, on one page: a model's turn, its tool calls, their results, until it answers or the budget is used up.

It does nothing itself. It says what it wants to have done (``AskModel``, ``UseTool``) and is sent what came of it, so that a
test can drive it, a job can go on after a kill -9 by sending again what is in the journal, and a trace can be replayed.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from zhilu.prompts import opening_messages
from zhilu.text.numbers import unfounded
from zhilu.tools.base import Tool, ToolCall, ToolResult
from zhilu.tools.check import problems_of

__all__ = ["AskModel", "Budget", "Effects", "Ending", "Outcome", "Said", "UseTool", "agent_loop", "sources_of"]

Stop = Literal["answered", "steps", "tokens", "seconds", "stuck", "cut"]


@dataclass(frozen=True)
class Budget:
    """Where a run ends at the latest: model turns, tokens read and written by the model, seconds of models and tools (waiting
    for a person does not count)."""

    steps: int = 12
    tokens: int = 60_000
    seconds: float = 900.0


@dataclass(frozen=True)
class AskModel:
    """Have the model take a turn. ``messages`` are OpenAI's, with ``thought``, ``plan``, ``name``, ``is_error`` and ``unfounded``
    beside; ``unfounded`` stands at an answer that is to be given again: numbers that nobody but the model said."""

    step: int
    messages: list[dict[str, Any]]


@dataclass(frozen=True)
class UseTool:
    call: ToolCall


@dataclass(frozen=True)
class Said:
    """A model's turn: ``calls`` are (name, arguments); ``plan`` is what it means to call, as ``tool`` and ``aim``; neither: ``text``
    is the answer. ``tokens`` read and written.

    ``prompt`` are the exact messages sent, ``raw`` the exact words that came."""

    text: str
    calls: list[tuple[str, Any]] = field(default_factory=list)
    thought: str = ""
    tokens: int = 0
    seconds: float = 0.0
    is_cut: bool = False
    prompt: list[dict[str, Any]] = field(default_factory=list)
    raw: str = ""
    plan: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What came of a tool call, and how long the tool worked; ``tokens``: of a model that worked on it."""

    result: ToolResult
    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True)
class Ending:
    """How a run ended, and the conversation up to there. ``unfounded``: numbers of the answer that stand in no result, not in the
    task and not in what was said before (``text.numbers``)."""

    stop: Stop
    answer: str
    messages: list[dict[str, Any]]
    steps: int
    tokens: int
    unfounded: list[str] = field(default_factory=list)


Effects = Generator[AskModel | UseTool, Said | Outcome, Ending]


def agent_loop(
    task: str,
    tools: Mapping[str, Tool],
    budget: Budget = Budget(),
    history: Sequence[Mapping[str, Any]] = (),
    *,
    patience: int = 2,
) -> Effects:
    """Work on ``task``. ``history``: earlier messages. ``patience``: how often the same call may come again before it ends."""
    messages: list[dict[str, Any]] = opening_messages(task, history)
    tokens, seconds, results, is_doubted = 0, 0.0, _Results(patience), False
    for step in range(1, budget.steps + 1):
        said = yield AskModel(step, list(messages))
        assert isinstance(said, Said)
        tokens, seconds = tokens + said.tokens, seconds + said.seconds
        calls = [ToolCall(f"{step}.{n}", name, args) for n, (name, args) in enumerate(said.calls, 1)]
        messages.append(_spoken(said, calls))
        if not calls and not said.plan:
            doubt = unfounded(said.text, sources_of(messages[:-1]))
            if not doubt or said.is_cut or is_doubted or step == budget.steps:
                return Ending("cut" if said.is_cut else "answered", said.text, messages, step, tokens, doubt)
            messages[-1]["unfounded"], is_doubted = doubt, True  # once: it may look again, or work it out
        for call in calls:
            known = results.of(call) or _refusal(call, tools)
            outcome = Outcome(known) if known else (yield UseTool(call))
            assert isinstance(outcome, Outcome)
            results.keep(call, outcome.result, tools)
            tokens, seconds = tokens + outcome.tokens, seconds + outcome.seconds
            messages.append(_result(call, outcome.result))
        if results.is_stuck:
            return Ending("stuck", "", messages, step, tokens)
        if tokens >= budget.tokens or seconds >= budget.seconds:
            return Ending("tokens" if tokens >= budget.tokens else "seconds", "", messages, step, tokens)
    return Ending("steps", "", messages, budget.steps, tokens)


def sources_of(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a number of an answer can come from: the task, what was said before, results; and the arguments of calls, if all of their
    numbers come from there."""
    said = [str(m.get("content") or "") for m in messages if not m.get("unfounded")]
    given = [call["function"]["arguments"] for m in messages for call in m.get("tool_calls") or ()]
    return [*said, *(one for one in given if not unfounded(one, said, is_argument=True))]


def _refusal(call: ToolCall, tools: Mapping[str, Tool]) -> ToolResult | None:
    """Why a call is not even tried: the model reads it and mends the call."""
    if call.name not in tools:
        return ToolResult(f"There is no tool {call.name!r}. The tools are: {', '.join(tools)}.", is_error=True)
    problems = problems_of(tools[call.name].facts.parameters, call.arguments)
    return (
        ToolResult(f"Not done, the arguments do not fit: {'; '.join(problems[:5])}.", is_error=True)
        if problems
        else None
    )


class _Results:
    """The same call with the same arguments again: small models go round in circles. Reading again after something was changed
    is no circle."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._seen: dict[str, ToolResult] = {}
        self._again = 0

    @property
    def is_stuck(self) -> bool:
        return self._again > self._patience

    def of(self, call: ToolCall) -> ToolResult | None:
        before = self._seen.get(_key(call))
        if before is None:
            return None
        self._again += 1
        return ToolResult(
            f"You have made this very call before, and it was not made again. Its result: {before.text}\n"
            "Take another step, or answer.",
            is_error=before.is_error,
        )

    def keep(self, call: ToolCall, result: ToolResult, tools: Mapping[str, Tool]) -> None:
        if call.name in tools and tools[call.name].facts.effect != "read" and not result.is_error:
            self._seen = {}  # the world has changed
        self._seen.setdefault(_key(call), result)


def _key(call: ToolCall) -> str:
    return json.dumps([call.name, call.arguments], sort_keys=True, ensure_ascii=False, default=str)


def _result(call: ToolCall, result: ToolResult) -> dict[str, Any]:
    message = {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": result.text}
    return {**message, "is_error": True} if result.is_error else message


def _spoken(said: Said, calls: Sequence[ToolCall]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None, "thought": said.thought}
    if said.plan:
        message["plan"] = said.plan
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in calls
        ]
    return message
