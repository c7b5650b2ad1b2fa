"""Drives the loop: does what it asks for, writes down what came of it, and sends again what is written down already."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from zhilu.agents.ask import Asker
from zhilu.agents.journal import Entry
from zhilu.agents.loop import AskModel, Budget, Effects, Ending, Outcome, Said, UseTool, agent_loop
from zhilu.agents.plan import Planner
from zhilu.agents.sources.handed import SUB_BUDGET, Within, asking_as, told
from zhilu.agents.sources.team import SubAgent
from zhilu.client import ModelClient
from zhilu.errors import CancelledByUser, ZhiluError
from zhilu.logs import as_error
from zhilu.messages import Lang
from zhilu.prompts import language_of
from zhilu.tools.base import Tool, Toolbox, ToolCall, ToolResult
from zhilu.tools.wrappers import Ask, Decision, Journal, MemoryJournal, guarded

__all__ = ["Trace", "drive", "refuse_all", "run_agent"]

OnEntry = Callable[[Entry], Awaitable[None]]


class Trace(Protocol):
    """Where the entries of a run are kept."""

    def entries(self) -> list[Entry]: ...

    def add(self, seq: int, kind: str, asked: dict[str, Any], came: dict[str, Any]) -> None: ...

    def inside(self, call_id: str) -> Trace:
        """The steps of a sub-agent that works on this call."""


class MemoryTrace:
    """For a run that need not survive a kill."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.within: dict[str, MemoryTrace] = {}

    def inside(self, call_id: str) -> MemoryTrace:
        return self.within.setdefault(call_id, MemoryTrace())

    def entries(self) -> list[Entry]:
        return list(self._entries)

    def add(self, seq: int, kind: str, asked: dict[str, Any], came: dict[str, Any]) -> None:
        self._entries.append(Entry(seq, kind, asked, came, time.time()))  # type: ignore[arg-type]


async def refuse_all(*_: Any) -> Decision:
    """Nobody is there to ask."""
    return Decision(False)


async def run_agent(
    task: str,
    tools: Iterable[Tool],
    *,
    client: ModelClient,
    model: str,
    ask: Ask = refuse_all,
    budget: Budget = Budget(),
    history: Sequence[Mapping[str, Any]] = (),
    help: bool = True,
    trace: Trace | None = None,
    journal: Journal | None = None,
    on_entry: OnEntry | None = None,
    params: Mapping[str, Any] | None = None,
) -> Ending:
    """Let a model work on ``task`` with ``tools``: what an application calls.

    Args:
        ask: a person's yes or no before a call that does more than read; by default no.
        trace, journal: where the run is kept, so that it goes on after a kill (``journal.RunJournal`` is both); else in memory.
        on_entry: told of each model turn and each tool call as it ends.

    Raises:
        ZhiluError: from the model's server. What a tool raises is told to the model instead.
    """
    trace, journal = trace or MemoryTrace(), journal or MemoryJournal()

    def asker(tools: Mapping[str, Tool]) -> Planner | Asker:
        if help:
            return Planner(client, model, tools, params=params)
        return Asker(client, model, tools, help=False, params=params)

    async def hand_over(who: SubAgent, call: ToolCall) -> ToolResult:
        own = {t.facts.name: guarded(t, asking_as(who.name, call, ask), Within(journal, call)) for t in who.tools}
        part, inside = str(call.arguments["task"]), trace.inside(call.id)
        loop = agent_loop(part, own, SUB_BUDGET)
        return told(await drive(loop, asker(own).take_turn, own, inside, on_entry=None, lang=language_of(part)))

    box = Toolbox(list(tools))
    safe: dict[str, Tool] = {}
    for tool in box.tools:
        # A sub-agent's calls are guarded one by one, and it waits for the person as long as they do.
        safe[tool.facts.name] = tool.bound(hand_over) if isinstance(tool, SubAgent) else guarded(tool, ask, journal)
    loop = agent_loop(task, safe, budget, history)
    return await drive(loop, asker(safe).take_turn, safe, trace, on_entry, lang=language_of(task))


async def drive(
    loop: Effects,
    take_turn: Callable[[AskModel], Awaitable[Said]],
    tools: Mapping[str, Tool],
    trace: Trace,
    on_entry: OnEntry | None = None,
    *,
    lang: Lang = "en",
) -> Ending:
    """Run a loop to its end. ``tools`` are guarded already; ``lang``: in which what went wrong is told to the model."""
    known = {entry.seq: entry for entry in trace.entries()}
    came: Said | Outcome | None = None
    seq = 0
    while True:
        try:
            effect = loop.send(came)  # type: ignore[arg-type]  # None begins it
        except StopIteration as stop:
            return stop.value
        seq += 1
        if seq in known:
            came = _came(known[seq])
            continue
        came = await take_turn(effect) if isinstance(effect, AskModel) else await _use(effect, tools, lang)
        kind = "model" if isinstance(effect, AskModel) else "tool"
        entry = Entry(seq, kind, _asked(effect), _kept(came), time.time())  # type: ignore[arg-type]
        trace.add(seq, kind, entry.asked, entry.came)
        if on_entry is not None:
            await on_entry(entry)


async def _use(effect: UseTool, tools: Mapping[str, Tool], lang: Lang) -> Outcome:
    started = time.monotonic()
    try:
        result = await tools[effect.call.name].call(effect.call)
    except CancelledByUser:
        raise
    except ZhiluError as error:
        if isinstance(tools[effect.call.name], SubAgent):
            raise  # its model's server: the run stops here and goes on later, and nothing is taken for a result
        result = ToolResult(error.message.say(lang), is_error=True)
    except Exception as error:  # a tool is anybody's code: the run goes on, and the log has the trace
        result = ToolResult(
            f"{effect.call.name} failed: {as_error(error, tool=effect.call.name).message.en}", is_error=True
        )
    tokens = int(result.data["tokens"]) if isinstance(tools[effect.call.name], SubAgent) and result.data else 0
    return Outcome(result, round(time.monotonic() - started, 3), tokens)


def _asked(effect: AskModel | UseTool) -> dict[str, Any]:
    if isinstance(effect, AskModel):
        return {"step": effect.step}
    return {"id": effect.call.id, "name": effect.call.name, "arguments": effect.call.arguments}


def _kept(came: Said | Outcome) -> dict[str, Any]:
    return asdict(came) if isinstance(came, Said) else _outcome(came)


def _outcome(came: Outcome) -> dict[str, Any]:
    kept: dict[str, Any] = {"result": came.result.as_json(), "seconds": came.seconds}
    return {**kept, "tokens": came.tokens} if came.tokens else kept


def _came(entry: Entry) -> Said | Outcome:
    if entry.kind == "model":
        calls = [(str(name), arguments) for name, arguments in entry.came["calls"]]
        return Said(**{**entry.came, "calls": calls})
    return Outcome(ToolResult.of(entry.came["result"]), float(entry.came["seconds"]), int(entry.came.get("tokens", 0)))
