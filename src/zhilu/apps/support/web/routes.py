"""``/zhilu/v1/support``: desks, canned answers, orders, figures; with them the queue (``queue``) and customers' pages (``widget``)."""

from __future__ import annotations

import asyncio
import shutil

from fastapi import APIRouter, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.support.answer.faq import match
from zhilu.apps.support.answer.orders import FoundOrder, OrdersInfo
from zhilu.apps.support.desks import Desk, Desks, DeskSettings, FaqEntry, FaqWish
from zhilu.apps.support.figures import DeskFigures, figures_of
from zhilu.apps.support.sample import make_sample, sample_documents
from zhilu.apps.support.service import MEANINGS, orders_of
from zhilu.apps.support.web import queue, widget
from zhilu.apps.support.web.widget import guests
from zhilu.client import connect
from zhilu.context import context_of
from zhilu.errors import NotFoundError
from zhilu.messages import T

__all__ = ["guests", "router"]

router = APIRouter()
desks = APIRouter(prefix="/zhilu/v1/support/desks", tags=["support"])


class NewDesk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    kb_id: str | None = Field(None, max_length=64)


class DeskChanges(BaseModel):
    """Fields left out stay as they are."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field("", max_length=100)
    kb_id: str | None = Field(None, max_length=64)
    settings: DeskSettings = DeskSettings()


class FaqQuestion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1, max_length=2000)


class FaqCandidate(BaseModel):
    """``sure``: a customer who asks this gets the answer at once."""

    entry: FaqEntry
    score: float
    sure: bool


class SampleDocument(BaseModel):
    name: str
    text: str


class ShownColumns(BaseModel):
    model_config = ConfigDict(extra="forbid")
    shown: list[str] = Field(max_length=40)


@desks.get("")
def list_desks(request: Request) -> list[Desk]:
    return Desks(context_of(request)).every()


@desks.post("", status_code=201)
def create_desk(body: NewDesk, request: Request) -> Desk:
    return Desks(context_of(request)).create(body.name, kb_id=body.kb_id)


@desks.post("/sample", status_code=201)
def create_sample_desk(request: Request) -> Desk:
    """A small outdoor shop with canned answers and orders, to try a desk with."""
    return make_sample(context_of(request))


@desks.get("/sample/documents")
def list_sample_documents() -> list[SampleDocument]:
    """What is written about the sample shop's goods, for a knowledge base of it."""
    return [SampleDocument(name=name, text=data.decode()) for name, data in sample_documents().items()]


@desks.get("/{desk}")
def get_desk(desk: str, request: Request) -> Desk:
    return Desks(context_of(request)).get(desk)


@desks.patch("/{desk}")
def change_desk(desk: str, body: DeskChanges, request: Request) -> Desk:
    return Desks(context_of(request)).change(desk, body.model_dump(exclude_unset=True))


@desks.delete("/{desk}", status_code=204)
def remove_desk(desk: str, request: Request) -> None:
    context = context_of(request)
    shutil.rmtree(orders_of(context, Desks(context).remove(desk)).folder, ignore_errors=True)


@desks.get("/{desk}/faqs")
def list_faqs(desk: str, request: Request) -> list[FaqEntry]:
    found = Desks(context_of(request))
    return found.faqs(found.get(desk).id)


@desks.post("/{desk}/faqs", status_code=201)
def add_faq(desk: str, body: FaqWish, request: Request) -> FaqEntry:
    found = Desks(context_of(request))
    return found.add_faqs(found.get(desk).id, [body])[0]


@desks.put("/{desk}/faqs/{faq_id}")
def change_faq(desk: str, faq_id: str, body: FaqWish, request: Request) -> FaqEntry:
    found = Desks(context_of(request))
    return found.change_faq(found.get(desk).id, faq_id, body)


@desks.delete("/{desk}/faqs/{faq_id}", status_code=204)
def remove_faq(desk: str, faq_id: str, request: Request) -> None:
    found = Desks(context_of(request))
    found.remove_faq(found.get(desk).id, faq_id)


@desks.post("/{desk}/faqs/match")
async def match_faqs(desk: str, body: FaqQuestion, request: Request) -> list[FaqCandidate]:
    """Which canned answers a question comes near to, without asking a model."""
    context = context_of(request)
    entries = await asyncio.to_thread(lambda: Desks(context).faqs(Desks(context).get(desk).id))
    async with connect(context) as client:
        found = await match(body.question, entries, client, MEANINGS)
    return [FaqCandidate(entry=c.entry, score=c.score, sure=c.sure) for c in found]


@desks.get("/{desk}/orders")
def get_orders(desk: str, request: Request) -> OrdersInfo | None:
    context = context_of(request)
    return orders_of(context, Desks(context).get(desk).id).info


@desks.put("/{desk}/orders")
async def put_orders(desk: str, file: UploadFile, request: Request) -> OrdersInfo:
    """A CSV file or an SQLite database; it takes the place of the one before."""
    context = context_of(request)
    found = await asyncio.to_thread(Desks(context).get, desk)
    data = await file.read()
    return await asyncio.to_thread(orders_of(context, found.id).put, data, file.filename or "orders.csv")


@desks.patch("/{desk}/orders")
def show_columns(desk: str, body: ShownColumns, request: Request) -> OrdersInfo:
    """Which columns customers are told."""
    context = context_of(request)
    return orders_of(context, Desks(context).get(desk).id).show(body.shown)


@desks.delete("/{desk}/orders", status_code=204)
def remove_orders(desk: str, request: Request) -> None:
    context = context_of(request)
    orders_of(context, Desks(context).get(desk).id).remove()


@desks.get("/{desk}/orders/{number}")
def find_order(desk: str, number: str, request: Request) -> FoundOrder:
    context = context_of(request)
    found = orders_of(context, Desks(context).get(desk).id).find(number)
    if found is None:
        raise NotFoundError(T(f"There is no order {number!r}.", f"没有订单 {number!r}。"), param="number")
    return found


@desks.get("/{desk}/figures")
def get_figures(desk: str, request: Request) -> DeskFigures:
    context = context_of(request)
    return figures_of(context, Desks(context).get(desk).id)


router.include_router(desks)
router.include_router(queue.router)
router.include_router(widget.router)
router.include_router(widget.script_router)
