"""A small outdoor shop: canned answers and orders (zh, en), and documents about its goods."""

from __future__ import annotations

import json
from pathlib import Path

from zhilu.apps.support.answer.orders import OrderTable
from zhilu.apps.support.desks import Desk, Desks, FaqWish
from zhilu.context import Context
from zhilu.messages import Lang, T, current_lang

__all__ = ["make_sample", "sample_documents", "sample_faqs", "sample_orders"]

_HERE = Path(__file__).parent
_NAME = T("Lantern Outdoor", "灯芯户外")


def sample_faqs() -> list[FaqWish]:
    return [FaqWish.model_validate(one) for one in json.loads((_HERE / "faq.json").read_text(encoding="utf-8"))]


def sample_orders(lang: Lang) -> Path:
    """Ten orders of English customers, or eight of Chinese ones."""
    return _HERE / ("orders.zh.csv" if lang == "zh" else "orders.csv")


def sample_documents() -> dict[str, bytes]:
    """What is written about the goods, by file name."""
    return {path.name: path.read_bytes() for path in sorted((_HERE / "docs").iterdir())}


def make_sample(context: Context, kb_id: str | None = None) -> Desk:
    """In the language of whoever asks for it.

    Raises:
        ConflictError: it is there already.
    """
    orders = sample_orders(current_lang())
    desks = Desks(context)
    desk = desks.create(_NAME.say(), kb_id=kb_id)
    try:
        desks.add_faqs(desk.id, sample_faqs())
        OrderTable(context.home.path / "apps" / "support" / desk.id).put(orders.read_bytes(), orders.name)
    except BaseException:
        desks.remove(desk.id)
        raise
    return desk
