"""``/zhilu/v1/docqa``: questions to documents and their tables, and summaries. Files come and go through ``/zhilu/v1/kbs``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.docqa.ask import answer, doc_tables
from zhilu.apps.docqa.summary import DocSummary, delete_summary, start_summary, summary_of, sweep
from zhilu.client import connect
from zhilu.context import context_of
from zhilu.errors import error_body
from zhilu.events import HEADERS, MEDIA_TYPE, Event
from zhilu.logs import as_error
from zhilu.models.chosen import named_model
from zhilu.rag.answer import open_shelf

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/docqa", tags=["docqa"])
_SHOWN_ROWS = 200


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What was deleted elsewhere while nothing ran here leaves no summary behind."""
    task = None if app.state.ephemeral else asyncio.create_task(asyncio.to_thread(sweep, app.state.context))
    yield
    if task is not None:
        await task


class DocTurn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "assistant"]
    content: str = Field(max_length=100_000)


class DocQuestion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1, max_length=4000)
    history: list[DocTurn] = Field(default_factory=list, max_length=100)
    model: str | None = None


class DocTableOut(BaseModel):
    """A table of a document; ``start`` is where its first row stands, ``rows`` are at most 200 of ``num_rows``."""

    heading: str
    columns: list[str]
    rows: list[list[str]]
    num_rows: int
    start: int


class DocSummaryOut(BaseModel):
    """``summary`` None: none was begun yet."""

    summary: DocSummary | None


@router.post("/{kb_id}/ask", response_class=StreamingResponse)
async def ask(kb_id: str, body: DocQuestion, request: Request) -> StreamingResponse:
    """Server-sent events ``retrieved | delta | done | error`` as those of ``/zhilu/v1/kbs/{id}/ask``; ``done`` has ``table``
    beside the answer where a table answered. Disconnecting stops the model."""
    context = context_of(request)
    shelf = await asyncio.to_thread(open_shelf, context, kb_id)  # a 404 must come before the stream begins
    model = named_model(context, body.model)
    history = [turn.model_dump() for turn in body.history]

    async def frames() -> AsyncIterator[bytes]:
        try:
            async with connect(context) as client:
                events = answer(client, model, shelf, body.question, history=history)
                async with aclosing(events):
                    async for event in events:
                        yield event.frame()
        except Exception as error:  # whatever it is: a stream that has begun ends with an event
            yield Event("error", error_body(as_error(error, kb=kb_id))).frame()

    return StreamingResponse(frames(), media_type=MEDIA_TYPE, headers=HEADERS)


@router.get("/{kb_id}/documents/{doc_id}/tables")
def list_tables(kb_id: str, doc_id: str, request: Request) -> list[DocTableOut]:
    return [
        DocTableOut(
            heading=table.heading, columns=list(table.columns), num_rows=len(table.rows), start=table.start,
            rows=[list(row.cells) for row in table.rows[:_SHOWN_ROWS]],
        )
        for table in doc_tables(open_shelf(context_of(request), kb_id), doc_id)
    ]  # fmt: skip


@router.post("/{kb_id}/documents/{doc_id}/summary", status_code=202)
def begin_summary(kb_id: str, doc_id: str, request: Request, model: str | None = None) -> DocSummary:
    """Summarise the document in a job; each sentence comes with its place in it."""
    context = context_of(request)
    return start_summary(context, open_shelf(context, kb_id), doc_id, model)


@router.get("/{kb_id}/documents/{doc_id}/summary")
def get_summary(kb_id: str, doc_id: str, request: Request) -> DocSummaryOut:
    context = context_of(request)
    return DocSummaryOut(summary=summary_of(context, open_shelf(context, kb_id), doc_id))


@router.delete("/{kb_id}/documents/{doc_id}/summary", status_code=204)
def remove_summary(kb_id: str, doc_id: str, request: Request) -> None:
    context = context_of(request)
    delete_summary(context, open_shelf(context, kb_id), doc_id)
