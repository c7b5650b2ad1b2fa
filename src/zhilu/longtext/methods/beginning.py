"""What fits, and nothing after it: what a server does that cuts in silence. To compare with."""

from __future__ import annotations

from zhilu.longtext.methods.base import Call, Method, Problem, Steps
from zhilu.longtext.pieces import cut
from zhilu.messages import T
from zhilu.prompts import part_messages, says_none

__all__ = ["BEGINNING"]


def _run(problem: Problem) -> Steps:
    first = cut(problem.text, problem.size)[0]
    what = T("what fits of the beginning", "开头能放下的部分")
    (said,) = yield [Call(part_messages(problem.question, problem.of(first)), [first], what)]
    return "" if says_none(said) else said


BEGINNING = Method(
    "beginning",
    T("Beginning only", "只读开头"),
    T("Reads what fits and ignores the rest. Cheap, and blind.", "只读放得下的部分，忽略其余。便宜，但看不见后面。"),
    _run,
)
