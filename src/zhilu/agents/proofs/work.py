"""Runs tasks with the real loop, the real tools and the model that runs; a person's yes is given by the proof, and counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.agents.drive import run_agent
from zhilu.agents.loop import Budget, Ending
from zhilu.agents.proofs.tasks import AgentTask
from zhilu.agents.runs import Run, RunStore, RunWish
from zhilu.client import ModelClient
from zhilu.tools.base import ToolCall, ToolFacts
from zhilu.tools.source import open_tools
from zhilu.tools.wrappers import Decision

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Done", "work_through"]

BUDGET = Budget(steps=12, tokens=40_000, seconds=1200)


@dataclass(frozen=True)
class Done:
    """A task that was worked on. ``asked``: (tool, effect) of every approval; ``run``: where the trace is."""

    task: AgentTask
    ending: Ending
    reached: bool
    run: Run
    asked: list[tuple[str, str]] = field(default_factory=list)
    tools_used: int = 0


async def work_through(
    context: Context, client: ModelClient, model: str, tasks: Sequence[AgentTask], *, help: bool = True,
    says: bool = True, told: Callable[[Done], None] = lambda _: None,
) -> list[Done]:  # fmt: skip
    """Each task in a world of its own. ``says``: the person's answer to every approval.

    Raises:
        ZhiluError: from the model's server.
    """
    done = []
    for task in tasks:
        with tempfile.TemporaryDirectory(prefix="task-", dir=context.home.cache) as name:
            one = await _work(context, client, model, task, Path(name), help=help, says=says)
        done.append(one)
        told(one)
    return done


async def _work(
    context: Context, client: ModelClient, model: str, task: AgentTask, world: Path, *, help: bool, says: bool
) -> Done:
    task.build(world)
    store = RunStore(context)
    wish = RunWish(task=task.text, tools=task.sources(world), model=model, help=help, max_steps=BUDGET.steps)
    run = store.create(wish, model)
    journal = store.journal(run.id)
    asked: list[tuple[str, str]] = []

    async def ask(facts: ToolFacts, call: ToolCall) -> Decision:
        asked.append((facts.name, facts.effect))
        journal.ask(facts, call)
        journal.decide(call.id, Decision(says, "by the gate"))
        return Decision(says, "by the gate")

    async with open_tools(context, wish.tools) as tools:
        ending = await run_agent(
            task.text,
            tools,
            client=client,
            model=model,
            ask=ask,
            budget=BUDGET,
            help=help,
            trace=journal,
            journal=journal,
        )
    store.finish(run.id, ending)
    used = sum(entry.kind == "tool" for entry in journal.entries())
    return Done(task, ending, task.reached(world, ending.answer), store.get(run.id), asked, used)
