"""``/zhilu/v1/kbs/{kb}/sources``: what a knowledge base is kept in step with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.errors import ForbiddenError
from zhilu.host.security import is_loopback
from zhilu.jobs import Job
from zhilu.messages import T
from zhilu.rag.library import Library
from zhilu.rag.sources.base import SourceOptions
from zhilu.rag.sources.book import KbSource, SourceBook
from zhilu.rag.sources.kinds import is_local, kind_of_address
from zhilu.rag.sources.secrets import SourceSecrets
from zhilu.rag.sources.sync import keep_in_step, start_sync

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/kbs/{kb_id}/sources", tags=["knowledge"])

Minutes = Field(None, ge=1, le=44_640)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    clock = None if app.state.ephemeral else asyncio.create_task(keep_in_step(app.state.context))
    yield
    if clock is not None:
        clock.cancel()
        with suppress(asyncio.CancelledError):
            await clock


class NewSource(BaseModel):
    """``access_name`` and ``access_key`` are kept apart from the knowledge base and never shown."""

    model_config = ConfigDict(extra="forbid")
    address: str = Field(min_length=1, max_length=2000)
    branch: str | None = Field(None, max_length=200)
    pages: int = Field(1, ge=1, le=5000)
    endpoint: str | None = Field(None, max_length=500)
    region: str = Field("us-east-1", max_length=100)
    every_minutes: int | None = Minutes
    access_name: str | None = Field(None, max_length=500)
    access_key: str | None = Field(None, max_length=500)


class SourceChanges(BaseModel):
    model_config = ConfigDict(extra="forbid")
    every_minutes: int | None = Minutes


class SourceStarted(BaseModel):
    source: KbSource
    job: Job


@router.get("")
def list_sources_of_kb(kb_id: str, request: Request) -> list[KbSource]:
    return SourceBook(Library(context_of(request)).open(kb_id)).every()


@router.post("", status_code=202)
def add_source_to_kb(kb_id: str, body: NewSource, request: Request) -> SourceStarted:
    """Note the source and read it in a job. The same address again is the same source, with the options of now."""
    context = context_of(request)
    kb = Library(context).open(kb_id)
    if is_local(kind_of_address(body.address.strip()), body.address.strip()):
        _refuse_from_elsewhere(request, body.address)
    options = SourceOptions(branch=body.branch, pages=body.pages, endpoint=body.endpoint, region=body.region)
    source = SourceBook(kb).add(body.address, options, body.every_minutes)
    if body.access_name and body.access_key:
        SourceSecrets(context.home).set(source.address, (body.access_name, body.access_key))
    return SourceStarted(source=source, job=start_sync(context, kb, source))


@router.patch("/{source_id}")
def change_source_of_kb(kb_id: str, source_id: str, body: SourceChanges, request: Request) -> KbSource:
    book = SourceBook(Library(context_of(request)).open(kb_id))
    return book.schedule(book.get(source_id).id, body.every_minutes)


@router.post("/{source_id}/sync", status_code=202)
def sync_source_of_kb(kb_id: str, source_id: str, request: Request) -> Job:
    context = context_of(request)
    kb = Library(context).open(kb_id)
    return start_sync(context, kb, SourceBook(kb).get(source_id))


@router.delete("/{source_id}", status_code=204)
def remove_source_of_kb(kb_id: str, source_id: str, request: Request, documents: bool = False) -> None:
    """Forget the source; with ``documents`` what came from it goes, too."""
    context = context_of(request)
    book = SourceBook(Library(context).open(kb_id))
    source = book.get(source_id)
    book.remove(source.id, with_documents=documents)
    SourceSecrets(context.home).set(source.address, None)


def _refuse_from_elsewhere(request: Request, address: str) -> None:
    """A key opens the API to another machine; it is no leave to read folders here."""
    if request.client is None or not is_loopback(request.client.host):
        raise ForbiddenError(
            T(
                f"{address!r} is on this machine's own disk: only who sits at it may name it.",
                f"{address!r} 在这台机器的磁盘上：只有坐在这台机器前的人才能指定。",
            ),
            param="address",
            fix="zhilu kb add KB FOLDER --keep 10",
        )
