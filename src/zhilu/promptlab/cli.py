"""``zhilu prompt``: versions of a prompt, the sets that score them, runs and comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.jobs import Job
    from zhilu.promptlab.compare import PromptComparison
    from zhilu.promptlab.runs import PromptRun

__all__ = ["prompt"]

_SET = T("scored set (default: the one with the prompt's name)", "评分集（默认与提示词同名）")
_MODEL = T("model that is asked (default: the one that runs)", "被提问的模型（默认当前模型）")
_JUDGE = T("model that judges where the set asks for one", "评分集需要裁判时使用的模型")
_AGAIN = T("ask again what was asked before", "重新提问已经问过的内容")


@click.group()
def prompt() -> None:
    """Versions of a prompt, measured on questions with known answers.
    提示词的各个版本，用有标准答案的题目来衡量。"""


@prompt.command(name="list")
@json_option
@pass_context_obj
def list_(context: Context, as_json: bool) -> None:
    """The prompts there are.
    列出提示词。"""
    from zhilu.promptlab.library import Templates

    found = Templates(context).list()
    if as_json:
        echo_json([one.model_dump() for one in found])
        return
    shipped = T("came with Zhilu", "随程序附带").say()
    columns = (T("prompt", "提示词"), T("versions", "版本数"), T("newest", "最新"), T("note", "说明"), T("", ""))
    table(columns, [(t.name, t.versions, t.newest, t.note, shipped if t.shipped else "") for t in found])


@prompt.command()
@click.argument("name")
@click.option(
    "--user",
    help=T("the question, with {{variables}} in it; @FILE reads a file", "问题，可含 {{变量}}；@FILE 从文件读取").say(),
)
@click.option("--system", help=T("the system prompt; @FILE reads a file", "系统提示；@FILE 从文件读取").say())
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=T("a whole version as TOML", "整个版本的 TOML 文件").say(),
)
@click.option("--max-tokens", type=int)
@click.option("--temperature", type=float)
@click.option("--note", help=T("what you want to try", "这个版本想尝试什么").say())
@json_option
@pass_context_obj
def new(
    context: Context, name: str, user: str | None, system: str | None, file: Path | None, max_tokens: int | None,
    temperature: float | None, note: str | None, as_json: bool,
) -> None:  # fmt: skip
    """A new version of NAME: what is not given stays as in the newest one.
    NAME 的新版本：没有给出的部分与最新版本相同。"""
    from zhilu.promptlab.drafts import draft

    given = {
        "user": _text(user), "system": _text(system), "max_tokens": max_tokens, "temperature": temperature, "note": note,
    }  # fmt: skip
    saved = draft(context, name, {key: value for key, value in given.items() if value is not None}, file)
    if as_json:
        echo_json(saved.model_dump())
        return
    said = T(
        f"{saved.name} version {saved.number}. Next: zhilu prompt run {saved.name}",
        f"{saved.name} 版本 {saved.number}。下一步：zhilu prompt run {saved.name}",
    )
    click.secho(said.say(), fg="green")


@prompt.command()
@click.argument("name")
@click.argument("version", type=int, required=False)
@json_option
@pass_context_obj
def show(context: Context, name: str, version: int | None, as_json: bool) -> None:
    """One version whole; without a number the newest.
    显示一个版本的全部内容；不给版本号时为最新版本。"""
    from zhilu.promptlab.library import Templates

    found = Templates(context).get(name, version)
    if as_json:
        echo_json(found.model_dump())
        return
    told = found.template
    click.secho(f"{found.name} · {found.number}", bold=True)
    if told.note:
        click.echo(told.note)
    parts = [("system", told.system)] if told.system else []
    for example in told.examples:
        parts += [
            (T("example", "例子").say(), ", ".join(f"{k}: {v}" for k, v in example.vars.items())),
            ("→", example.answer),
        ]
    for title, text in [*parts, ("user", told.user)]:
        click.secho(f"\n[{title}]", fg="cyan")
        click.echo(text)
    numbers = ", ".join(str(one.number) for one in Templates(context).versions(name))
    said = T(
        f"\nvariables: {', '.join(found.variables) or '–'}; versions: {numbers}",
        f"\n变量：{'、'.join(found.variables) or '–'}；版本：{numbers}",
    )
    click.echo(said.say())


@prompt.command()
@click.argument("name", required=False)
@click.option(
    "--add",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=T("keep a JSONL or CSV file as NAME", "把 JSONL 或 CSV 文件保存为 NAME").say(),
)
@click.option("--remove", is_flag=True, help=T("remove NAME", "删除 NAME").say())
@json_option
@pass_context_obj
def sets(context: Context, name: str | None, file: Path | None, remove: bool, as_json: bool) -> None:
    """The scored sets there are; with NAME its questions.
    列出评分集；给出 NAME 时列出其中的题目。"""
    from zhilu.promptlab.sets import Sets, parse_items

    kept = Sets(context)
    if file is not None:
        kept.save(name or file.stem, parse_items(file.read_text(encoding="utf-8-sig"), file.name))
        name = name or file.stem
    if remove:
        if name is None:
            raise InputError(
                T("Which set is to be removed?", "要删除哪个评分集？"), param="name", fix="zhilu prompt sets"
            )
        kept.delete(name)
        name = None
    if name is None:
        found = kept.list()
        if as_json:
            echo_json([one.model_dump() for one in found])
            return
        columns = (T("set", "评分集"), T("questions", "题数"), T("variables", "变量"), T("graders", "评分方式"))
        table(columns, [(s.name, s.items, ", ".join(s.variables), ", ".join(s.graders)) for s in found])
        return
    one = kept.get(name)
    if as_json:
        echo_json(one.model_dump())
        return
    columns = (T("id", "编号"), T("question", "题目"), T("expected", "期望"), T("grader", "评分方式"))
    table(columns, [(i.id, " | ".join(i.vars.values()), i.expected, i.grader) for i in one.questions])


@prompt.command()
@click.argument("name")
@click.option(
    "--version", "versions", type=int, multiple=True, help=T("may be given several times", "可多次给出").say()
)
@click.option("--set", "set_name", help=_SET.say())
@click.option("--model", help=_MODEL.say())
@click.option("--judge", help=_JUDGE.say())
@click.option("--again", is_flag=True, help=_AGAIN.say())
@json_option
@pass_context_obj
def run(
    context: Context, name: str, versions: tuple[int, ...], set_name: str | None, model: str | None, judge: str | None,
    again: bool, as_json: bool,
) -> None:  # fmt: skip
    """Ask every question of a set with one or more versions, as a job.
    用一个或多个版本回答评分集的每一题（作为任务运行）。"""
    from zhilu.promptlab.job import start_run
    from zhilu.promptlab.runs import Runs

    job = start_run(context, name, versions, set_name or name, model=model, judge=judge, again=again)
    ids = _followed(context, job, as_json)
    runs = Runs(context)
    if as_json:
        echo_json([{"run": runs.get(i).model_dump(), "rows": [r.model_dump() for r in runs.rows(i)]} for i in ids])
        return
    for run_id in ids:
        _say_wrong(runs, run_id)
    _history([runs.get(run_id) for run_id in ids])


@prompt.command()
@click.argument("name")
@click.argument("a", type=int)
@click.argument("b", type=int)
@click.option("--set", "set_name", help=_SET.say())
@click.option("--model", help=_MODEL.say())
@click.option("--judge", help=_JUDGE.say())
@click.option("--again", is_flag=True, help=_AGAIN.say())
@json_option
@pass_context_obj
def compare(
    context: Context, name: str, a: int, b: int, set_name: str | None, model: str | None, judge: str | None, again: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Versions A and B of NAME on the same questions: lead, interval, significance.
    同一批题目上 NAME 的版本 A 与 B：领先多少、区间、显著性。"""
    from zhilu.promptlab.compare import compare_runs
    from zhilu.promptlab.job import start_run

    job = start_run(context, name, [a, b], set_name or name, model=model, judge=judge, again=again)
    ids = _followed(context, job, as_json)
    found = compare_runs(context, ids[0], ids[-1])
    if as_json:
        echo_json(found.model_dump())
        return
    _say_comparison(found)


@prompt.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--prompt", "name", help=T("of one prompt only", "只看某个提示词").say())
@click.option(
    "--mark", nargs=2, metavar="ITEM right|wrong", help=T("mark an answer yourself", "自己给一个回答打分").say()
)
@json_option
@pass_context_obj
def history(
    context: Context, run_id: str | None, name: str | None, mark: tuple[str, str] | None, as_json: bool
) -> None:
    """The runs there were; with RUN its answers.
    列出运行历史；给出 RUN 时列出其中的回答。"""
    from zhilu.promptlab.runs import Runs

    runs = Runs(context)
    if run_id is None:
        found = runs.list(name)
        if as_json:
            echo_json([one.model_dump() for one in found])
        else:
            _history(found)
        return
    if mark is not None:
        if mark[1] not in ("right", "wrong"):
            raise InputError(
                T(f"A mark is right or wrong, not {mark[1]!r}.", f"评分只能是 right 或 wrong，而不是 {mark[1]!r}。"),
                param="mark",
            )
        runs.mark(run_id, mark[0], mark[1] == "right")
    rows = runs.rows(run_id)
    if as_json:
        echo_json({"run": runs.get(run_id).model_dump(), "rows": [row.model_dump() for row in rows]})
        return
    columns = (T("id", "编号"), T("", ""), T("answer", "回答"), T("expected", "期望"))
    table(columns, [(r.id, _sign(r.right), r.answer.strip(), r.expected) for r in rows])
    _history([runs.get(run_id)])


@prompt.command()
@click.argument("name")
@click.argument("version", type=int, required=False)
@click.option("--language", type=click.Choice(["python", "javascript", "curl"]), default="python", show_default=True)
@click.option("--base-url", default="http://127.0.0.1:8642/v1", show_default=True)
@click.option("--model", help=_MODEL.say())
@pass_context_obj
def export(context: Context, name: str, version: int | None, language: str, base_url: str, model: str | None) -> None:
    """A version as a program.
    把一个版本导出成程序。"""
    from zhilu.models.chosen import named_model
    from zhilu.promptlab.export import LANGUAGES
    from zhilu.promptlab.export import export as written
    from zhilu.promptlab.library import Templates

    chosen = next(one for one in LANGUAGES if one == language)
    found = Templates(context).get(name, version)
    click.echo(written(found.template, named_model(context, model), base_url, chosen), nl=False)


def _text(given: str | None) -> str | None:
    """``@FILE`` is the file's text."""
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            T(f"{given[1:]!r} cannot be read: {error}", f"无法读取 {given[1:]!r}：{error}"), param="file"
        ) from error


def _followed(context: Context, job: Job, as_json: bool) -> list[str]:
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.jobs.store import JobStore

    done = raise_unless_done(follow(JobStore(context), job.id, quiet=as_json))
    return list((done.result or {}).get("runs", []))


def _say_wrong(runs: object, run_id: str) -> None:
    from zhilu.promptlab.runs import Runs

    assert isinstance(runs, Runs)
    wrong = [row for row in runs.rows(run_id) if not row.right]
    columns = (T("id", "编号"), T("", ""), T("question", "题目"), T("answer", "回答"), T("expected", "期望"))
    none = T("All right.", "全部正确。")
    table(
        columns,
        [(r.id, _sign(r.right), " | ".join(r.vars.values()), r.answer.strip(), r.expected) for r in wrong],
        empty=none,
    )


def _history(found: list[PromptRun]) -> None:
    columns = (
        T("run", "运行"), T("prompt", "提示词"), T("version", "版本"), T("set", "评分集"), T("model", "模型"),
        T("right", "正确"), T("tokens in", "输入 token"), T("tokens out", "输出 token"), T("agrees with you", "与你一致"),
    )  # fmt: skip
    rows = []
    for r in found:
        s = r.score
        agrees = f"{s.agreement.agreed}/{s.agreement.marked}" if s.agreement else ""
        right = f"{s.right}/{s.done}" + ("" if r.whole else f" ({s.all})")
        rows.append(
            (r.id, r.template, r.version, r.set_name, r.model, right, s.prompt_tokens, s.completion_tokens, agrees)
        )
    table(columns, rows, empty=T("No run yet: zhilu prompt run support-en", "还没有运行：zhilu prompt run support-zh"))


def _say_comparison(found: PromptComparison) -> None:
    a, b = found.a, found.b
    apart = [pair for pair in found.pairs if pair.a.right != pair.b.right]
    columns = (
        T("id", "编号"),
        T("question", "题目"),
        T(f"version {a.version}", f"版本 {a.version}"),
        T(f"version {b.version}", f"版本 {b.version}"),
    )
    table(
        columns,
        [(p.id, " | ".join(p.vars.values()), f"{_sign(p.a.right)} {p.a.answer.strip()}", f"{_sign(p.b.right)} {p.b.answer.strip()}")
         for p in apart],
        empty=T("They differ in no question.", "两个版本在每一题上的对错都相同。"),
    )  # fmt: skip
    for run in (a, b):
        s = run.score
        line = T(
            f"version {run.version}: {s.right} of {s.all} right, {s.prompt_tokens} + {s.completion_tokens} tokens",
            f"版本 {run.version}：{s.all} 题答对 {s.right} 题，{s.prompt_tokens} + {s.completion_tokens} 个 token",
        )
        click.echo(line.say())
    click.secho(verdict_text(found).say(), fg="green" if found.verdict.endswith("better") else "yellow")


def verdict_text(found: PromptComparison) -> T:
    """The outcome in a sentence, with how it was tested."""
    better = found.b if found.only_b >= found.only_a else found.a
    lead, low, high = (100 * value for value in (found.lead, found.low, found.high))
    tests = T(
        f"Lead of {found.b.version} over {found.a.version}: {lead:+.1f} points (paired bootstrap, 95 %: {low:+.1f} to {high:+.1f}); "
        f"McNemar exact: {found.only_a} against {found.only_b} questions, p = {found.p:.4g}. ",
        f"版本 {found.b.version} 比 {found.a.version} 领先 {lead:+.1f} 个百分点（配对自助法，95% 区间 {low:+.1f} 到 {high:+.1f}）；"
        f"McNemar 精确检验：{found.only_a} 题对 {found.only_b} 题，p = {found.p:.4g}。",
    )
    if found.verdict == "equal":
        said = T("Neither is better.", "分不出高下。")
    elif found.verdict.endswith("better"):
        said = T(
            f"Version {better.version} is better; chance seldom does that.",
            f"版本 {better.version} 更好，很难说是偶然。",
        )
    else:
        said = T(
            f"Version {better.version} is ahead, which may be chance: more questions would tell.",
            f"版本 {better.version} 领先，但可能是偶然：多加些题目才能看清。",
        )
    return T(tests.en + said.en, tests.zh + said.zh)


def _sign(right: bool | None) -> str:
    return {True: "✓", False: "✗", None: "?"}[right]
