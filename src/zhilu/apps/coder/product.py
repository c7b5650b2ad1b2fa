"""The code assistant as a product."""

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
    from zhilu.apps.coder.acceptance import judge_each

    async for judged in judge_each(context, client, model):
        yield Scored(case=judged.case.ask, right=judged.right, said=judged.said, why=judged.why)


PRODUCT = Product(
    name="coder",
    title=T("Code assistant", "代码助手"),
    says=T(
        "Ask a repository with the lines an answer rests on; changes as diffs, tried in the sandbox and written on approval; completions.",
        "就代码仓库提问并看到依据的代码行；修改以 diff 呈现，沙箱中试验，批准后写入；支持补全。",
    ),
    page="/coder",
    acceptance=_acceptance,
    floor=0.5,
    template=Path(__file__).with_name("template"),
)
