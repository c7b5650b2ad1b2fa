"""Training data from a knowledge base: questions that the running model asked about its passages, and a person read.

The knowledge base makes and keeps them (its question sets: proposed, checked against the passage, accepted, changed, deleted), and
is reached over HTTP as by any other client. Here they become rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from zhilu.client import ModelClient, running_gateway
from zhilu.errors import InputError, UnreachableError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["SET", "Answers", "make_questions", "questions_of", "rows_of"]

SET = "training"  # the question set that is meant where none is named
Answers = Literal["short", "sentence"]


async def make_questions(context: Context, kb: str, count: int, set_name: str = SET, model: str | None = None) -> str:
    """Have the running model propose questions with answers; returns the id of the job.

    Raises:
        UnreachableError: no gateway runs. NotFoundError: no such knowledge base. UnsupportedError: the model is too small.
    """
    body = {"count": count, "set": set_name, "model": model, "open_share": 0.0, "closely": True}
    return str((await _call(context, "POST", f"kbs/{_part(kb)}/questions/make", body))["id"])


async def questions_of(context: Context, kb: str, set_name: str = SET) -> list[dict[str, Any]]:
    """The set as it is now, proposed questions among them (see ``make_questions`` for errors)."""
    found = await _call(context, "GET", f"kbs/{_part(kb)}/questions?set={_part(set_name)}")
    return list(found["questions"])


def rows_of(
    questions: Sequence[Mapping[str, Any]], answers: Answers = "short", *, kb: str = "KB", set_name: str = SET
) -> str:
    """The accepted questions that have an answer, as JSON lines of prompt and completion.

    Args:
        kb, set_name: where they are from, for the error.
        answers: ``sentence``: the sentence of the document that answers, where the answer was not changed since and stands in it.

    Raises:
        InputError: none is accepted.
    """
    kept = [q for q in questions if q["status"] == "accepted" and q["answers"]]
    if not questions:
        raise InputError(
            T(f"There is no question in the set {set_name!r} of {kb!r} yet.", f"{kb!r} 的问题集 {set_name!r} 中还没有问题。"),
            param="set",
            code="none_accepted",
            fix=f"zhilu data make --kb {kb} --set {set_name} --count 20",
        )  # fmt: skip
    if not kept:
        raise InputError(
            T(f"Of {len(questions)} questions none is accepted yet: read them first.",
              f"{len(questions)} 个问题中还没有接受的：请先阅读。"),
            param="kb",
            code="none_accepted",
            fix=f"zhilu kb questions {kb} --set {set_name} --accept all",
        )  # fmt: skip
    rows = []
    for question in kept:
        answer, said = question["answers"][0], " ".join((question.get("quote") or "").split())
        completion = said if answers == "sentence" and answer in said else answer
        rows.append(json.dumps({"prompt": question["question"], "completion": completion}, ensure_ascii=False) + "\n")
    return "".join(rows)


async def _call(context: Context, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    url = running_gateway(context.home.run)
    if url is None:
        raise UnreachableError(
            T("Nothing serves the knowledge base and the model now.", "现在没有运行中的服务，无法使用知识库和模型。"),
            fix="zhilu up",
        )
    async with ModelClient(f"{url}/zhilu/v1", api_key=context.settings.api_key) as client:
        return await client.call(method, path, body)


def _part(name: str) -> str:
    return quote(name, safe="")
