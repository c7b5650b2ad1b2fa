"""A small outdoor shop: canned answers and orders (zh, en), and documents about its goods."""

from __future__ import annotations

import json
from pathlib import Path

from zhilu.apps.support.answer.orders import OrderTable
from zhilu.apps.support.desks import Desk, Desks, FaqWish
from zhilu.context import Context
from zhilu.messages import T

__all__ = ["DOCUMENTS", "ORDERS", "make_sample", "sample_faqs"]

_HERE = Path(__file__).parent
ORDERS = _HERE / "orders.csv"
DOCUMENTS = _HERE / "docs"
_NAME = T("Lantern Outdoor", "灯芯户外")


def sample_faqs() -> list[FaqWish]:
    return [FaqWish.model_validate(one) for one in json.loads((_HERE / "faq.json").read_text(encoding="utf-8"))]


def make_sample(context: Context, kb_id: str | None = None) -> Desk:
    """Raises: ConflictError: it is there already."""
    desks = Desks(context)
    desk = desks.create(_NAME.say(), kb_id=kb_id)
    try:
        desks.add_faqs(desk.id, sample_faqs())
        OrderTable(context.home.path / "apps" / "support" / desk.id).put(ORDERS.read_bytes(), ORDERS.name)
    except BaseException:
        desks.remove(desk.id)
        raise
    return desk
