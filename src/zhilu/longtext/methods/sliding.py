"""Windows that overlap, so that nothing falls between two of them, until one holds the answer."""

from __future__ import annotations

from zhilu.longtext.methods.base import Call, Method, Problem, Steps, is_supported
from zhilu.longtext.pieces import cut
from zhilu.messages import T
from zhilu.prompts import part_messages, says_none

__all__ = ["SLIDING"]

_OVERLAP = 0.25


def _run(problem: Problem) -> Steps:
    windows = cut(problem.text, problem.size, overlap=int(_OVERLAP * problem.size))
    for number, window in enumerate(windows, start=1):
        part = problem.of(window)
        what = T(f"window {number} of {len(windows)}", f"第 {number} 个窗口，共 {len(windows)} 个")
        (said,) = yield [Call(part_messages(problem.question, part), [window], what)]
        if not says_none(said) and is_supported(said, problem.question, part):
            return said.strip()
    return ""


SLIDING = Method(
    "sliding",
    T("Sliding window", "滑动窗口"),
    T(
        "Overlapping windows, and stops at the first whose answer stands in it. Wrong where two places matter.",
        "窗口相互重叠，读到第一个确有答案的窗口就停。答案分散在两处时会错。",
    ),
    _run,
)
