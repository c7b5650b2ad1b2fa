"""``zhilu longtext``: ask a text that does not fit, compare the ways to do it, summarise it, look for a needle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.longtext.runs import LongtextRun

__all__ = ["longtext"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_METHOD = T("may be given several times", "可多次给出")
_MODEL = T("model that is asked (default: the one that runs)", "被提问的模型（默认当前模型）")
_MOST = T("tokens of a piece, at most", "每段最多多少 token")
_KNOWN = T("a right answer, to score by; may be given several times", "已知的正确答案，用于评分；可多次给出")


@click.group()
def longtext() -> None:
    """Texts longer than the model reads at once.
    比模型一次能读的更长的文本。"""


@longtext.command()
@click.argument("file", type=_FILE)
@click.argument("question")
@click.option("--method", "methods", multiple=True, help=_METHOD.say())
@click.option("--answer", "answers", multiple=True, help=_KNOWN.say())
@click.option("--piece", "most", type=int, help=_MOST.say())
@click.option("--model", help=_MODEL.say())
@json_option
@pass_context_obj
def ask(context: Context, file: Path, question: str, methods: tuple[str, ...], as_json: bool, **wish: Any) -> None:
    """Ask FILE a question (default: by retrieval).
    就 FILE 提一个问题（默认用检索）。"""
    _answer(context, file, as_json, question=question, methods=list(methods or ["retrieval"]), **wish)


@longtext.command()
@click.argument("file", type=_FILE)
@click.argument("question")
@click.option("--answer", "answers", multiple=True, help=_KNOWN.say())
@click.option("--piece", "most", type=int, help=_MOST.say())
@click.option("--model", help=_MODEL.say())
@json_option
@pass_context_obj
def compare(context: Context, file: Path, question: str, as_json: bool, **wish: Any) -> None:
    """Ask FILE the same question in every way there is: answer, tokens, calls.
    用所有方法就 FILE 提同一个问题：回答、token、调用次数。"""
    _answer(context, file, as_json, question=question, **wish)


@longtext.command()
@click.argument("file", type=_FILE)
@click.option("--piece", "most", type=int, help=_MOST.say())
@click.option("--model", help=_MODEL.say())
@json_option
@pass_context_obj
def summary(context: Context, file: Path, as_json: bool, **wish: Any) -> None:
    """Summarise FILE; each sentence with its place in it.
    概括 FILE；每句话都标出原文位置。"""
    from zhilu.longtext.runs import read_text

    run = _done(context, read_text(file), as_json, want="summary", name=file.name, **wish)
    if as_json:
        echo_json(run.model_dump())
        return
    made = run.result.summary
    assert made is not None
    for number, sentence in enumerate(made.sentences, start=1):
        click.echo(f"{sentence.text} [{number}]")
    click.echo()
    for number, sentence in enumerate(made.sentences, start=1):
        if sentence.place is None or not sentence.supported:
            click.secho(
                f"[{number}] " + T("no place of the text holds this: check it", "原文中找不到依据：请核对").say(),
                fg="yellow",
            )
        else:
            click.echo(f"[{number}] {file.name}:{sentence.place.start}-{sentence.place.end} {sentence.place.quote}")
    _cost(made.calls, made.prompt_tokens, made.completion_tokens, made.cut)


@longtext.command()
@click.option("--method", "methods", multiple=True, help=_METHOD.say())
@click.option(
    "--length",
    "lengths",
    type=int,
    multiple=True,
    help=T("tokens; default: half, 1.25 and 2 times the context", "token 数；默认为上下文的 0.5、1.25、2 倍").say(),
)
@click.option("--depth", "depths", type=float, multiple=True, help=T("0 to 1", "0 到 1").say())
@click.option("--seed", type=int)
@click.option("--piece", "most", type=int, help=_MOST.say())
@click.option("--model", help=_MODEL.say())
@json_option
@pass_context_obj
def needle(
    context: Context, methods: tuple[str, ...], lengths: tuple[int, ...], depths: tuple[float, ...], as_json: bool, **wish: Any
) -> None:  # fmt: skip
    """Hide a sentence in a text made on the spot and look for it, by length and depth.
    在现场生成的文本里藏一句话再去找，按长度和深度。"""
    from zhilu.messages import current_lang

    given: dict[str, Any] = {"depths": list(depths)} if depths else {}
    run = _done(context, "", as_json, want="needle", methods=list(methods or ["retrieval"]), lengths=list(lengths),
                lang=current_lang(), **given, **wish)  # fmt: skip
    if as_json:
        echo_json(run.model_dump())
        return
    _heat(run)


@longtext.command(name="list")
@json_option
@pass_context_obj
def list_(context: Context, as_json: bool) -> None:
    """What was asked before.
    以前的运行。"""
    from zhilu.longtext.runs import LongtextRuns

    found = LongtextRuns(context).list()
    if as_json:
        echo_json([run.model_dump() for run in found])
        return
    columns = (
        T("run", "运行"),
        T("what", "内容"),
        T("text", "文本"),
        T("question", "问题"),
        T("model", "模型"),
        T("done", "完成"),
    )
    table(columns, [(r.id, r.wish.want, r.wish.name, r.wish.question, r.model, "✓" if r.done else "") for r in found])


def _done(context: Context, text: str, as_json: bool, **wish: Any) -> LongtextRun:
    from pydantic import ValidationError

    from zhilu.errors import InputError
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.jobs.store import JobStore
    from zhilu.longtext.job import start
    from zhilu.longtext.runs import LongtextRuns, LongtextWish

    try:
        wanted = LongtextWish.model_validate({key: list(v) if isinstance(v, tuple) else v for key, v in wish.items()})
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InputError(
            T(f"This cannot be asked: {said}", f"无法这样提问：{said}"), fix="zhilu longtext --help"
        ) from error
    begun = start(context, wanted, text)
    raise_unless_done(follow(JobStore(context), begun.job.id, quiet=as_json))
    return LongtextRuns(context).get(begun.run.id)


def _answer(context: Context, file: Path, as_json: bool, **wish: Any) -> None:
    from zhilu.longtext.runs import read_text

    run = _done(context, read_text(file), as_json, name=file.name, **wish)
    if as_json:
        echo_json(run.model_dump())
        return
    click.echo(
        T(
            f"{run.wish.name}: about {run.tokens:,} tokens; {run.model} reads {run.context:,} at once.\n",
            f"{run.wish.name}：约 {run.tokens:,} 个 token；{run.model} 一次能读 {run.context:,} 个。\n",
        ).say()
    )
    columns = (
        T("method", "方法"), T("", ""), T("answer", "回答"), T("where", "位置"), T("calls", "调用"), T("tokens in", "输入 token"),
        T("tokens out", "输出 token"), T("read", "读了"),
    )  # fmt: skip
    sign = {True: "✓", False: "✗", None: ""}
    none = T("(not found)", "（没有找到）").say()
    table(
        columns,
        [(m.method, sign[m.right], m.answer or none, f"{m.place.start}-{m.place.end}" if m.place else "", m.calls,
          m.prompt_tokens, m.completion_tokens, f"{m.read:.0%}") for m in run.result.methods],
    )  # fmt: skip
    for method in run.result.methods:
        if method.cut:
            _warn_cut(method.cut)
            break


def _heat(run: LongtextRun) -> None:
    cells = run.result.cells
    for name in dict.fromkeys(cell.method for cell in cells):
        mine = [cell for cell in cells if cell.method == name]
        click.secho(name, bold=True)
        depths = sorted({cell.depth for cell in mine})
        lengths = list(dict.fromkeys(cell.length for cell in mine))
        by = {(cell.length, cell.depth): cell for cell in mine}
        columns = (T("tokens", "token"), *(T(f"{d:.0%}", f"{d:.0%}") for d in depths))
        table(
            columns,
            [(n, *("■" if (c := by.get((n, d))) and c.found else "·" if c else "" for d in depths)) for n in lengths],
        )
    found = sum(cell.found for cell in cells)
    click.echo(T(f"■ found: {found} of {len(cells)}", f"■ 找到：{found} / {len(cells)}").say())
    _cost(sum(c.calls for c in cells), sum(c.prompt_tokens for c in cells), 0, sum(c.cut for c in cells))


def _cost(calls: int, tokens_in: int, tokens_out: int, cut: int) -> None:
    out = f" + {tokens_out}" if tokens_out else ""
    click.echo(T(f"{calls} calls, {tokens_in}{out} tokens", f"{calls} 次调用，{tokens_in}{out} 个 token").say())
    if cut:
        _warn_cut(cut)


def _warn_cut(cut: int) -> None:
    said = T(
        f"{cut} prompts were cut in silence: the server read far fewer tokens than it was sent. Give it a larger context, or --piece.",
        f"有 {cut} 个提示词被悄悄截断：服务器读到的 token 远少于发出的。请加大它的上下文，或用 --piece。",
    )
    click.secho(said.say(), fg="red")
