"""How often documents are answered right: 24 questions to four small documents, twelve in English and twelve in Chinese.

Four ask tables; four cannot be answered, and there a refusal is right. An answer is right when it says what stands in the document
and cites that document.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from zhilu.apps.docqa.ask import answer
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.rag.answer import temporary_shelf

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["DocCase", "JudgedCase", "doc_cases", "judge", "judge_each", "samples"]


class DocCase(BaseModel):
    """``answers``: any of them must be said; none: the documents do not hold it."""

    lang: Literal["en", "zh"]
    kind: Literal["text", "table", "none"]
    question: str
    answers: list[str]
    document: str


class JudgedCase(BaseModel):
    case: DocCase
    answer: str
    by_table: bool
    right: bool
    why: Text | None = None


@cache
def doc_cases() -> tuple[DocCase, ...]:
    lines = Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(DocCase.model_validate(json.loads(line)) for line in lines)


def samples() -> dict[str, bytes]:
    folder = Path(__file__).with_name("samples")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


async def judge_each(context: Context, client: ModelClient, model: str) -> AsyncIterator[JudgedCase]:
    """Every case, all four documents on one shelf."""
    async with temporary_shelf(context, samples()) as shelf:
        for case in doc_cases():
            done: dict[str, Any] = {}
            async for event in answer(client, model, shelf, case.question):
                if event.name == "done":
                    done = event.data
            yield judge(case, done)


def judge(case: DocCase, done: dict[str, Any]) -> JudgedCase:
    said = str(done.get("answer") or "")
    why: T | None = None
    if not case.answers:
        if not done.get("refused"):
            why = T("answered, though no document says so", "文档里没有，却给出了回答")
    elif done.get("refused"):
        why = T("refused, though a document says it", "文档里有答案，却没有回答")
    elif not any(_plain(one) in _plain(said) for one in case.answers):
        why = T(f"expected {case.answers[0]}", f"应为 {case.answers[0]}")
    elif not any(c["cited"] and c["doc_name"] == case.document for c in done["citations"]):
        why = T(f"does not cite {case.document}", f"没有引用 {case.document}")
    return JudgedCase(case=case, answer=said, by_table=bool(done.get("table")), right=why is None, why=why)


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().replace(",", "").split())
