"""``zhilu learn`` and ``zhilu check``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["check", "learn"]

COLOURS = {"passed": "green", "failed": "red", "not_yet": "yellow", "cannot_run_here": "magenta", "unchecked": "white"}
MARKS = {"passed": "✓", "failed": "✗", "not_yet": "…", "cannot_run_here": "⊘", "unchecked": "·"}


@click.command()
@click.argument("stage", required=False)
@json_option
@pass_context_obj
def learn(context: Context, stage: str | None, as_json: bool) -> None:
    """The path: seven stages, where you are, what is next. Give a STAGE (0-6) or a task (4.1) for its guide.
    学习路径：七个阶段、你在哪里、下一步是什么。加上阶段（0-6）或任务（4.1）查看指南。
    """
    from zhilu.roadmap.state import roadmap_state

    state = roadmap_state(context)
    if stage is not None:
        state["stages"] = _only(state["stages"], stage)
    if as_json:
        echo_json(state)
        return
    for item in state["stages"]:
        _show_stage(item, in_full=stage is not None)
    click.echo()
    if stage is None:
        _show_summary(state)


def _only(stages: list[dict[str, Any]], word: str) -> list[dict[str, Any]]:
    for stage in stages:
        if stage["id"] == word:
            return [stage]
        tasks = [task for task in stage["tasks"] if task["id"] == word]
        if tasks:
            return [{**stage, "tasks": tasks}]
    raise InputError(
        T(f"There is no stage or task {word!r}: stages are 0 to 6.", f"没有阶段或任务 {word!r}：阶段为 0 到 6。"),
        param="stage",
        fix="zhilu learn",
    )


def _show_stage(stage: dict[str, Any], *, in_full: bool) -> None:
    from zhilu.roadmap.report import LATER, words_of

    title = T.of(stage["title"]).say()
    click.echo()
    click.echo(
        click.style(f"{stage['id']}  {title}", bold=True) + "  " + click.style(T.of(stage["subtitle"]).say(), dim=True)
    )
    if in_full:
        click.echo(click.style("   " + T.of(stage["tools"]).say(), dim=True))
    for task in stage["tasks"]:
        word = words_of(task["status"], task["because"]).say() if task["has_gate"] else LATER.say()
        mark = click.style(MARKS[task["status"]], fg=COLOURS[task["status"]], bold=True)
        click.echo(
            f" {mark} {task['id']}  {T.of(task['title']).say()}  "
            + click.style(f"({word})", fg=COLOURS[task["status"]])
        )
        if in_full:
            _show_guide(task)
    if in_full and stage["also"]:
        click.echo("\n" + click.style(T.of(stage["also"]).say(), dim=True))


def _show_guide(task: dict[str, Any]) -> None:
    click.echo(f"      {T('Gate', '关卡').say()}: {T.of(task['gate']).say()}")
    for paragraph in T.of(task["guide"]).say().split("\n\n"):
        click.echo(f"      {paragraph}")
    if task["command"]:
        click.echo("      " + click.style(f"$ {task['command']}", fg="cyan"))
    if task["why"]:
        click.echo("      → " + T.of(task["why"]).say())
    if task["fix"]:
        click.echo("      " + click.style(f"$ {task['fix']}", fg="cyan"))
    click.echo()


def _show_summary(state: dict[str, Any]) -> None:
    click.echo(
        T(
            f"{state['passed']} of {state['checkable']} gates passed.",
            f"已通过 {state['passed']}/{state['checkable']} 个关卡。",
        ).say()
    )
    if state["next"]:
        why = T.of(state["next_why"]).say()
        click.echo(
            T("Next: ", "下一步：").say() + f"zhilu learn {state['next']}   zhilu check {state['next']}   ({why})"
        )
    else:
        click.echo(T("Everything that can be checked here has passed.", "这里能检查的都已通过。").say())


@click.command()
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the transcript: FILE.html or FILE.json. 输出学习记录。",
)
@json_option
@pass_context_obj
def check(context: Context, tasks: tuple[str, ...], report: Path | None, as_json: bool) -> None:
    """Run gates: TASK is 4.1 or a stage 4; without one, every gate there is. Keeps the evidence.
    运行关卡：TASK 可以是 4.1 或阶段 4；不写则运行全部。会保存证据。

    Exit status 1 when a gate failed, else 0. 有关卡未通过时退出码为 1。
    """
    from zhilu.logs import quieten
    from zhilu.roadmap.running import find_gates, resolve_tasks, run_gates

    if report is not None and report.suffix.lower() not in (".html", ".json"):
        raise InputError(
            T(
                f"A report is .html or .json, not {str(report)!r}.",
                f"报告只能是 .html 或 .json，而不是 {str(report)!r}。",
            ),
            param="report",
            fix="zhilu check --report report.html",
        )
    gates = find_gates()
    chosen = resolve_tasks(tasks, gates)
    progress = _Progress(quiet=as_json)
    if not context.flags.get("log_level") and "ZHILU_LOG_LEVEL" not in os.environ:
        quieten()  # the servers that gates start would drown the verdicts
    results = run_gates(context, chosen, gates=gates, before=progress.before, after=progress.after)
    failed = [evidence.task for evidence in results if evidence.verdict.status.value == "failed"]
    if report is not None:
        _write_report(context, report, chosen if tasks else None)
    if as_json:
        echo_json({"evidence": [evidence.data() for evidence in results], "failed": failed})
    else:
        progress.summary(report)
    if failed:
        raise click.exceptions.Exit(1)


def _write_report(context: Context, path: Path, tasks: list[str] | None) -> None:
    import json

    from zhilu.home import atomic_write
    from zhilu.roadmap.report import render_html, report_data

    data = report_data(context, tasks=tasks)
    is_html = path.suffix.lower() == ".html"
    if not path.parent.is_dir():
        raise InputError(
            T(f"The folder {str(path.parent)!r} does not exist.", f"目录 {str(path.parent)!r} 不存在。"),
            param="report",
            fix=f"mkdir -p {path.parent}",
        )
    atomic_write(path, render_html(data) if is_html else json.dumps(data, ensure_ascii=False, indent=1))
    path.chmod(0o644)


class _Progress:
    """A line when a gate begins, its verdict and figures when it ends."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.counts: dict[str, int] = {}

    def before(self, gate: Any, position: int, total: int) -> None:
        if self.quiet:
            return
        slow = T(" (takes a minute or more)", "（需要一分钟以上）").say() if gate.slow else ""
        click.echo(f"[{position + 1}/{total}] {gate.task} {gate.title.say()}{slow}", err=True)

    def after(self, evidence: Any) -> None:
        status = evidence.verdict.status.value
        self.counts[status] = self.counts.get(status, 0) + 1
        if self.quiet:
            return
        from zhilu.roadmap.report import words_of

        verdict = evidence.verdict
        said = words_of(status, verdict.because.value if verdict.because else None).say()
        word = click.style(f"{MARKS[status]} {said}", fg=COLOURS[status], bold=True)
        click.echo(f"{evidence.task} {word}  {evidence.verdict.why.say()}")
        for figure in evidence.verdict.figures:
            click.echo(f"      {figure.name.say()}: {figure.value} {figure.unit}".rstrip())
        if evidence.verdict.fix:
            click.echo("      " + click.style(f"$ {evidence.verdict.fix}", fg="cyan"))

    def summary(self, report: Path | None) -> None:
        from zhilu.roadmap.report import STATUS_WORDS

        click.echo()
        click.echo(", ".join(f"{number} {STATUS_WORDS[name].say()}" for name, number in self.counts.items()))
        if report is not None:
            click.echo(T(f"Report: {report}", f"报告：{report}").say())
