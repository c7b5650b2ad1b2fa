"""A run as a job: it survives a kill -9, can be cancelled, and waits for a person where one has to be asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from zhilu.agents.drive import run_agent
from zhilu.agents.journal import Entry, RunJournal
from zhilu.agents.memory import told_facts
from zhilu.agents.runs import Run, RunStore
from zhilu.client import connect
from zhilu.errors import InputError
from zhilu.jobs import JobContext, JobKind
from zhilu.messages import T
from zhilu.tools.base import Tool, ToolCall, ToolFacts
from zhilu.tools.source import open_tools
from zhilu.tools.wrappers import Ask, Decision, Prefixed

__all__ = ["AGENT", "asker_of", "line_of", "refuse_unclear_allowance", "work"]

_LOOK = 0.25  # seconds between looks for a person's answer


def run_agent_job(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_cancellable(job, work(job, RunStore(job.context), params["run"])))


async def _cancellable(job: JobContext, doing: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """A cancel is seen within a second, also while a model or a tool is busy."""
    task = asyncio.ensure_future(doing)
    while not task.done():
        await asyncio.wait([task], timeout=0.5)
        try:
            job.check()
        except BaseException:
            task.cancel()
            with suppress(BaseException):
                await task
            raise
    return task.result()


async def work(job: JobContext, store: RunStore, run_id: str) -> dict[str, Any]:
    run, journal = store.get(run_id), store.journal(run_id)

    async def on_entry(entry: Entry) -> None:
        job.progress(_share(run, entry), _stage(entry), _detail(entry))
        job.log(line_of(entry))

    job.progress(0.0, T("Opening the tools", "正在打开工具"))
    async with open_tools(job.context, run.wish.tools) as tools, connect(job.context) as client:
        refuse_unclear_allowance(run.wish.allow, tools)
        job.progress(0.01, T("The model is thinking", "模型正在思考"))
        ending = await run_agent(
            run.wish.task,
            tools,
            client=client,
            model=run.model,
            ask=asker_of(job, run, journal),
            budget=run.wish.budget(),
            history=[*_begun(job, run), *store.history(run.wish.after)],
            help=run.wish.help,
            trace=journal,
            journal=journal,
            on_entry=on_entry,
            params=run.wish.params,
        )
    store.finish(run_id, ending)
    return {"run": run_id, "stop": ending.stop, "answer": ending.answer}


def _begun(job: JobContext, run: Run) -> list[dict[str, Any]]:
    """What was said before the run; what the person told in earlier conversations stands in its system message."""
    said: list[dict[str, Any]] = [one.model_dump() for one in run.wish.history]
    facts = told_facts(job.context, run.wish.task) if "memory" in run.wish.tools else ""
    if not facts:
        return said
    first = f"{said.pop(0)['content']}\n\n{facts}" if said and said[0]["role"] == "system" else facts
    return [{"role": "system", "content": first}, *said]


def asker_of(job: JobContext, run: Run, journal: RunJournal) -> Ask:
    """Asks the person through the journal: the page and the command line write the answer there. Waits as long as it takes."""

    async def ask(facts: ToolFacts, call: ToolCall) -> Decision:
        journal.ask(facts, call)
        if facts.name in run.wish.allow or facts.name in journal.always():
            journal.decide(call.id, Decision(True, "allowed beforehand"))
        if (decision := journal.decision(call)) is not None:
            return decision
        job.log(f"? {call.id} {facts.name} {_short(call.arguments)}")
        with job.waiting():  # a question that is forgotten keeps no other job from starting
            while (decision := journal.decision(call)) is None:
                job.progress(_share_of(call.id, run), T("Waiting for your answer", "等待你的答复"), facts.name)
                await asyncio.sleep(_LOOK)
        return decision

    return ask


def refuse_unclear_allowance(allow: list[str], tools: list[Tool]) -> None:
    """What is allowed beforehand must be one known tool: a second source cannot take over a name that was allowed.

    Raises:
        InputError: no tool has the name, or several sources have it.
    """
    names = [tool.facts.name for tool in tools]
    twice = {tool.inner.facts.name for tool in tools if isinstance(tool, Prefixed)}
    for name in allow:
        if name not in names or name in twice:
            raise InputError(
                T(
                    f"{name!r} cannot be allowed beforehand: "
                    + ("several sources have it." if name in twice else f"the tools are {', '.join(names) or '-'}."),
                    f"不能预先允许 {name!r}："
                    + ("有多个来源提供它。" if name in twice else f"工具有 {', '.join(names) or '-'}。"),
                ),
                param="allow",
                fix="zhilu agent tools",
            )


def _share(run: Run, entry: Entry) -> float:
    """Of the steps that it may take: how many a task needs nobody knows before."""
    return _share_of(str(entry.asked.get("step") or entry.asked.get("id")), run)


def _share_of(step: str, run: Run) -> float:
    return min(int(step.partition(".")[0]) / run.wish.max_steps, 0.99)


def _stage(entry: Entry) -> T:
    return (
        T("Using a tool", "正在使用工具")
        if entry.kind == "model" and entry.came["calls"]
        else T("The model is thinking", "模型正在思考")
    )


def _detail(entry: Entry) -> str:
    if entry.kind == "model":
        return ", ".join(name for name, _ in entry.came["calls"])
    return str(entry.asked["name"])


def line_of(entry: Entry) -> str:
    if entry.kind == "tool":
        mark = "✗" if entry.came["result"]["is_error"] else "✓"
        return f"{mark} {entry.asked['name']} → {_short(entry.came['result']['text'])}"
    if not entry.came["calls"]:
        return f"= {_short(entry.came['text'])}"
    return "\n".join(f"→ {name} {_short(arguments)}" for name, arguments in entry.came["calls"])


def _short(value: Any, most: int = 160) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


# Light: it waits for the model's server and for the person most of the time.
AGENT = JobKind(name="agent", run=run_agent_job, resumable=True, light=True)
