"""How often a desk does what it should: 41 short conversations at the sample shop, half of them in Chinese.

Canned answers asked for in other words, orders with and without their numbers, questions that only look like a canned answer, who
wants a person and who does not, complaints, orders to the bot, documents, and what is none of a shop's business.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from zhilu.apps.support.answer.meaning import Meanings
from zhilu.apps.support.answer.orders import OrderTable
from zhilu.apps.support.answer.turn import DocumentAnswer, Known, SupportMemory, TurnReply, answer_turn
from zhilu.apps.support.desks import FaqEntry
from zhilu.apps.support.sample import sample_documents, sample_faqs, sample_orders
from zhilu.messages import T
from zhilu.rag.answer import temporary_shelf

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.rag.answer import Shelf

__all__ = ["DeskCase", "desk_cases", "judge", "judge_each"]


class DeskCase(BaseModel):
    """``say``: the customer's messages; the reply to the last one is judged. Only what is given counts: the canned answer's place
    (``faq``), any canned answer (``not_faq``), words that must and must not be said, why a person is asked (None: nobody)."""

    model_config = ConfigDict(extra="forbid")
    lang: Literal["en", "zh"]
    kind: str
    say: list[str]
    faq: int | None = None
    not_faq: bool = False
    says: list[str] = []
    never: list[str] = []
    hand_over: str | None = None
    cites: str | None = None
    unanswered: bool = False


@cache
def desk_cases() -> tuple[DeskCase, ...]:
    lines = Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(DeskCase.model_validate(json.loads(line)) for line in lines)


async def judge_each(
    context: Context, client: ModelClient, model: str
) -> AsyncIterator[tuple[DeskCase, list[TurnReply], T | None]]:
    """Every case with the replies, and why it is wrong where it is."""
    faqs = [FaqEntry(id=str(n), **wish.model_dump()) for n, wish in enumerate(sample_faqs())]
    meanings = Meanings()
    async with temporary_shelf(context, sample_documents()) as shelf:
        with TemporaryDirectory() as folder:
            tables = {lang: _orders(Path(folder, lang), lang) for lang in ("en", "zh")}
            for case in desk_cases():
                known = Known(
                    faqs=faqs, orders=tables[case.lang], client=client, model=model, meanings=meanings,
                    documents=_documents(shelf, client, model),
                )  # fmt: skip
                memory = SupportMemory()
                replies = [await answer_turn(text, memory, known) for text in case.say]
                yield case, replies, judge(case, replies)


def judge(case: DeskCase, replies: list[TurnReply]) -> T | None:
    """None where the last reply is right. What must never be said, none of the replies says."""
    last = replies[-1]
    said, everything = _plain(last.text), _plain(" ".join(reply.text for reply in replies))
    if leaked := next((word for word in case.never if _plain(word) in everything), None):
        return T(f"says {leaked!r}, which it must not", f"说出了不该说的 {leaked!r}")
    if last.hand_over != case.hand_over and (case.hand_over is not None or case.kind == "no_person"):
        return T(
            f"hand-over: {last.hand_over}, expected: {case.hand_over}",
            f"转人工：{last.hand_over}，应为：{case.hand_over}",
        )
    if case.faq is not None and last.details.get("faq") != str(case.faq):
        return T("another answer than the canned one that is meant", "不是应当给出的那条常见问题")
    if case.not_faq and last.by == "faq":
        return T("a canned answer to another question", "给出了另一个问题的常见回答")
    if missing := next((word for word in case.says if _plain(word) not in said), None):
        return T(f"does not say {missing!r}", f"没有说到 {missing!r}")
    if case.cites is not None and case.cites not in [c.get("doc_name") for c in last.details.get("citations", ())]:
        return T(f"does not cite {case.cites}", f"没有引用 {case.cites}")
    if case.unanswered and last.by not in ("nothing", "rule", "model"):
        return T("answered what it knows nothing about", "回答了它不了解的问题")
    if case.unanswered and last.intent not in ("document", "small_talk", "person"):
        return T(f"taken for {last.intent}", f"被当成了 {last.intent}")
    return None


def _documents(shelf: Shelf, client: ModelClient, model: str) -> Callable[[str], Awaitable[DocumentAnswer | None]]:
    async def ask(question: str) -> DocumentAnswer | None:
        done: dict[str, Any] = {"refused": True}
        async with aclosing(shelf.answer(client, question, model=model)) as events:
            async for event in events:
                if event.name == "done":
                    done = event.data
        return None if done["refused"] else DocumentAnswer(done["answer"], [c for c in done["citations"] if c["cited"]])

    return ask


def _orders(folder: Path, lang: Any) -> OrderTable:
    table, path = OrderTable(folder), sample_orders(lang)
    table.put(path.read_bytes(), path.name)
    return table


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().split())
