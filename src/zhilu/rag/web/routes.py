"""``/zhilu/v1/web``: answers from the web, and whether a search is set up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.client import connect
from zhilu.context import context_of
from zhilu.errors import error_body
from zhilu.events import HEADERS, MEDIA_TYPE, frame
from zhilu.logs import as_error
from zhilu.rag.web.ask import answer_from_web

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/web", tags=["web"])


class WebStatus(BaseModel):
    """``provider`` is None where no search is set up."""

    provider: str | None


class WebAskBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=4000)
    model: str | None = None


@router.get("")
def web_status(request: Request) -> WebStatus:
    chosen = context_of(request).settings.web_search
    return WebStatus(provider=None if chosen == "none" else chosen)


@router.post("/ask", response_class=StreamingResponse)
async def ask_web(body: WebAskBody, request: Request) -> StreamingResponse:
    """Server-sent events ``searched | retrieved | delta | done | error``; disconnecting stops the model."""
    context = context_of(request)

    async def events() -> AsyncIterator[bytes]:
        try:
            async with connect(context) as client:
                source = answer_from_web(context, client, body.question, model=body.model)
                async with aclosing(source):
                    async for event in source:
                        yield event.frame()
        except Exception as error:  # whatever it is: a stream that has begun ends with an event
            yield frame(error_body(as_error(error)), "error")

    return StreamingResponse(events(), media_type=MEDIA_TYPE, headers=HEADERS)
