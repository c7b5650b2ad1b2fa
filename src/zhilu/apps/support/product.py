"""Customer service as a product."""

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
    from zhilu.apps.support.acceptance import judge_each

    async for case, replies, wrong in judge_each(context, client, model):
        last = replies[-1]
        said = " ".join(part for part in (last.text, f"→ {last.hand_over}" if last.hand_over else "") if part)
        yield Scored(case=f"[{case.kind}] {' / '.join(case.say)}", right=wrong is None, said=said, why=wrong)


PRODUCT = Product(
    name="support",
    title=T("Customer service", "客服"),
    says=T(
        "Canned answers, documents and an order table answer; a person takes over where they do not; a widget for your site.",
        "由常见问题、文档和订单表回答，回答不了的转给人工；附带可嵌入网站的挂件。",
    ),
    page="/support",
    acceptance=_acceptance,
    floor=0.8,
    template=Path(__file__).with_name("template"),
)
