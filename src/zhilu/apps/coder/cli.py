"""``zhilu code``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zhilu.apps.coder.edit_cli import COMMANDS
from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.apps.coder.questions.ask import CodeAnswer

__all__ = ["code"]


def _model_option(command: click.decorators.FC) -> click.decorators.FC:
    told = T("default: the one that runs", "默认当前模型").say()
    return click.option("--model", help=told)(command)


@click.group()
def code() -> None:
    """A code assistant over a repository: questions with places in the code, edits as diffs, completions.
    代码助手：提问得到代码出处，修改以 diff 呈现，支持补全。"""


@code.command()
@click.argument("repo", required=False)
@click.option("--name", help=T("by default the folder's", "默认用文件夹名").say())
@click.option("--sample", is_flag=True, help=T("a small repository to try it with", "用来试用的小仓库").say())
@json_option
@pass_context_obj
def index(context: Context, repo: str | None, name: str | None, sample: bool, as_json: bool) -> None:
    """Read REPO: a folder, or the name of one that was read before (then only what changed). Nothing is written to it.
    读取代码仓库 REPO：文件夹，或已读取过的仓库名（只读有变化的部分）。不会写入其中。"""
    from zhilu.apps.coder.job import start_index
    from zhilu.apps.coder.repos import Repos
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done

    if (repo is None) != sample:
        raise InputError(
            T("Give a folder, or --sample.", "请给出文件夹，或者 --sample。"), fix="zhilu code index --sample"
        )
    repos = Repos(context)
    if repo is None:
        found = repos.add_sample(name or "tinyshop")
    else:
        place = str(Path(repo).expanduser().resolve())
        known = next((r for r in repos.every() if repo in (r.id, r.name) or place == r.root), None)
        found = known or repos.add(Path(repo), name)
    job = start_index(context, found)
    raise_unless_done(follow(JobStore(context), job.id, quiet=as_json))
    found = repos.get(found.id)
    if as_json:
        echo_json(found.model_dump(mode="json"))
        return
    click.echo(
        T(
            f"{found.name}: {found.num_files} files, {found.num_symbols} symbols, {found.num_lines} lines",
            f"{found.name}：{found.num_files} 个文件，{found.num_symbols} 个符号，{found.num_lines} 行",
        ).say()
    )
    if found.left_out:
        said = ", ".join(f"{why} {n}" for why, n in found.left_out.items())
        click.secho(T(f"not read: {said}", f"未读取：{said}").say(), fg="yellow")
    if any(f.problem == "zhilu[coder]" for f in repos.index(found).files()):
        click.secho(
            T(
                "JavaScript, TypeScript, Java, Go and C were read as text: pip install 'zhilu[coder]' finds their symbols.",
                "JavaScript、TypeScript、Java、Go 和 C 按文本读取：pip install 'zhilu[coder]' 后可识别其中的符号。",
            ).say(),
            fg="yellow",
        )
    question = T("What does this program do?", "这个程序做什么？").say()
    click.echo(T("Next: ", "下一步：").say() + f'zhilu code ask {found.name} "{question}"')


@code.command("list")
@json_option
@pass_context_obj
def list_(context: Context, as_json: bool) -> None:
    """The repositories. 已读取的仓库。"""
    from zhilu.apps.coder.repos import Repos

    found = Repos(context).every()
    if as_json:
        echo_json([r.model_dump(mode="json") for r in found])
        return
    rows = [(r.name, r.num_files, r.num_symbols, r.root) for r in found]
    table((T("name", "名称"), T("files", "文件"), T("symbols", "符号"), T("folder", "文件夹")), rows)


@code.command()
@click.argument("repo")
@pass_context_obj
def remove(context: Context, repo: str) -> None:
    """Forget REPO; its folder is not touched. 移除仓库的索引，文件夹不动。"""
    from zhilu.apps.coder.repos import Repos

    Repos(context).remove(repo)
    click.echo(T(f"{repo} is gone from the list.", f"已从列表中移除 {repo}。").say())


@code.command()
@click.argument("repo")
@click.argument("words")
@click.option("--callers", is_flag=True, help=T("who calls the symbol WORDS", "谁调用了符号 WORDS").say())
@json_option
@pass_context_obj
def find(context: Context, repo: str, words: str, callers: bool, as_json: bool) -> None:
    """Find WORDS in REPO: symbols of that name, then pieces of code. No model is asked. 在仓库中查找符号和代码，不用模型。"""
    from zhilu.apps.coder.index import find as look
    from zhilu.apps.coder.repos import Repos

    repos = Repos(context)
    store = repos.index(repos.get(repo))
    if callers:
        found = look.callers(store, words)
        if as_json:
            echo_json([c.model_dump() for c in found])
            return
        for one in found:
            click.echo(f"{one.path}:{one.line}  {one.inside}  {one.text}")
        return
    symbols, hits = look.find_symbols(store, words, 20), look.search(store, words, limit=10)
    if as_json:
        echo_json({"symbols": [s.model_dump() for s in symbols], "hits": [h.model_dump() for h in hits]})
        return
    for symbol in symbols:
        click.echo(f"{symbol.path}:{symbol.start}-{symbol.end}  {symbol.kind} {symbol.qualname}")
    for hit in hits:
        click.secho(f"{hit.path}:{hit.start}-{hit.end}  {hit.symbol}", dim=True)


@code.command()
@click.argument("repo")
@click.argument("question")
@_model_option
@json_option
@pass_context_obj
def ask(context: Context, repo: str, question: str, model: str | None, as_json: bool) -> None:
    """One QUESTION about REPO, answered with places in its code. 就仓库代码提问，回答附代码出处。"""
    answer = asyncio.run(_asked(context, repo, question, model))
    if as_json:
        echo_json(answer.model_dump(mode="json"))
    else:
        _show(answer)
    if answer.status in ("nothing", "unfounded"):
        raise SystemExit(1)


async def _asked(context: Context, repo: str, question: str, model: str | None) -> CodeAnswer:
    from zhilu.apps.coder.questions.ask import CodeAnswer
    from zhilu.apps.coder.questions.ask import ask as put
    from zhilu.apps.coder.repos import Repos
    from zhilu.client import connect
    from zhilu.models.chosen import named_model

    repos = Repos(context)
    store = repos.index(repos.get(repo))
    answer = CodeAnswer(question=question, status="nothing")
    async with connect(context) as client:
        async for event in put(client, named_model(context, model), store, question):
            if event.name == "done":
                answer = CodeAnswer.model_validate(event.data)
    return answer


def _show(answer: CodeAnswer) -> None:
    for sentence in answer.sentences:
        click.secho(sentence.text, fg=None if sentence.is_founded else "yellow")
        for cite in sentence.cites:
            click.secho(f"  {cite.path}:{cite.start}-{cite.end} {cite.symbol}", dim=True)
        if sentence.missing:
            said = ", ".join(sentence.missing)
            click.secho("  " + T(f"not in the cited code: {said}", f"所引代码中没有：{said}").say(), fg="yellow")
    if answer.status == "nothing":
        click.secho(T("The code that was found does not answer it.", "找到的代码无法回答这个问题。").say(), fg="yellow")
    for caller in answer.callers:
        click.echo(f"{caller.path}:{caller.line}  {caller.inside}  {caller.text}")


for command in COMMANDS:
    code.add_command(command)
