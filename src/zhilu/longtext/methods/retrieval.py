"""Small pieces are ranked by the question's words, and the best are read together in one call."""

from __future__ import annotations

from zhilu.longtext.methods.base import Call, Method, Problem, Steps
from zhilu.longtext.pieces import cut, own_tokens
from zhilu.messages import T
from zhilu.prompts import part_messages, says_none
from zhilu.text.bm25 import ranked

__all__ = ["RETRIEVAL"]

_SMALL = 160  # own tokens
_MOST = 6


def _run(problem: Problem) -> Steps:
    pieces = cut(problem.text, min(_SMALL, problem.size), overlap=_SMALL // 8)
    best, left = [], problem.size
    for place, _ in ranked(problem.question, [problem.of(piece) for piece in pieces])[:_MOST]:
        left -= own_tokens(problem.of(pieces[place]))
        if left < 0:
            break
        best.append(pieces[place])
    if not best:
        return ""
    best.sort()  # as they stand in the text
    what = T(f"the {len(best)} best of {len(pieces)} pieces", f"{len(pieces)} 段中最相关的 {len(best)} 段")
    together = "\n…\n".join(problem.of(piece) for piece in best)
    (said,) = yield [Call(part_messages(problem.question, together), best, what)]
    return "" if says_none(said) else said.strip()


RETRIEVAL = Method(
    "retrieval",
    T("Retrieval", "检索"),
    T(
        "Ranks small pieces by the question's words (BM25) and reads the best. One call; blind to other words.",
        "按问题的用词（BM25）给小段排序，只读最相关的几段。一次调用；换一种说法就可能找不到。",
    ),
    _run,
)
