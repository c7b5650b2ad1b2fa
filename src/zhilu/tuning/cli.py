"""``zhilu data``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.tuning.data.check import DataReport, Spread
    from zhilu.tuning.data.findings import Finding

__all__ = ["data"]

_HELP = {
    "eval": T("held-out data, which must share nothing with DATA", "留出的评测数据，不能与 DATA 有重复"),
    "model": T(
        "model whose template and tokenizer are used (default: the one that runs; none: no tokens)",
        "使用其模板和分词器的模型（默认当前模型；none：不计 token）",
    ),
    "map": T(
        "a column of a table under our name, e.g. prompt=question", "把表格的列对应到我们的键，如 prompt=question"
    ),
    "max-len": T(
        "tokens of a training sequence (default: the model's context)", "训练序列的 token 数（默认为模型上下文）"
    ),
}
_MARKS = {"error": ("✗", "red"), "warning": ("!", "yellow"), "hint": ("·", "cyan")}


@click.group()
def data() -> None:
    """Training data: check a file before a step is spent on it.
    训练数据：在训练之前检查文件。"""


@data.command()
@click.argument("data")
@click.option("--eval", "held_out", metavar="DATA", help=_HELP["eval"].say())
@click.option("--model", help=_HELP["model"].say())
@click.option("--map", "pairs", multiple=True, metavar="KEY=COLUMN", help=_HELP["map"].say())
@click.option("--max-len", type=click.IntRange(min=8), help=_HELP["max-len"].say())
@json_option
@pass_context_obj
def check(
    context: Context,
    data: str,
    held_out: str | None,
    model: str | None,
    pairs: tuple[str, ...],
    max_len: int | None,
    as_json: bool,
) -> None:
    """Check DATA, a file or the name of a dataset: format, errors by line, copies, leaks, personal data, and what the
    model would see of it.
    检查 DATA（文件或数据集名称）：格式、逐行错误、重复、泄漏、个人数据，以及模型会看到什么。"""
    from zhilu.tuning.data.checking import check_dataset
    from zhilu.tuning.data.read import parse_mapping

    mapping = parse_mapping(pairs)
    report = check_dataset(context, data, model=model, held_out=held_out, mapping=mapping, max_len=max_len, files=True)
    echo_json(report.model_dump(mode="json")) if as_json else _print(report)
    if not report.ok:
        sys.exit(1)


@data.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", help=T("of the dataset (default: the file's)", "数据集名称（默认用文件名）").say())
@json_option
@pass_context_obj
def add(context: Context, file: Path, name: str | None, as_json: bool) -> None:
    """Keep a copy of FILE as a dataset.
    把 FILE 的副本保存为数据集。"""
    from zhilu.tuning.data.library import DatasetLibrary

    with file.open("rb") as source:
        info = DatasetLibrary(context).add(source, file.name, name)
    if as_json:
        echo_json(info.model_dump(mode="json"))
    else:
        said = T(
            f"{info.name}: {info.size_bytes:,} bytes. Next: zhilu data check {info.name}",
            f"{info.name}：{info.size_bytes:,} 字节。下一步：zhilu data check {info.name}",
        )
        click.echo(said.say())


@data.command()
@json_option
@pass_context_obj
def example(context: Context, as_json: bool) -> None:
    """A training set to begin with: 500 messages to a support desk and where each belongs, in Chinese and English, with 60 held out.
    入门用的训练集：500 条客服消息及其归类（中英文），另有 60 条留出。"""
    from zhilu.tuning.data.example import HELD_OUT, NAME
    from zhilu.tuning.data.library import DatasetLibrary

    kept = DatasetLibrary(context).keep_example()
    if as_json:
        echo_json([info.model_dump(mode="json") for info in kept])
    else:
        said = T(
            f"{NAME} and {HELD_OUT} are kept. Next: zhilu data check {NAME} --eval {HELD_OUT}",
            f"已保存 {NAME} 与 {HELD_OUT}。下一步：zhilu data check {NAME} --eval {HELD_OUT}",
        )
        click.echo(said.say())


@data.command()
@click.option("--kb", required=True, help=T("a knowledge base, by name or id", "知识库的名称或 id").say())
@click.option(
    "--count", type=click.IntRange(1, 500), help=T("question and answer pairs to make", "要生成的问答对数").say()
)
@click.option("--set", "set_name", default="training", show_default=True, help=T("of the questions", "问题集").say())
@click.option("--save", metavar="NAME", help=T("the accepted ones as a dataset", "把已接受的保存为数据集").say())
@click.option(
    "--answers",
    type=click.Choice(["short", "sentence"]),
    default="short",
    show_default=True,
    help=T("of --save: as made, or the document's sentence", "--save 时：生成的答案，或文档中的原句").say(),
)
@click.option("--model", help=T("that asks (default: what runs)", "出题的模型（默认当前模型）").say())
@json_option
@pass_context_obj
def make(
    context: Context,
    kb: str,
    count: int | None,
    set_name: str,
    save: str | None,
    answers: Any,
    model: str | None,
    as_json: bool,
) -> None:
    """Question and answer pairs from a knowledge base, made by the running model and checked against the passage.
    由运行中的模型根据知识库生成问答对，并对照原文检查。"""
    import asyncio
    import io

    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done, say_fewer
    from zhilu.tuning.data.library import DatasetLibrary
    from zhilu.tuning.data.made import SET, make_questions, questions_of, rows_of

    if count is not None:
        done = follow(
            JobStore(context), asyncio.run(make_questions(context, kb, count, set_name, model)), quiet=as_json
        )
        if not done.ended:
            return
        say_fewer(raise_unless_done(done), count)
    found = asyncio.run(questions_of(context, kb, set_name))
    if save is not None:
        text = rows_of(found, answers, kb=kb, set_name=set_name)
        info = DatasetLibrary(context).add(io.BytesIO(text.encode()), f"{save}.jsonl", save)
        if as_json:
            echo_json(info.model_dump(mode="json"))
            return
        rows = text.count("\n")
        click.echo(
            T(f"{rows} rows. Next: zhilu data check {save}", f"{rows} 行。下一步：zhilu data check {save}").say()
        )
        return
    if as_json:
        echo_json({"questions": found})
        return
    of = "" if set_name == SET else f" --set {set_name}"
    status = {"accepted": T("accepted", "已接受"), "proposed": T("proposed", "待审阅")}
    columns = (T("id", "编号"), T("status", "状态"), T("question", "问题"), T("answer", "答案"))
    shown = [(q["id"], status[q["status"]].say(), q["question"], " | ".join(q["answers"])) for q in found]
    table(
        columns,
        shown,
        empty=T(
            f"None yet: zhilu data make --kb {kb}{of} --count 20", f"还没有：zhilu data make --kb {kb}{of} --count 20"
        ),
    )
    if any(q["status"] == "proposed" for q in found):
        said = T(
            f"Read them (here, or on the page Fine-tuning), then: zhilu kb questions {kb} --set {set_name} --accept ID (--delete ID), "
            f"and: zhilu data make --kb {kb}{of} --save NAME",
            f"请先阅读（在这里或微调页面），然后：zhilu kb questions {kb} --set {set_name} --accept 编号（--delete 编号），"
            f"再：zhilu data make --kb {kb}{of} --save 名称",
        )
        click.echo(said.say(), err=True)


@data.command("list")
@json_option
@pass_context_obj
def list_(context: Context, as_json: bool) -> None:
    """The datasets that are kept.
    已保存的数据集。"""
    from zhilu.tuning.data.library import DatasetLibrary

    found = DatasetLibrary(context).list()
    if as_json:
        echo_json([info.model_dump(mode="json") for info in found])
        return
    columns = (
        T("name", "名称"),
        T("size", "大小"),
        T("format", "格式"),
        T("rows", "行数"),
        T("last check", "上次检查"),
    )
    rows = []
    for info in found:
        report = info.report
        state = T("-", "-") if report is None else T("ready", "可用") if report.ok else T("errors", "有错误")
        form, count = (report.format, f"{report.usable:,} / {report.rows:,}") if report else ("", "")
        rows.append((info.name, f"{info.size_bytes:,}", form, count, state.say()))
    table(columns, rows, empty=T("No datasets yet: zhilu data add FILE", "还没有数据集：zhilu data add FILE"))


@data.command()
@click.argument("name")
@pass_context_obj
def remove(context: Context, name: str) -> None:
    """Delete a dataset.
    删除数据集。"""
    from zhilu.tuning.data.library import DatasetLibrary

    DatasetLibrary(context).remove(name)
    click.echo(T(f"{name} is deleted.", f"{name} 已删除。").say())


@data.command()
@json_option
def formats(as_json: bool) -> None:
    """The formats that are read, and their keys.
    可读取的格式及其键。"""
    from zhilu.tuning.data.formats import FORMATS

    if as_json:
        echo_json(
            [
                {"name": f.name, "title": f.title.data(), "required": sorted(f.required), "keys": sorted(f.keys)}
                for f in FORMATS
            ]
        )
        return
    columns = (T("name", "名称"), T("what", "说明"), T("must have", "必须有"), T("may have", "可以有"))
    rows = [
        (f.name, f.title.say(), ", ".join(sorted(f.required)), ", ".join(sorted(f.keys - f.required))) for f in FORMATS
    ]
    table(columns, rows)


def _print(report: DataReport) -> None:
    what = report.title.say() if report.title else T("unknown format", "未知格式").say()
    click.echo(T(f"{report.file}: {report.rows:,} rows, {what}; {report.usable:,} can be learned",
                 f"{report.file}：{report.rows:,} 行，{what}；其中 {report.usable:,} 行可以学习").say())  # fmt: skip
    if report.tokens is not None and report.learned is not None:
        share, spread = report.learned.total / max(report.tokens.total, 1), _spread(report.tokens)
        said = T(
            f"{spread} tokens a row for {report.model} (context {report.context:,}); {share:.0%} of them carry loss",
            f"每行 {spread} 个 token（{report.model}，上下文 {report.context:,}）；其中 {share:.0%} 计入损失",
        )
        click.echo(said.say())
    for finding in report.findings:
        _print_finding(finding)
    for sample in report.samples[:2]:
        click.echo(
            "\n"
            + T(
                f"line {sample.line}: the model sees this, and learns what is green",
                f"第 {sample.line} 行：模型看到的内容，绿色部分计入损失",
            ).say()
        )
        click.echo("".join(click.style(p.text, fg="green", bold=True) if p.learned else p.text for p in sample.pieces))
    if report.ok:
        click.secho(T("Ready for training.", "可以用于训练。").say(), fg="green")
    else:
        click.secho(T("Not ready: see what is marked with ✗.", "还不能训练：请看带 ✗ 的条目。").say(), fg="red")


def _spread(spread: Spread) -> str:
    return f"{spread.least:,}–{spread.most:,} ({T('median', '中位数').say()} {spread.median:,})"


def _print_finding(finding: Finding) -> None:
    mark, colour = _MARKS[finding.severity]
    lines = ", ".join(map(str, finding.lines[:8])) + (" …" if finding.count > 8 else "")
    where = T(
        f"line {lines}" if finding.count == 1 else f"{finding.count:,} times, lines {lines}",
        f"第 {lines} 行" if finding.count == 1 else f"{finding.count:,} 处，第 {lines} 行",
    ).say()
    click.echo(click.style(mark, fg=colour) + f" {finding.title.say()} ({where})")
    click.echo(f"    {finding.message.say()}")
    if finding.fix:
        click.echo(f"    → {finding.fix}")
