"""The gates of stage 3 that run today: 3.1, a person's own training data."""

from __future__ import annotations

from zhilu.context import Context
from zhilu.gate import Artefact, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.tuning.data.checking import check_dataset
from zhilu.tuning.data.library import DatasetLibrary

__all__ = ["GATES"]

_LEAST = 20  # rows; fewer say nothing about a behaviour


def check_training_data(context: Context) -> Verdict:
    """3.1: the newest dataset, rendered for the model that runs: no error, and enough rows."""
    library = DatasetLibrary(context)
    datasets = library.list()
    if not datasets:
        why = T("There is no training data yet.", "还没有训练数据。")
        return Verdict.not_yet(why, fix="zhilu data add FILE")
    name, model = datasets[0].name, default_model(context).name
    report = check_dataset(context, name, model=model)
    figures = [
        Figure(T("dataset", "数据集"), name),
        Figure(T("format", "格式"), report.format or "-"),
        Figure(T("rows", "行数"), report.rows),
        Figure(T("rows that can be learned", "可学习的行"), report.usable),
        Figure(T(f"tokens for {model}", f"{model} 的 token 数"), report.tokens.total if report.tokens else 0),
        Figure(T("tokens that carry loss", "计入损失的 token"), report.learned.total if report.learned else 0),
        Figure(T("longest row", "最长的一行"), report.tokens.most if report.tokens else 0, "tokens"),
        Figure(T("warnings", "警告"), sum(f.count for f in report.findings if f.severity == "warning")),
    ]
    artefacts = [Artefact.of(library.path_of(name), name)]
    worst = next((finding for finding in report.findings if finding.severity == "error"), None)
    if worst is not None:
        lines = ", ".join(map(str, worst.lines[:5]))
        why = T(
            f"{name}: {worst.title.en} in {worst.count} rows (line {lines}): {worst.message.en}",
            f"{name}：{worst.title.zh}，共 {worst.count} 行（第 {lines} 行）：{worst.message.zh}",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu data check {name}", artefacts=artefacts)
    if report.usable < _LEAST:
        why = T(
            f"{name} has {report.usable} rows; a behaviour is learned from {_LEAST} and more.",
            f"{name} 只有 {report.usable} 行；要学会一种行为至少需要 {_LEAST} 行。",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu data remove {name}", artefacts=artefacts)
    why = T(
        f"{name}: every row can be rendered for {model}, carries loss, ends, and fits the context.",
        f"{name}：每一行都能按 {model} 渲染、计入损失、学到结束、装得进上下文，且没有错误。",
    )
    return Verdict.passed(why, *figures, artefacts=artefacts)


GATES = [Gate("3.1", T("your own training data", "自己的训练数据"), check_training_data)]
