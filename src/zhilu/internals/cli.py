"""``zhilu internals``: run a lesson of stage 6 in the terminal, or take its code home and put one's own in its place."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.internals.result import Result
from zhilu.messages import T

__all__ = ["internals"]


@click.group()
def internals() -> None:
    """How it works underneath: lessons whose every number is held against an industrial library.
    底层如何工作：每个数字都与工业级库对照的课程。"""


@internals.command("list")
@json_option
@pass_context_obj
def list_lessons(context: Context, as_json: bool) -> None:
    """The lessons, and how their last runs went. 课程列表与最近一次运行的结果。"""
    from zhilu.internals.catalog import LESSONS
    from zhilu.internals.runs import kept

    rows = [(lesson, kept(context, lesson.task)) for lesson in LESSONS.values()]
    if as_json:
        echo_json([{"task": one.task, "title": one.words.title.data(), **last.model_dump(mode="json")} for one, last in rows])  # fmt: skip
        return
    columns = (T("task", "任务"), T("lesson", "课程"), T("last run", "最近一次"), T("code", "代码"))
    marks = {True: "✓", False: "✗", None: "·"}
    outcomes = [last.result.passed if last.result else None for _, last in rows]
    table(
        columns,
        [
            (one.task, one.words.title.say(), marks[outcome], last.mine or one.part)
            for (one, last), outcome in zip(rows, outcomes, strict=True)
        ],
    )


@internals.command()
@click.argument("task")
@click.option("--guess", type=int, help=T("number of the answer that you expect", "你预测的选项编号").say())
@click.option("--mine", type=click.Path(path_type=Path), help=T("your own version of the lesson's module", "你自己写的课程模块").say())  # fmt: skip
@click.option("--ours", is_flag=True, help=T("forget your own version", "不再使用自己写的版本").say())
@json_option
@pass_context_obj
def run(context: Context, task: str, guess: int | None, mine: Path | None, ours: bool, as_json: bool) -> None:
    """Run the lesson of a TASK such as 6.3: measure, and compare with the libraries.
    运行某个任务（如 6.3）的课程：测量，并与工业级库比较。"""
    from zhilu.internals.catalog import find_lesson
    from zhilu.internals.runs import keep_guess, run_lesson

    lesson = find_lesson(task)
    if guess is not None:
        keep_guess(context, task, guess - 1)

    shows_progress = sys.stderr.isatty() and not as_json

    def say(fraction: float, stage: T) -> None:
        if shows_progress:
            click.echo(f"\r\033[K{fraction:4.0%} {stage.say()}", nl=False, err=True)

    try:
        result = run_lesson(context, task, mine=mine, ours=ours, say=say)
    finally:
        if shows_progress:
            click.echo("\r\033[K", nl=False, err=True)
    if as_json:
        echo_json({**result.model_dump(mode="json"), "passed": result.passed})
        return
    click.secho(f"{task} {lesson.words.title.say()}", bold=True)
    _show(result)
    click.echo("\n" + lesson.words.question.say())
    for number, option in enumerate(lesson.words.options):
        mark = "✓" if number == result.answer else "✗" if guess == number + 1 else " "
        click.echo(f"  {mark} {number + 1}. {option.say()}")
    follows = f"zhilu check {task}" if lesson.gated else f"zhilu internals copy {task}"
    said = T(f"Next: {follows}", f"下一步：{follows}")
    click.secho("\n" + said.say(), fg="green" if result.passed else "yellow")


@internals.command()
@click.argument("name", required=False)
@json_option
@pass_context_obj
def paper(context: Context, name: str | None, as_json: bool) -> None:
    """Papers to read beside the code; with a NAME, its figure is measured here.
    对照代码阅读的论文；给出 NAME 时，在本机实测它的图。"""
    from zhilu.internals.papers.shelf import PAPERS, find_paper
    from zhilu.internals.runs import run_paper

    if name is None:
        if as_json:
            echo_json([{"name": one.name, "title": one.title.data(), "arxiv": one.arxiv} for one in PAPERS.values()])
        else:
            columns = (T("name", "名称"), T("paper", "论文"), T("arXiv", "arXiv"))
            table(columns, [(one.name, one.full, one.arxiv) for one in PAPERS.values()])
        return
    found = find_paper(name)
    result = run_paper(context, name)
    if as_json:
        echo_json({**result.model_dump(mode="json"), "passed": result.passed})
        return
    click.secho(found.full, bold=True)
    click.echo(
        f"https://arxiv.org/abs/{found.arxiv}\n\n{found.claim.say()}\n\n{found.words.say()}\n\n{found.shows.say()}\n"
    )
    _show(result)


@internals.command()
@click.argument("task")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
def copy(task: str, folder: Path) -> None:
    """Copy a lesson's code into FOLDER, to rewrite it there; --mine runs it.
    把课程代码复制到 FOLDER，供你改写；用 --mine 运行。"""
    from zhilu.internals.runs import copy_part

    path = copy_part(task, folder)
    said = T(
        f"{path} is yours: change it, empty it, write it anew. Next: zhilu internals run {task} --mine {path}",
        f"{path} 是你的了：改它、清空它、重新写它。下一步：zhilu internals run {task} --mine {path}",
    )
    click.echo(said.say())


def _show(result: Result) -> None:
    marks = {True: "✓", False: "✗"}
    columns = (T("", ""), T("check", "检查"), T("value", "数值"), T("bar", "标准"))
    table(columns, [(marks[check.passed], check.name.say(), check.value, check.bar) for check in result.checks])
    for shown in result.tables:
        click.secho("\n" + shown.title.say(), bold=True)
        table(shown.columns, [[cell.say() for cell in row] for row in shown.rows])
    for chart in result.charts:
        click.secho(f"\n{chart.title.say()} ({chart.x.say()} → {chart.y.say()})", bold=True)
        names = (chart.x, *(series.name for series in chart.series))
        places = sorted({x for series in chart.series for x in series.xs})
        values = [dict(zip(series.xs, series.ys, strict=True)) for series in chart.series]
        step = max(1, len(places) // 12)
        table(names, [(f"{x:g}", *(f"{one[x]:.4g}" if x in one else "" for one in values)) for x in places[::step]])
