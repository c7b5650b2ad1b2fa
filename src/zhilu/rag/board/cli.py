"""``zhilu kb questions``, ``kb eval`` and ``kb runs``: the scoreboard on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.rag.board.measure import BoardRow, Difference
    from zhilu.rag.board.runs import BoardRun

__all__ = ["evaluate", "questions", "runs"]

_LABEL = {
    "right": T("right", "正确"),
    "not_in_index": T("not in the index", "不在索引中"),
    "ranked_low": T("found but ranked low", "排名靠后，没有交给模型"),
    "refused": T("refused though at hand", "段落在手却拒答"),
    "not_used": T("in the prompt but not used", "在提示中但没有用上"),
    "wrong": T("answered wrongly", "答错"),
    "invented": T("answered what is not there", "文档中没有却作答"),
    "not_asked": T("not asked", "未提问"),
}
_FIGURE = {
    "hit@1": T("hit@1", "hit@1"), "hit@3": T("hit@3", "hit@3"), "hit@5": T("hit@5", "hit@5"), "hit@10": T("hit@10", "hit@10"),
    "mrr@10": T("MRR@10", "MRR@10"), "ndcg@10": T("nDCG@10", "nDCG@10"),
    "right": T("answered rightly", "回答正确"), "answer_f1": T("answer F1", "答案 F1"),
    "citation_precision": T("citation precision", "引用精确率"), "citation_recall": T("citation recall", "引用召回率"),
    "refused_answerable": T("answerable questions refused", "可答问题被拒"),
    "refused_unanswerable": T("unanswerable questions refused", "不可答问题被拒"),
    "seconds": T("seconds a question", "每题秒数"),
}  # fmt: skip


@click.command("questions")
@click.argument("name", metavar="KB")
@click.option("--set", "set_name", default="main", show_default=True, help="which question set 问题集")
@click.option("--make", "count", type=click.IntRange(1, 500), help="have the model propose so many 让模型出这么多题")
@click.option("--model", help="that proposes; by default the setting's 出题的模型，默认用设置中的")
@click.option(
    "--import", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSONL file JSONL 文件"
)
@click.option("--export", "out", type=click.Path(dir_okay=False, path_type=Path), help="write JSONL 导出为 JSONL")
@click.option("--accept", multiple=True, metavar="ID|all", help="proposed questions 接受建议的问题")
@click.option("--delete", multiple=True, metavar="ID", help="remove questions 删除问题")
@json_option
@pass_context_obj
def questions(
    context: Context, name: str, set_name: str, count: int | None, model: str | None, file: Path | None, out: Path | None,
    accept: tuple[str, ...], delete: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Questions to measure with: list, make, review, import, export. 评测用的问题：列出、生成、审阅、导入、导出。"""
    from zhilu.home import atomic_write
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done, say_fewer
    from zhilu.rag.board.job import start_questions
    from zhilu.rag.board.questions import QuestionSets
    from zhilu.rag.evaluate import read_questions
    from zhilu.rag.library import Library

    found = Library(context).open(name)
    sets = QuestionSets(found)
    if file is not None:
        sets.take(read_questions(file), set_name)
    if count is not None:
        job = start_questions(context, found, count, set_name, model)
        done = follow(JobStore(context), job.id, quiet=as_json)
        if not done.ended:
            return
        say_fewer(raise_unless_done(done), count)
    for question_id in delete:
        sets.delete(question_id)
    if accept:
        for question_id in () if "all" in accept else accept:
            sets.get(question_id)
        # All of this set: what is accepted to train with must not be measured with unread, nor the other way about.
        sets.accept((), set_name) if "all" in accept else sets.accept(accept)
    if out is not None:
        atomic_write(out, sets.export(set_name))
    there = sets.list(set_name)
    if as_json:
        echo_json({"questions": [q.model_dump() for q in there]})
        return
    status = {"accepted": T("accepted", "已接受"), "proposed": T("proposed", "待审阅")}
    rows = [
        (
            q.id,
            status[q.status].say(),
            q.question,
            " | ".join(q.answers) or T("(not in the documents)", "（文档中没有）").say(),
        )
        for q in there
    ]
    columns = (T("id", "编号"), T("status", "状态"), T("question", "问题"), T("answer", "答案"))
    table(
        columns,
        rows,
        empty=T(
            f"No questions yet: zhilu kb questions {name} --make 20", f"还没有问题：zhilu kb questions {name} --make 20"
        ),
    )
    if any(q.status == "proposed" for q in there):
        of = "" if set_name == "main" else f" --set {set_name}"
        said = T(
            f"Read them, then: zhilu kb questions {name}{of} --accept all (or --delete ID)",
            f"请先看一遍，然后：zhilu kb questions {name}{of} --accept all（或 --delete 编号）",
        )
        click.echo(said.say(), err=True)


@click.command("eval")
@click.argument("name", metavar="KB")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--set", "set_name", default="main", show_default=True, help="which question set 问题集")
@click.option("--config", multiple=True, metavar="FILE.toml|KEY=VALUE", help="what to vary 要改变的配置")
@click.option(
    "--against",
    multiple=True,
    metavar="FILE.toml|KEY=VALUE",
    help="a second configuration, side by side 对比的另一种配置",
)
@click.option("--retrieval-only", is_flag=True, help="no model: hit@k, MRR, nDCG 不用模型，只评检索")
@click.option("--model", help="by default the setting's 默认用设置中的模型")
@click.option("--no-wait", is_flag=True, help="return at once; the job goes on 立即返回，任务在后台继续")
@json_option
@pass_context_obj
def evaluate(
    context: Context, name: str, file: Path | None, set_name: str, config: tuple[str, ...], against: tuple[str, ...],
    retrieval_only: bool, model: str | None, no_wait: bool, as_json: bool,
) -> None:  # fmt: skip
    """Measure on questions whose answers are known, one way or two side by side. 用已知答案的问题评测，可对比两种配置。

    FILE (JSON lines: question, answer, doc) becomes the question set of its name. 文件（JSONL）会成为同名的问题集。
    --config: chunk_tokens, overlap_tokens, embedder, store, meaning, rerank, draft, passages, model, answers.
    """
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.rag.board.job import start_evaluation
    from zhilu.rag.board.measure import compare
    from zhilu.rag.board.questions import QuestionSets
    from zhilu.rag.board.runs import Runs
    from zhilu.rag.board.setup import read_setup
    from zhilu.rag.evaluate import read_questions
    from zhilu.rag.library import Library

    found = Library(context).open(name)
    if file is not None:
        set_name = file.stem
        QuestionSets(found).take(read_questions(file), set_name)
    both = [f"retrieval_only={str(retrieval_only).lower()}"] + ([f"model={model}"] if model else [])
    setups = [read_setup([*both, *config])] + ([read_setup([*both, *against])] if against else [])
    job = start_evaluation(context, found, setups, set_name)
    if no_wait:
        echo_json({"job": job.id}) if as_json else click.echo(f"zhilu jobs show {job.id}")
        return
    done = raise_unless_done(follow(JobStore(context), job.id, quiet=as_json))
    runs_ = Runs(found)
    ids = (done.result or {})["runs"]
    made, rows = [runs_.get(i) for i in ids], [runs_.rows(i) for i in ids]
    differences = compare(rows[0], rows[1]) if len(rows) > 1 else []
    if as_json:
        shown = [
            {**r.model_dump(), "rows": [x.model_dump() for x in these]} for r, these in zip(made, rows, strict=True)
        ]
        differ = [d.model_dump() for d in differences]
        echo_json({**_first_figures(made[0], rows[0], retrieval_only), "runs": shown, "differences": differ})
        return
    _print_runs(made, rows, differences)


def _first_figures(run: Any, rows: Any, retrieval_only: bool) -> dict[str, Any]:
    """The first run's figures under the names that this verb has always given them."""
    from zhilu.rag.evaluate import answer_scores

    names = ("hit@1", "hit@3", "hit@5", "mrr@10", "ndcg@10")
    report = {
        "questions": run.num_questions,
        "retrieval": {name: run.summary["figures"][name] for name in names if name in run.summary["figures"]},
    }
    if not retrieval_only:
        plain = [{**row.model_dump(), "cited_right": bool(row.citation_recall)} for row in rows]
        report["answers"] = answer_scores(plain)
    return report


@click.command("runs")
@click.argument("name", metavar="KB")
@click.argument("run_id", metavar="[RUN]", required=False)
@json_option
@pass_context_obj
def runs(context: Context, name: str, run_id: str | None, as_json: bool) -> None:
    """The history of evaluations; of one, the questions that failed. 历次评测；指定一次时列出没答对的问题。"""
    from zhilu.rag.board.runs import Runs
    from zhilu.rag.board.setup import Setup
    from zhilu.rag.library import Library

    kept = Runs(Library(context).open(name))
    if run_id is not None:
        run, rows = kept.get(run_id), kept.rows(run_id)
        if as_json:
            echo_json({**run.model_dump(), "rows": [r.model_dump() for r in rows]})
        else:
            _print_runs([run], [rows], [])
        return
    history = kept.list()
    if as_json:
        echo_json([r.model_dump() for r in history])
        return
    columns = (
        T("id", "编号"), T("time", "时间"), T("questions", "问题"), T("configuration", "配置"), T("MRR@10", "MRR@10"),
        T("right", "正确"),
    )  # fmt: skip
    lines = []
    for run in history:
        figures = (run.summary or {}).get("figures", {})
        done = f"{run.num_done}/{run.num_questions}" if run.summary is None else run.num_questions
        label = Setup.model_validate(run.setup).label().say()
        lines.append(
            (run.id, run.created_at[:16], done, label, _shown(figures.get("mrr@10")), _shown(figures.get("right")))
        )
    table(columns, lines, empty=T(f"Nothing measured yet: zhilu kb eval {name}", f"还没有评测：zhilu kb eval {name}"))


def _print_runs(made: list[BoardRun], rows: list[list[BoardRow]], differences: list[Difference]) -> None:
    from zhilu.rag.board.setup import Setup

    labels = [Setup.model_validate(r.setup).label().say() for r in made]
    for letter, run, label in zip("AB", made, labels, strict=False):
        click.echo(f"{letter if len(made) > 1 else ''} {label}  ({run.id}, {run.resolved.get('model') or '-'})".strip())
    if made[0].summary and not made[0].reviewed:
        said = T(
            "Nobody has accepted these questions yet: they are the model's proposals.",
            "这些问题还没有人审阅，只是模型的建议。",
        )
        click.secho(said.say(), fg="yellow", err=True)
    by_figure = {d.figure: d for d in differences}
    columns = [T("figure", "指标"), *(T(c, c) for c in ("A", "B")[: len(made)] if len(made) > 1)]
    columns += [T("B - A (95 %)", "B - A（95%）")] if differences else [] if len(made) > 1 else [T("value", "数值")]
    lines: list[tuple[Any, ...]] = []
    for key, said in _FIGURE.items():
        values = [(r.summary or {}).get("figures", {}).get(key) for r in made]
        if all(v is None for v in values):
            continue
        d = by_figure.get(key)
        apart = (f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]" if d else "",) if differences else ()
        lines.append((said.say(), *(_shown(v) for v in values), *apart))
    table(tuple(columns), lines)
    for these in rows[-1:]:
        for row in these:
            if row.label not in ("right", "not_asked"):
                click.secho(f"{_LABEL[row.label].say()}: {row.question}", bold=True)
                known = " | ".join(row.known) or "-"
                click.echo(f"    {T('known', '答案').say()}: {known}   {T('said', '回答').say()}: {row.answer or '-'}")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
