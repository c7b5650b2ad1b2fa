"""The organisation's knowledge as a product."""

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
    from zhilu.apps.knowledge.acceptance import run_cases

    async for scored in run_cases(context, client, model):
        yield scored


PRODUCT = Product(
    name="knowledge",
    title=T("Enterprise knowledge base", "企业知识库"),
    says=T(
        "People ask what their groups may read; what they may not read is not searched, cited, counted or logged.",
        "每个人只能问到自己用户组有权阅读的内容；无权阅读的内容不会被检索、引用、统计或记录。",
    ),
    page="/enterprise",
    acceptance=_acceptance,
    floor=0.8,
    template=Path(__file__).with_name("template"),
)
