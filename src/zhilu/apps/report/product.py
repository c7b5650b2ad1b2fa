"""Reports as a product."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.apps.product import Product, Scored
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["PRODUCT"]

_WHY = {
    "refused": T("not answered, though the tables hold the answer", "表中有答案，但没有给出"),
    "wrong": T("not what a right query finds", "与正确查询的结果不同"),
}


async def _acceptance(context: Context, client: ModelClient, model: str) -> AsyncIterator[Scored]:
    """Right is right: an answer that was not given is safe, and none of the figure."""
    from zhilu.apps.report.acceptance import judge_each

    async for judged in judge_each(client, model):
        section = judged.section
        told = " ".join(sentence.text for sentence in section.sentences if sentence.is_kept)
        yield Scored(
            case=f"[{judged.case.database}] {judged.case.question}",
            right=judged.outcome == "right",
            said=told or section.sql or section.status,
            why=_WHY.get(judged.outcome),
        )


PRODUCT = Product(
    name="report",
    title=T("Reports", "报告生成"),
    says=T(
        "Ask tables in plain words: checked SQL, charts, and sentences whose every number stands in the result.",
        "用日常语言查表：经过检查的 SQL、图表，句子里的每个数字都来自查询结果。",
    ),
    page="/report",
    acceptance=_acceptance,
    floor=0.7,
    template=Path(__file__).with_name("template"),
)
