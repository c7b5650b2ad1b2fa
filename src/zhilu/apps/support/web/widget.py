"""What a customer's page may do: open a conversation, write, follow it, end it, rate it. Nothing else of the gateway is here.

Pages of other sites come in by ``guests`` (``host/security.py``), each desk's own list of them. A conversation belongs to whoever
has its secret, which its page sends in a header of its own; a cookie would be sent by every page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu import events
from zhilu.apps.support.answer import words
from zhilu.apps.support.contacts import Contacts, Status, SupportContact, SupportLine
from zhilu.apps.support.desks import Desk, Desks
from zhilu.apps.support.service import Limit, receive
from zhilu.client import connect
from zhilu.context import Context, context_of
from zhilu.errors import BusyError, NotFoundError
from zhilu.host.security import Guests
from zhilu.messages import T, current_lang
from zhilu.models.chosen import named_model
from zhilu.prompts.message import Lang

__all__ = ["guests", "router", "script_router"]

PREFIX = "/zhilu/v1/support/widget/"
SCRIPT = "/support/widget.js"
SECRET = "X-Zhilu-Contact"
_POLL, _COMMENT_EVERY = 1.0, 15
_MAX_STREAMS = 4  # of one conversation: a page opened in several tabs

router = APIRouter(prefix=PREFIX.removesuffix("/"), tags=["support"])
script_router = APIRouter()

_new = Limit(100, 600)  # conversations from one address; behind a proxy all customers have one
_said = Limit(20, 60)  # messages of one conversation
_streams: dict[str, int] = {}


def guests(context: Context) -> Guests:
    """Pages of the sites that a desk lists may use that desk's paths."""

    def admits(path: str, origin: str) -> bool:
        desk = path.removeprefix(PREFIX).partition("/")[0]
        try:
            return origin in Desks(context).get(desk).settings.origins
        except NotFoundError:
            return False

    return Guests(PREFIX, admits, headers=(SECRET.lower(),), scripts=frozenset({SCRIPT}))


class WidgetDesk(BaseModel):
    name: str
    greeting: str


class WidgetLine(BaseModel):
    """What a customer sees of a line. ``sources``: names of the documents that an answer rests on."""

    id: int
    role: str
    text: str
    what: str | None = None
    sources: list[str] = []
    created_at: datetime


class WidgetContact(BaseModel):
    status: Status
    ticket: int | None
    rating: int | None
    lines: list[WidgetLine]


class OpenedContact(BaseModel):
    """``secret`` is told once: the page keeps it, and sends it as ``X-Zhilu-Contact``."""

    id: str
    secret: str
    greeting: str


class CustomerMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=2000, pattern=r"\S")


class CustomerRating(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rating: int = Field(ge=1, le=5)
    remark: str = Field("", max_length=1000)


@script_router.get(SCRIPT, response_class=FileResponse)
def widget_script() -> FileResponse:
    """The file that a site includes: ``<script src="…/support/widget.js" data-desk="ID"></script>``."""
    headers = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "no-cache"}
    return FileResponse(Path(__file__).with_name("widget.js"), media_type="text/javascript", headers=headers)


@router.get("/{desk}/desk")
def widget_desk(desk: str, request: Request) -> WidgetDesk:
    found = Desks(context_of(request)).get(desk)
    return WidgetDesk(name=found.name, greeting=_greeting(found))


@router.post("/{desk}/contacts", status_code=201)
def open_contact(desk: str, request: Request) -> OpenedContact:
    context = context_of(request)
    found = Desks(context).get(desk)
    _new.check(request.client.host if request.client else "")
    contact, secret = Contacts(context).open(found.id, request.headers.get("origin", ""))
    return OpenedContact(id=contact.id, secret=secret, greeting=_greeting(found))


@router.get("/{desk}/contacts/{contact_id}")
def widget_contact(
    desk: str, contact_id: str, request: Request, x_zhilu_contact: str = Header(max_length=200)
) -> WidgetContact:
    _, contact = _mine(request, desk, contact_id, x_zhilu_contact)
    return _shown(context_of(request), contact)


@router.post("/{desk}/contacts/{contact_id}/messages")
async def write_message(
    desk: str,
    contact_id: str,
    body: CustomerMessage,
    request: Request,
    x_zhilu_contact: str = Header(max_length=200),
) -> WidgetContact:
    """The new lines: what was said, and the bot's answer where no person has the conversation."""
    context = context_of(request)
    found, contact = await asyncio.to_thread(_mine, request, desk, contact_id, x_zhilu_contact)
    _said.check(contact.id)
    model = named_model(context, found.settings.model)
    async with connect(context) as client:
        lines = await receive(context, client, model, found, contact.id, body.text.strip())
    contact = await asyncio.to_thread(Contacts(context).get, contact.id)
    lang = await asyncio.to_thread(_lang, context, contact.id)
    return _as_widget(contact, [_line(line, lang) for line in lines])


@router.get("/{desk}/contacts/{contact_id}/events", response_class=StreamingResponse)
async def follow_contact(
    desk: str, contact_id: str, request: Request, after: int = 0, x_zhilu_contact: str = Header(max_length=200)
) -> StreamingResponse:
    """Server-sent events ``line`` from ``after`` on, until the conversation has been rated."""
    context = context_of(request)
    _, contact = await asyncio.to_thread(_mine, request, desk, contact_id, x_zhilu_contact)
    if _streams.get(contact.id, 0) >= _MAX_STREAMS:
        raise BusyError(T("This conversation is open in too many places.", "这个对话打开的窗口太多。"), retry_after=10)

    async def shown(line: SupportLine) -> bytes:
        lang = await asyncio.to_thread(_lang, context, contact.id)
        return events.Event("line", _line(line, lang).model_dump(mode="json")).frame()

    async def lines() -> AsyncIterator[bytes]:
        _streams[contact.id] = _streams.get(contact.id, 0) + 1
        try:
            async for line in follow(context, contact.id, after):
                yield events.STILL_HERE if line is None else await shown(line)
                if line is not None and line.details.get("what") == "rated":
                    return
        finally:
            _streams[contact.id] -= 1
            if not _streams[contact.id]:
                del _streams[contact.id]

    return StreamingResponse(lines(), media_type=events.MEDIA_TYPE, headers=events.HEADERS)


@router.post("/{desk}/contacts/{contact_id}/close")
def close_contact(
    desk: str, contact_id: str, request: Request, x_zhilu_contact: str = Header(max_length=200)
) -> WidgetContact:
    _, contact = _mine(request, desk, contact_id, x_zhilu_contact)
    return _shown(context_of(request), Contacts(context_of(request)).close(contact.id, "customer"))


@router.post("/{desk}/contacts/{contact_id}/rating")
def rate_contact(
    desk: str,
    contact_id: str,
    body: CustomerRating,
    request: Request,
    x_zhilu_contact: str = Header(max_length=200),
) -> WidgetContact:
    _, contact = _mine(request, desk, contact_id, x_zhilu_contact)
    return _shown(context_of(request), Contacts(context_of(request)).rate(contact.id, body.rating, body.remark))


async def follow(context: Context, contact_id: str, after: int) -> AsyncIterator[SupportLine | None]:
    """Lines as they are stored, by whichever process; None now and then, while nothing happens."""
    contacts, polls = Contacts(context), 0
    while True:
        for line in await asyncio.to_thread(contacts.lines, contact_id, after):
            after = line.id
            yield line
        polls += 1
        if polls % _COMMENT_EVERY == 0:
            yield None
        await asyncio.sleep(_POLL)


def _mine(request: Request, desk: str, contact_id: str, secret: str) -> tuple[Desk, SupportContact]:
    context = context_of(request)
    found = Desks(context).get(desk)
    return found, Contacts(context).of_customer(found.id, contact_id, secret)


def _greeting(desk: Desk) -> str:
    return desk.settings.greeting or words.GREETING.say()


def _lang(context: Context, contact_id: str) -> Lang:
    lang = Contacts(context).memory(contact_id).get("lang")
    return lang if lang in ("en", "zh") else current_lang()


def _shown(context: Context, contact: SupportContact) -> WidgetContact:
    lang = _lang(context, contact.id)
    return _as_widget(contact, [_line(line, lang) for line in Contacts(context).lines(contact.id)])


def _as_widget(contact: SupportContact, lines: list[WidgetLine]) -> WidgetContact:
    return WidgetContact(status=contact.status, ticket=contact.ticket, rating=contact.rating, lines=lines)


def _line(line: SupportLine, lang: Lang) -> WidgetLine:
    """Of what led to an answer nothing is shown but the names of its documents."""
    details: dict[str, Any] = line.details
    what, text = details.get("what") if line.role == "event" else None, line.content
    if what == "taken":
        text = words.TAKEN.say(lang).format(agent=details.get("agent", ""))
    elif what == "closed":
        text = words.CLOSED.say(lang)
    sources = list(dict.fromkeys(str(c["doc_name"]) for c in details.get("citations", ()) if c.get("doc_name")))
    return WidgetLine(id=line.id, role=line.role, text=text, what=what, sources=sources, created_at=line.created_at)
