"""One answer, made better by each piece in turn. Reads all, in order, and can go wrong at each step."""

from __future__ import annotations

from zhilu.longtext.methods.base import Call, Method, Problem, Steps
from zhilu.longtext.pieces import cut
from zhilu.longtext.room import ANSWER_TOKENS
from zhilu.messages import T
from zhilu.prompts import part_messages, refine_messages, says_none

__all__ = ["REFINE"]


def _run(problem: Problem) -> Steps:
    # The answer so far stands beside each piece.
    pieces = cut(problem.text, max(50, problem.size - int(ANSWER_TOKENS / problem.room.rate)))
    answer = ""
    for number, piece in enumerate(pieces, start=1):
        part = problem.of(piece)
        messages = refine_messages(problem.question, answer, part) if answer else part_messages(problem.question, part)
        what = T(f"piece {number} of {len(pieces)}", f"第 {number} 段，共 {len(pieces)} 段")
        (said,) = yield [Call(messages, [piece], what)]
        answer = answer if says_none(said) else said.strip()
    return answer


REFINE = Method(
    "refine",
    T("Refine", "逐步改进"),
    T(
        "Carries one answer through the text and lets each piece improve it. Strictly one after the other.",
        "带着一个回答从头读到尾，每一段都可以改进它。只能一段接一段。",
    ),
    _run,
)
