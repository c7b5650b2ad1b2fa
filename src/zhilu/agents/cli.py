"""``zhilu agent``: let a model work on a task with tools, see what it did, answer what it asks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import NotFoundError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.agents.journal import Pending, RunJournal
    from zhilu.agents.runs import Run

__all__ = ["agent"]


@click.group()
def agent() -> None:
    """Let a model use tools until a task is done. 让模型使用工具完成任务。"""


@agent.command()
@click.argument("task")
@click.option(
    "--tools",
    default="",
    help=T("kinds of tools, comma between them: files:DIR,sql:FILE", "工具，用逗号分隔：files:目录,sql:文件").say(),
)
@click.option(
    "--tool", "more", multiple=True, help=T("one kind of tools (may hold commas)", "一种工具（可以含逗号）").say()
)
@click.option(
    "--allow", multiple=True, help=T("a tool that needs no asking in this run", "本次运行无需询问即可使用的工具").say()
)
@click.option("--model")
@click.option("--steps", type=click.IntRange(1, 100), default=12, show_default=True)
@click.option(
    "--no-help", is_flag=True, help=T("ask the model plainly (to compare)", "不对模型做任何辅助（用于比较）").say()
)
@click.option("--after", metavar="RUN", help=T("go on with the conversation of a run", "接着某次运行的对话继续").say())
@click.option("--detach", is_flag=True, help=T("start it and leave", "启动后立即返回").say())
@json_option
@pass_context_obj
def run(
    context: Context, task: str, tools: str, more: tuple[str, ...], allow: tuple[str, ...], model: str | None, steps: int,
    no_help: bool, after: str | None, detach: bool, as_json: bool,
) -> None:  # fmt: skip
    """Work on TASK. Before a tool changes something, runs a program or leaves this machine, you are asked.
    完成 TASK。工具要修改内容、运行程序或访问外部网络之前，会先问你。"""
    from zhilu.agents.runs import RunWish, start_run

    named = [name for name in tools.split(",") if name.strip()] + list(more)
    wish = RunWish(
        task=task, tools=named, model=model, allow=list(allow), help=not no_help, max_steps=steps, after=after
    )
    started = start_run(context, wish)
    if detach:
        echo_json({"run": started.id, "job": started.job_id}) if as_json else click.echo(
            f"zhilu agent show {started.id}"
        )
        return
    ended = _follow(context, started, quiet=as_json)
    if as_json:
        echo_json(_view(context, ended))
    elif ended.ending:
        _say_ending(ended)


@agent.command("list")
@json_option
@pass_context_obj
def list_runs(context: Context, as_json: bool) -> None:
    """The runs, newest first. 所有运行，最新的在前。"""
    from zhilu.agents.runs import RunStore

    runs = RunStore(context).list()
    if as_json:
        echo_json([run.model_dump() for run in runs])
        return
    rows = [(r.id, r.created_at[:19], (r.ending or {}).get("stop", "…"), r.model, r.wish.task[:60]) for r in runs]
    columns = (T("run", "运行"), T("begun", "开始"), T("ended", "结束"), T("model", "模型"), T("task", "任务"))
    table(columns, rows, empty=T('No run yet: zhilu agent run "TASK"', '还没有运行：zhilu agent run "任务"'))


@agent.command()
@click.argument("run_id", metavar="RUN")
@json_option
@pass_context_obj
def show(context: Context, run_id: str, as_json: bool) -> None:
    """The trace of a run, step by step. 一次运行的每一步。"""
    from zhilu.agents.job import line_of
    from zhilu.agents.runs import RunStore

    store = RunStore(context)
    found = store.get(run_id)
    if as_json:
        echo_json(_view(context, found))
        return
    click.secho(found.wish.task, bold=True)
    for entry in store.journal(run_id).entries():
        click.echo(f"{entry.seq:3} {line_of(entry)}")
    for pending in store.journal(run_id).pending():
        click.echo(f"  ? {pending.name} {json.dumps(pending.arguments, ensure_ascii=False)}")
        click.echo(f"    zhilu agent answer {run_id} {pending.id} yes|no")
    if found.ending:
        _say_ending(found)


@agent.command()
@click.argument("run_id", metavar="RUN")
@click.argument("call_id", metavar="CALL")
@click.argument("answer", type=click.Choice(["yes", "no", "always"]))
@click.option("--reason", default="", help=T("told to the model", "会告诉模型").say())
@pass_context_obj
def answer(context: Context, run_id: str, call_id: str, answer: str, reason: str) -> None:
    """Allow or refuse a call that waits. 同意或拒绝一个等待中的调用。"""
    from zhilu.agents.runs import RunStore
    from zhilu.tools.wrappers import Decision

    store = RunStore(context)
    journal = store.journal(store.get(run_id).id)
    if not journal.decide(call_id, Decision(answer != "no", reason), always=answer == "always"):
        raise NotFoundError(
            T(f"No call {call_id!r} waits in run {run_id}.", f"运行 {run_id} 里没有等待中的调用 {call_id!r}。"),
            fix=f"zhilu agent show {run_id}",
        )


@agent.command()
@click.argument("run_id", metavar="RUN")
@click.argument("step", type=int)
@pass_context_obj
def replay(context: Context, run_id: str, step: int) -> None:
    """Run again from STEP of a run on; what was before is taken over, not done again.
    从某次运行的第 STEP 步重新开始；之前的步骤直接沿用，不会重做。"""
    from zhilu.agents.runs import RunStore, start_run

    old = RunStore(context).get(run_id)
    again = _follow(context, start_run(context, old.wish, replay_of=run_id, before=step), quiet=False)
    if again.ending:
        _say_ending(again)


@agent.command("memory")
@json_option
@pass_context_obj
def list_facts(context: Context, as_json: bool) -> None:
    """What is kept of earlier conversations. 以前的对话里记住的事。"""
    from zhilu.agents.memory import Memory

    facts = Memory(context).facts()
    if as_json:
        echo_json([fact.model_dump() for fact in facts])
        return
    rows = [(fact.id, fact.created_at[:10], fact.text) for fact in facts]
    empty = T('Nothing yet: zhilu agent remember "FACT"', '还没有：zhilu agent remember "事实"')
    table((T("id", "编号"), T("since", "日期"), T("fact", "事实")), rows, empty=empty)


@agent.command()
@click.argument("fact")
@pass_context_obj
def remember(context: Context, fact: str) -> None:
    """Keep a FACT for later conversations that have the tool memory. 记住一件事，供使用 memory 工具的对话使用。"""
    from zhilu.agents.memory import Memory

    click.echo(Memory(context).keep(fact).id)


@agent.command()
@click.argument("fact_id", metavar="ID", type=int)
@pass_context_obj
def forget(context: Context, fact_id: int) -> None:
    """Forget a fact. 忘掉一件事。"""
    from zhilu.agents.memory import Memory

    Memory(context).forget(fact_id)


@agent.command("tools")
@json_option
@pass_context_obj
def list_tools(context: Context, as_json: bool) -> None:
    """The kinds of tools there are. 有哪些种类的工具。"""
    from zhilu.tools.source import tool_sources

    found = list(tool_sources().items())
    if as_json:
        echo_json(
            [{"kind": kind, "usage": s.usage, "example": s.example, "title": s.title.data()} for kind, s in found]
        )
        return
    rows = [(s.usage, s.title.say(), s.example) for _, s in found]
    table((T("tools", "工具"), T("what they are", "说明"), T("example", "示例")), rows)


def _follow(context: Context, run: Run, *, quiet: bool) -> Run:
    """Show the steps as they come, and ask on a terminal; elsewhere a call that must be asked for waits for ``agent answer``."""
    from zhilu.agents.runs import RunStore
    from zhilu.jobs import JobEvent, JobStore
    from zhilu.jobs.follow import raise_unless_done

    store, jobs = RunStore(context), JobStore(context)
    journal = store.journal(run.id)
    asked: set[str] = set()

    def show(event: JobEvent) -> None:
        if event.type == "log" and not quiet and not str(event.data["text"]).startswith("?"):
            click.echo(event.data["text"], err=True)

    assert run.job_id is not None
    cursor = 0
    while True:
        job = jobs.wait(run.job_id, timeout=0.3)
        for event in jobs.events(run.job_id, cursor):
            cursor = event.id
            show(event)
        for pending in journal.pending():
            if pending.id not in asked:
                asked.add(pending.id)
                _ask(journal, run, pending)
        if job.ended:
            raise_unless_done(job)
            return store.get(run.id)


def _ask(journal: RunJournal, run: Run, pending: Pending) -> None:
    from zhilu.tools.base import EFFECTS
    from zhilu.tools.wrappers import Decision

    effect = EFFECTS[pending.effect]  # type: ignore[index]
    click.secho(
        T(f"May it use {pending.name}? It {effect.en}.", f"可以使用 {pending.name} 吗？它{effect.zh}。").say(),
        bold=True,
        err=True,
    )
    click.echo(json.dumps(pending.arguments, ensure_ascii=False, indent=2), err=True)
    if not sys.stdin.isatty():
        click.echo(f"→ zhilu agent answer {run.id} {pending.id} yes", err=True)
        return
    said = click.prompt(
        T("yes, no or always", "yes、no 或 always").say(), type=click.Choice(["yes", "no", "always"]), err=True
    )
    journal.decide(pending.id, Decision(said != "no"), always=said == "always")


_STOPS = {
    "answered": T("done", "完成"),
    "steps": T("the steps are used up", "步数已用完"),
    "tokens": T("the tokens are used up", "token 已用完"),
    "seconds": T("the time is used up", "时间已用完"),
    "stuck": T("it went round in circles", "一直在原地打转"),
    "cut": T("its answer was cut", "回答被截断"),
}


def _say_ending(run: Run) -> None:
    ending: dict[str, Any] = run.ending or {}
    if ending.get("answer"):
        click.echo(ending["answer"])
    stop = _STOPS[ending["stop"]]
    click.secho(
        T(
            f"{stop.en} · {ending['steps']} steps · {ending['tokens']} tokens · zhilu agent show {run.id}",
            f"{stop.zh} · {ending['steps']} 步 · {ending['tokens']} token · zhilu agent show {run.id}",
        ).say(),
        fg="green" if ending["stop"] == "answered" else "yellow",
        err=True,
    )


def _view(context: Context, run: Run) -> dict[str, Any]:
    from zhilu.agents.runs import RunStore

    journal = RunStore(context).journal(run.id)
    return {
        **run.model_dump(),
        "entries": [entry._asdict() for entry in journal.entries()],
        "pending": [pending._asdict() for pending in journal.pending()],
    }
