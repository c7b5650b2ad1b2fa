"""The people's side: who waits, what was said, and answering."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu import events
from zhilu.apps.support.contacts import Contacts, Status, SupportContact, SupportLine
from zhilu.apps.support.web.widget import follow
from zhilu.context import context_of

__all__ = ["router"]

_POLL, _COMMENT_EVERY = 1.0, 15

router = APIRouter(prefix="/zhilu/v1/support/contacts", tags=["support"])


class AgentName(BaseModel):
    model_config = ConfigDict(extra="forbid")
    agent: str = Field(min_length=1, max_length=100)


class AgentMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=4000, pattern=r"\S")


class ContactHistory(BaseModel):
    contact: SupportContact
    lines: list[SupportLine]


@router.get("")
def list_contacts(request: Request, desk: str | None = None, status: Status | None = None) -> list[SupportContact]:
    return Contacts(context_of(request)).every(desk, status)


@router.get("/events", response_class=StreamingResponse)
async def follow_queue(request: Request) -> StreamingResponse:
    """Server-sent events ``queue``: the conversations that wait or are with a person, whenever that changes."""
    contacts = Contacts(context_of(request))

    def look() -> list[SupportContact]:
        return [*contacts.every(status="waiting"), *contacts.every(status="taken")]

    async def lines() -> AsyncIterator[bytes]:
        told: list[SupportContact] | None = None
        polls = 0
        while True:
            found = await asyncio.to_thread(look)
            if found != told:
                told = found
                yield events.Event("queue", {"contacts": [c.model_dump(mode="json") for c in found]}).frame()
            polls += 1
            if polls % _COMMENT_EVERY == 0:
                yield events.STILL_HERE
            await asyncio.sleep(_POLL)

    return StreamingResponse(lines(), media_type=events.MEDIA_TYPE, headers=events.HEADERS)


@router.get("/{contact_id}")
def contact_history(contact_id: str, request: Request) -> ContactHistory:
    contacts = Contacts(context_of(request))
    return ContactHistory(contact=contacts.get(contact_id), lines=contacts.lines(contact_id))


@router.get("/{contact_id}/events", response_class=StreamingResponse)
async def follow_history(contact_id: str, request: Request, after: int = 0) -> StreamingResponse:
    """Server-sent events ``line`` from ``after`` on."""
    context = context_of(request)
    await asyncio.to_thread(Contacts(context).get, contact_id)  # a 404 must come before the stream begins

    async def lines() -> AsyncIterator[bytes]:
        async for line in follow(context, contact_id, after):
            yield events.STILL_HERE if line is None else events.Event("line", line.model_dump(mode="json")).frame()

    return StreamingResponse(lines(), media_type=events.MEDIA_TYPE, headers=events.HEADERS)


@router.post("/{contact_id}/take")
def take_contact(contact_id: str, body: AgentName, request: Request) -> SupportContact:
    return Contacts(context_of(request)).take(contact_id, body.agent)


@router.post("/{contact_id}/reply", status_code=201)
def reply_to_contact(contact_id: str, body: AgentMessage, request: Request) -> SupportLine:
    contacts = Contacts(context_of(request))
    return contacts.say(contact_id, "agent", body.text.strip(), {"agent": contacts.get(contact_id).agent})


@router.post("/{contact_id}/close")
def end_contact(contact_id: str, request: Request) -> SupportContact:
    return Contacts(context_of(request)).close(contact_id, "agent")
