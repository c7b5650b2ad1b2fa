"""``zhilu report``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.apps.report.ask import ReportSection

__all__ = ["report"]

_SAMPLE_NAMES = ("shop", "school", "power")


@click.group()
def report() -> None:
    """Questions about tables become checked SQL, tables, charts and reports.
    用提问的方式查数据：生成经过检查的 SQL、表格、图表和报告。"""


@report.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help=T("by default the file's", "默认用文件名").say())
@click.option(
    "--sample", type=click.Choice(_SAMPLE_NAMES), help=T("a database to try it with", "用来试用的数据库").say()
)
@json_option
@pass_context_obj
def add(context: Context, file: Path | None, name: str | None, sample: str | None, as_json: bool) -> None:
    """Take in FILE: CSV, a spreadsheet or an SQLite database. It is copied and only ever read.
    加入 FILE：CSV、电子表格或 SQLite 数据库。会复制一份，此后只读。"""
    from zhilu.apps.report.data.source import Sources

    if (file is None) == (sample is None):
        raise InputError(
            T("Give a FILE, or --sample NAME.", "请给出 FILE，或者 --sample 名称。"),
            fix="zhilu report add --sample shop",
        )
    sources = Sources(context)
    source = sources.add_sample(sample) if sample else sources.add_file(file, file.name, name) if file else None
    if source is None:
        raise AssertionError("one of the two was given")
    schema = sources.schema(source)
    if as_json:
        echo_json({**source.model_dump(mode="json"), "schema": schema.model_dump()})
        return
    for found in schema.tables:
        columns = ", ".join(f"{c.name} ({c.kind})" for c in found.columns)
        click.echo(
            T(f"{found.name}: {found.num_rows} rows; {columns}", f"{found.name}：{found.num_rows} 行；{columns}").say()
        )
    for note in source.notes:
        click.secho(note.say(), fg="yellow")
    question = T("How many rows are there?", "一共有多少行？").say()
    click.echo(T("Next: ", "下一步：").say() + f'zhilu report ask {source.name} "{question}"')


@report.command()
@json_option
@pass_context_obj
def sources(context: Context, as_json: bool) -> None:
    """What can be asked about.
    可以提问的数据源。"""
    from zhilu.apps.report.data.source import Sources

    found = Sources(context).every()
    if as_json:
        echo_json([s.model_dump(mode="json") for s in found])
        return
    rows = [(s.name, s.origin, s.created_at.date()) for s in found]
    table((T("name", "名称"), T("from", "来自"), T("since", "加入日期")), rows)


@report.command()
@click.argument("source")
@pass_context_obj
def remove(context: Context, source: str) -> None:
    """Forget SOURCE and its copy. 移除数据源及其副本。"""
    from zhilu.apps.report.data.source import Sources

    Sources(context).remove(source)
    click.echo(T(f"{source} is gone.", f"已移除 {source}。").say())


@report.command()
@click.argument("source")
@click.argument("question")
@click.option(
    "--model", help=T("that writes the queries (default: the one that runs)", "编写查询的模型（默认当前模型）").say()
)
@json_option
@pass_context_obj
def ask(context: Context, source: str, question: str, model: str | None, as_json: bool) -> None:
    """One QUESTION about SOURCE. 对数据源提一个问题。"""
    section = asyncio.run(_asked(context, source, question, model, quiet=as_json))
    if as_json:
        echo_json(section.model_dump(mode="json"))
    else:
        _show(section)
    if section.status != "answered":
        raise SystemExit(1)


@report.command()
@click.argument("title")
@click.option("--source", required=True)
@click.option("-q", "--question", "questions", multiple=True, required=True, help=T("repeatable", "可重复").say())
@click.option("--every-hours", type=click.IntRange(1, 744), help=T("make it again by itself", "自动定期重新生成").say())
@click.option("--model")
@json_option
@pass_context_obj
def new(
    context: Context,
    title: str,
    source: str,
    questions: tuple[str, ...],
    every_hours: int | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Make a report called TITLE of several questions, and wait for it. 由多个问题生成报告。"""
    from zhilu.apps.report.data.source import Sources
    from zhilu.apps.report.job import start_report
    from zhilu.apps.report.reports import Reports
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done

    reports = Reports(context)
    made = reports.create(title, Sources(context).get(source).id, list(questions))
    if every_hours:
        made.every_hours = every_hours
        reports.save(made)
    job = start_report(context, made, model)
    raise_unless_done(follow(JobStore(context), job.id, quiet=as_json))
    made = reports.get(made.id)
    if as_json:
        echo_json(made.model_dump(mode="json"))
        return
    for section in made.sections:
        _show(section)
    click.echo(T("Next: ", "下一步：").say() + f"zhilu report export {made.id} report.html")


@report.command("list")
@json_option
@pass_context_obj
def list_(context: Context, as_json: bool) -> None:
    """The reports. 报告列表。"""
    from zhilu.apps.report.reports import Reports

    found = Reports(context).list()
    if as_json:
        echo_json([r.model_dump(mode="json", exclude={"sections"}) for r in found])
        return
    rows = [(r.id, r.title, f"{len(r.sections)}/{len(r.questions)}", r.made_at and r.made_at.date()) for r in found]
    table((T("id", "编号"), T("title", "标题"), T("sections", "节"), T("made", "生成日期")), rows)


@report.command()
@click.argument("report_id")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_context_obj
def export(context: Context, report_id: str, file: Path) -> None:
    """Write REPORT_ID to FILE (.html, .docx or .pdf). 导出报告。"""
    from zhilu.apps.report.render import render
    from zhilu.apps.report.reports import Reports

    form: Any = file.suffix.lower().removeprefix(".")
    if form not in ("html", "docx", "pdf"):
        raise InputError(
            T(
                f"A report becomes .html, .docx or .pdf, not {file.suffix!r}.",
                f"报告可以导出为 .html、.docx 或 .pdf，不是 {file.suffix!r}。",
            ),
            param="file",
            fix=f"zhilu report export {report_id} report.html",
        )
    file.write_bytes(render(Reports(context).get(report_id), form).content)
    click.echo(str(file))


@report.command()
@click.argument("report_id")
@pass_context_obj
def delete(context: Context, report_id: str) -> None:
    """Delete a report. 删除报告。"""
    from zhilu.apps.report.reports import Reports

    Reports(context).delete(report_id)
    click.echo(T("Deleted.", "已删除。").say())


async def _asked(context: Context, name: str, question: str, model: str | None, *, quiet: bool) -> ReportSection:
    from zhilu.apps.report.ask import ReportSection, answer
    from zhilu.apps.report.data.source import Sources
    from zhilu.client import connect
    from zhilu.models.chosen import named_model

    known = Sources(context)
    source = known.get(name)
    section = ReportSection(question=question, status="failed")
    async with connect(context) as client:
        async for event in answer(
            client, named_model(context, model), question, known.database(source), known.schema(source)
        ):
            if event.name == "query" and not quiet:
                click.secho(" ".join(event.data["sql"].split()), dim=True, err=True)
            if event.name == "done":
                section = ReportSection.model_validate(event.data)
    return section


def _show(section: ReportSection) -> None:
    from zhilu.apps.report.render import section_lines

    click.secho(section.question, bold=True)
    for line in section_lines(section):
        click.secho(line, fg=None if section.status == "answered" else "yellow")
    if section.result is not None:
        columns = [T(name, name) for name in section.result.columns]
        table(columns, section.result.rows[:20])
    left_out = [s for s in section.sentences if not s.is_kept]
    for sentence in left_out:
        why = sentence.why.say() if sentence.why else ""
        click.secho(T("left out: ", "已略去：").say() + f"{sentence.text} ({why})", dim=True)
    if section.said is not None:
        click.secho(f"{section.said.say()}\n{section.sql}", dim=True)
