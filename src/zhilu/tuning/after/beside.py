"""Runs beside each other: a table of what they were made of and what came of them, and their held-out curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zhilu.messages import T
from zhilu.tuning.runs import Outcome, RunFolder, RunInfo

__all__ = ["beside", "curves_of", "not_comparable"]

_MADE_OF = ("rank", "learning_rate", "batch_tokens", "max_len", "steps")
_TENTHS = 10


def beside(runs: Sequence[RunInfo]) -> list[tuple[T, list[str]]]:
    """Rows of a table: a title, then one text a run; "-" where a run has none."""
    rows: list[tuple[T, list[str]]] = [
        (T("base", "基座"), [run.config.model for run in runs]),
        (T("data", "数据"), [run.config.data for run in runs]),
        (T("objective", "目标"), [run.config.objective or "-" for run in runs]),
        (T("method", "方法"), [run.config.method for run in runs]),
        (T("launch", "启动方式"), [f"{run.config.launch} x {run.config.num_processes}" for run in runs]),
    ]
    rows += [(T(key, key), [f"{run.chosen[key]:g}" if key in run.chosen else "-" for run in runs]) for key in _MADE_OF]

    def told(title: T, say: Callable[[Outcome], str | None]) -> None:
        rows.append((title, [(run.outcome and say(run.outcome)) or "-" for run in runs]))

    told(T("held-out loss", "留出损失"), lambda out: f"{out.held_out_before:.3f} → {out.held_out_after:.3f}")
    measures = dict.fromkeys(key for run in runs if run.outcome for key in run.outcome.measures)
    for key in measures:
        told(T(key, key), lambda out, key=key: _pair(out.measures.get(key)))  # type: ignore[misc]
    told(T("best step", "最佳步"), lambda out: f"{out.best_step} / {out.steps}")
    told(T("tokens a second", "每秒 token"), lambda out: f"{out.tokens_per_second:,.0f}")
    told(T("memory, MB", "内存 MB"), lambda out: f"{out.peak_mb:,}")
    return rows


def not_comparable(runs: Sequence[RunInfo]) -> T | None:
    """Why the held-out figures of these runs must not be held against each other; None: they may be."""
    if len({run.config.objective or "sft" for run in runs}) > 1:
        return T("These runs learn different things, and their held-out figures are other quantities: compare each with its own beginning.",
                 "这些训练的目标不同，留出指标不是同一个量：请各自与自己的起点比较。")  # fmt: skip
    if len({(run.config.held_out or run.config.data, run.config.model) for run in runs}) > 1:
        return T("These runs are measured on other rows or bases: compare each with its own beginning.",
                 "这些训练的留出数据或基座不同：请各自与自己的起点比较。")  # fmt: skip
    return None


def curves_of(run: RunFolder) -> list[tuple[float, float]]:
    """The held-out figure by the share of the run that was done, to the tenth: ``(share, figure)``."""
    seen = [(values["step"], values["held_out"]) for values in run.measured() if "held_out" in values]
    last = max((step for step, _ in seen), default=1) or 1
    return list({round(step / last * _TENTHS) / _TENTHS: figure for step, figure in seen}.items())


def _pair(values: tuple[float, float] | None) -> str | None:
    return None if values is None else f"{values[0]:.3f} → {values[1]:.3f}"
