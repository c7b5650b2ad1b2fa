"""Two runs on the same questions, side by side: which is better, by how much, and whether that is more than chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from zhilu.errors import ConflictError
from zhilu.measure.paired import bootstrap, mcnemar
from zhilu.messages import T
from zhilu.promptlab.runs import GradedAnswer, PromptRun, Runs

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["LEVEL", "AnswerPair", "PromptComparison", "compare_runs"]

LEVEL = 0.05  # a lead that chance gives less often than this is called significant
_RESAMPLES = 10_000


class AnswerPair(BaseModel):
    """One question and both answers."""

    id: str
    vars: dict[str, str]
    expected: object
    a: GradedAnswer
    b: GradedAnswer


class PromptComparison(BaseModel):
    """``lead``: b's share of right answers less a's; ``low`` and ``high`` hold it in 95 of 100 resamples (paired bootstrap).

    ``p``: McNemar's exact test, two-sided, on the questions that one of them alone had right (``only_a``, ``only_b``).
    """

    a: PromptRun
    b: PromptRun
    questions: int
    both: int
    neither: int
    only_a: int
    only_b: int
    lead: float
    low: float
    high: float
    p: float
    verdict: Literal["b_better", "a_better", "b_ahead", "a_ahead", "equal"]
    pairs: list[AnswerPair]


def compare_runs(context: Context, a: str, b: str) -> PromptComparison:
    """Work it all out from the stored answers. ``…_better``: significant; ``…_ahead``: may be chance.

    Raises:
        NotFoundError: no such run.
        ConflictError: they did not ask the same questions of the same model, or one is not through.
    """
    runs = Runs(context)
    one, two = runs.get(a), runs.get(b)
    _check_alike(one, two)
    theirs = {row.id: row for row in runs.rows(b)}
    pairs = [
        AnswerPair(id=row.id, vars=row.vars, expected=row.expected, a=row, b=theirs[row.id])
        for row in runs.rows(a)
        if row.right is not None and theirs[row.id].right is not None  # a judge that said neither decides nothing
    ]
    only_a = sum(bool(pair.a.right) and not pair.b.right for pair in pairs)
    only_b = sum(bool(pair.b.right) and not pair.a.right for pair in pairs)
    both = sum(bool(pair.a.right) and bool(pair.b.right) for pair in pairs)
    lead = bootstrap([float(bool(p.b.right)) - float(bool(p.a.right)) for p in pairs], resamples=_RESAMPLES)
    p = mcnemar(only_a, only_b)
    clear: Literal["better", "ahead"] = "better" if p < LEVEL else "ahead"
    return PromptComparison(
        a=one, b=two, questions=len(pairs), both=both, neither=len(pairs) - both - only_a - only_b, only_a=only_a,
        only_b=only_b, lead=round(lead.mean, 4), low=round(lead.low, 4), high=round(lead.high, 4), p=round(p, 6),
        verdict="equal" if only_a == only_b else f"b_{clear}" if only_b > only_a else f"a_{clear}", pairs=pairs,
    )  # fmt: skip


def _check_alike(one: PromptRun, two: PromptRun) -> None:
    if not (one.whole and two.whole):
        late = next(run for run in (one, two) if not run.whole)
        raise ConflictError(
            T(f"The run {late.id} is not through ({late.score.done} of {late.score.all}).",
              f"运行 {late.id} 还没有完成（{late.score.done} / {late.score.all}）。"),
            fix=f"zhilu jobs show {late.job_id} --follow",
        )  # fmt: skip
    if (one.set_sha256, one.model, one.judge) != (two.set_sha256, two.model, two.judge):
        raise ConflictError(
            T(
                f"Only like can be compared with like: {one.set_name} on {one.model} against {two.set_name} on {two.model}; "
                "the questions, the model and the judge must be the same.",
                f"只有条件相同才能比较：{one.set_name}（{one.model}）与 {two.set_name}（{two.model}）；"
                "题目、模型和裁判必须相同。",
            ),
            fix=f"zhilu prompt compare {one.template} {one.version} {two.version} --set {two.set_name}",
        )
