"""Document question answering as a product."""

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


async def _acceptance(context: Context, client: ModelClient, model: str) -> AsyncIterator[Scored]:
    from zhilu.apps.docqa.acceptance import judge_each

    async for judged in judge_each(context, client, model):
        yield Scored(case=judged.case.question, right=judged.right, said=judged.answer, why=judged.why)


PRODUCT = Product(
    name="docqa",
    title=T("Document Q&A", "文档问答"),
    says=T(
        "Ask a document or a folder: the answer beside the page it stands on, its tables looked up, a summary with places.",
        "向一份文档或一个文件夹提问：答案与原文并排，表格可查，摘要附出处。",
    ),
    page="/docqa",
    acceptance=_acceptance,
    floor=0.75,
    template=Path(__file__).with_name("template"),
)
