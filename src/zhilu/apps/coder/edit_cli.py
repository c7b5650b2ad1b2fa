"""``zhilu code edit | edits | apply | undo | test | complete``."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.apps.coder.edits.kept import CodeEdit, CodeTestRun, Edits
    from zhilu.apps.coder.fill.complete import CodeCompletion

__all__ = ["COMMANDS"]

_SHOWN = {
    "proposed": T("proposed, nothing is written yet", "已提出，尚未写入"),
    "applied": T("applied", "已应用"),
    "undone": T("undone", "已撤销"),
    "refused": T("refused", "未通过检查"),
}


def _edits(context: Context, repo: str) -> Edits:
    from zhilu.apps.coder.edits.kept import Edits
    from zhilu.apps.coder.repos import Repos

    return Edits(context, Repos(context).get(repo))


@click.command()
@click.argument("repo")
@click.argument("instruction")
@click.option("--symbol", help=T("the function that is meant", "要修改的函数").say())
@click.option("--path", help=T("the file that is meant", "要修改的文件").say())
@click.option(
    "--test",
    is_flag=True,
    help=T("try it with the tests; the model may mend it once", "用测试试验，模型可改正一次").say(),
)
@click.option("--model")
@json_option
@pass_context_obj
def edit(
    context: Context,
    repo: str,
    instruction: str,
    symbol: str | None,
    path: str | None,
    test: bool,
    model: str | None,
    as_json: bool,
) -> None:
    """Propose a change of REPO as a diff. Nothing is written until you apply it. 以 diff 提出修改，应用之前不写入。"""
    edits = _edits(context, repo)
    made = asyncio.run(_proposed(context, edits, instruction, symbol, path, model, test))
    edits.save(made)
    if as_json:
        echo_json(made.model_dump(mode="json", exclude={"before", "after"}))
    else:
        _show(made)
        if made.status == "proposed":
            click.echo(T("Next: ", "下一步：").say() + f"zhilu code apply {edits.repo.name} {made.id}")
    if made.status != "proposed":
        raise SystemExit(1)


async def _proposed(
    context: Context,
    edits: Edits,
    instruction: str,
    symbol: str | None,
    path: str | None,
    model: str | None,
    test: bool,
) -> CodeEdit:
    from zhilu.apps.coder.edits.propose import propose
    from zhilu.apps.coder.edits.testing import Trial
    from zhilu.apps.coder.repos import Repos
    from zhilu.client import connect
    from zhilu.models.chosen import named_model

    made = edits.new(instruction, named_model(context, model))
    store = Repos(context).index(edits.repo)
    tried = Trial(context, edits.root) if test else None
    async with connect(context) as client:
        return await propose(client, made.model, store, edits.root, made, path=path, symbol=symbol, tried=tried)


@click.command("edits")
@click.argument("repo")
@json_option
@pass_context_obj
def edits_(context: Context, repo: str, as_json: bool) -> None:
    """The changes of REPO. 仓库的修改列表。"""
    found = _edits(context, repo).every()
    if as_json:
        echo_json([e.model_dump(mode="json", exclude={"before", "after"}) for e in found])
        return
    rows = [(e.id, _SHOWN[e.status].say(), e.path, e.symbol, e.instruction[:60]) for e in found]
    columns = (T("id", "编号"), T("state", "状态"), T("file", "文件"), T("symbol", "符号"), T("change", "修改"))
    table(columns, rows)


@click.command()
@click.argument("repo")
@click.argument("edit_id")
@pass_context_obj
def apply(context: Context, repo: str, edit_id: str) -> None:
    """Approve a change: it is written whole, if the file is as it was. 批准并写入修改。"""
    _show(_edits(context, repo).apply(edit_id))
    click.echo(T("Next: ", "下一步：").say() + f"zhilu code undo {repo} {edit_id}")


@click.command()
@click.argument("repo")
@click.argument("edit_id")
@pass_context_obj
def undo(context: Context, repo: str, edit_id: str) -> None:
    """Put back what stood there before a change. 撤销修改。"""
    made = _edits(context, repo).undo(edit_id)
    click.echo(T(f"{made.path} is as it was.", f"{made.path} 已恢复原样。").say())


@click.command()
@click.argument("repo")
@click.argument("edit_id", required=False)
@click.option("--command", help=T("by default pytest or unittest", "默认 pytest 或 unittest").say())
@json_option
@pass_context_obj
def test(context: Context, repo: str, edit_id: str | None, command: str | None, as_json: bool) -> None:
    """Run the tests of REPO in the sandbox, on a copy; with a change in it where one is named. 在沙箱中运行测试。"""
    from zhilu.apps.coder.edits.testing import run_tests

    edits = _edits(context, repo)
    made = edits.get(edit_id) if edit_id else None
    ran = asyncio.run(
        run_tests(context, edits.root, made if made and made.status != "applied" else None, shlex.split(command or ""))
    )
    if made is not None:
        made.tests = ran
        edits.save(made)
    if as_json:
        echo_json(ran.model_dump(mode="json"))
    else:
        _show_tests(ran)
    if not ran.passed:
        raise SystemExit(1)


@click.command()
@click.argument("repo")
@click.argument("file")
@click.option("--line", type=click.IntRange(1), required=True, help=T("where the cursor is", "光标所在行").say())
@click.option("--column", type=click.IntRange(0), help=T("by default the end of the line", "默认行尾").say())
@click.option("--model")
@json_option
@pass_context_obj
def complete(
    context: Context, repo: str, file: str, line: int, column: int | None, model: str | None, as_json: bool
) -> None:
    """Complete FILE of REPO at a place. It is printed, not written. 在指定位置补全代码，只打印不写入。"""
    made = asyncio.run(_completed(context, repo, file, line, column, model))
    if as_json:
        echo_json(made.model_dump())
    else:
        click.echo(made.text)


async def _completed(
    context: Context, repo: str, file: str, line: int, column: int | None, model: str | None
) -> CodeCompletion:
    from zhilu.apps.coder.edits.kept import open_file
    from zhilu.apps.coder.fill.complete import complete as fill
    from zhilu.apps.coder.repos import Repos
    from zhilu.client import connect
    from zhilu.models.chosen import named_model

    repos = Repos(context)
    found = repos.get(repo)
    lines = open_file(Path(found.root), file).text.split("\n")
    if line > len(lines):
        raise InputError(
            T(f"{file!r} has {len(lines)} lines.", f"{file!r} 共 {len(lines)} 行。"),
            param="line",
            fix="zhilu code complete --help",
        )
    at = len(lines[line - 1]) if column is None else column
    prefix = "\n".join([*lines[: line - 1], lines[line - 1][:at]])
    suffix = "\n".join([lines[line - 1][at:], *lines[line:]])
    async with connect(context) as client:
        return await fill(
            client, named_model(context, model), prefix, suffix, store=repos.index(found), path=file, repo=found.name
        )


def _show(made: CodeEdit) -> None:
    click.echo(f"{made.id}  {_SHOWN[made.status].say()}  {made.path} {made.symbol}")
    if made.problem is not None:
        click.secho(made.problem.say(), fg="yellow")
    for line in made.diff.split("\n"):
        click.secho(line, fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
    if made.tests is not None:
        _show_tests(made.tests)


def _show_tests(ran: CodeTestRun) -> None:
    click.secho(ran.command, dim=True)
    click.echo(ran.output)
    said = (
        T("passed", "通过")
        if ran.passed
        else T("stopped: out of time", "超时停止")
        if ran.timed_out
        else T("failed", "失败")
    )
    click.secho(said.say(), fg="green" if ran.passed else "red")


COMMANDS = (edit, edits_, apply, undo, test, complete)
