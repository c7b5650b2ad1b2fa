"""``/zhilu/v1/conversations``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Annotated, cast

from fastapi import APIRouter, FastAPI, Query, Request, UploadFile
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.agents.routes import refuse_from_elsewhere
from zhilu.agents.runs import RunStore
from zhilu.apps.chat.attach import MOST, Attachment, Attachments
from zhilu.apps.chat.running import RunningTurn, RunningTurns
from zhilu.apps.chat.sampling import SamplingParams
from zhilu.apps.chat.share import FORMATS, LARGEST_MB, Format, export, import_conversations
from zhilu.apps.chat.shelf import FolderStore
from zhilu.apps.chat.store import Conversation, ConversationStore, Found, Summary
from zhilu.apps.chat.turn import resume_turn, run_turn
from zhilu.client import connect
from zhilu.context import Context, context_of
from zhilu.errors import NotFoundError
from zhilu.events import HEADERS, MEDIA_TYPE, Event
from zhilu.host.middleware import BoundedRoute
from zhilu.jobs import JobStore
from zhilu.rag.load import check_size

__all__ = ["lifespan", "router"]

_STOPS_WITHIN = 20.0  # seconds, of a job that was cancelled: it is killed after its grace

router = APIRouter(prefix="/zhilu/v1/conversations", tags=["chat"], route_class=BoundedRoute)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if not app.state.ephemeral:  # a gateway that lives beside another must not touch that one's turns
        ConversationStore(app.state.context).close_interrupted()
        Attachments(app.state.context).forget_unsent()
    turns = app.state.turns = RunningTurns(app.state.context)
    if not app.state.ephemeral:
        for conversation_id, message_id, run_id in ConversationStore(app.state.context).unfinished():
            source = resume_turn(app.state.context, conversation_id, message_id, run_id, lambda: turns.leaving)
            turns.start(conversation_id, source)
    yield
    await app.state.turns.close()


ToolNames = Annotated[
    list[Annotated[str, Field(max_length=2000)]],
    Field(max_length=30, description="kinds of tools, as ``kind:argument``; answers are then worked out with them"),
]


class NewConversation(BaseModel):
    """``web``: answers come from the web. With ``tools``, ``kb_id`` and ``web`` are tools among the others."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field("", max_length=300)
    model: str | None = None
    kb_id: str | None = None
    system_prompt: str = Field("", max_length=20_000)
    tools: ToolNames = []
    params: SamplingParams = SamplingParams()
    web: bool = False
    folder_id: str | None = None


class ConversationChanges(BaseModel):
    """Fields left out stay as they are; null clears ``model``, ``kb_id`` or ``folder_id``."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field("", max_length=300)
    head_id: str | None = None
    model: str | None = None
    kb_id: str | None = None
    system_prompt: str = Field("", max_length=20_000)
    tools: ToolNames = []
    params: SamplingParams = SamplingParams()
    web: bool = False
    folder_id: str | None = None


class Turn(BaseModel):
    """``content`` null answers the user message ``parent_id`` again. ``keep`` lets the answer go on without its reader:
    ``GET …/turn`` follows it then, ``DELETE …/turn`` stops it; without it, disconnecting does."""

    model_config = ConfigDict(extra="forbid")
    parent_id: str | None = None
    content: str | None = Field(None, max_length=400_000)
    attachments: list[str] = Field([], max_length=MOST, description="ids of files that were posted to …/attachments")
    params: SamplingParams = SamplingParams()
    keep: bool = False


@router.get("")
def list_conversations(request: Request, q: str = Query("", max_length=200)) -> list[Found]:
    """Newest first; with ``q`` those that hold it in their title or in a message."""
    return list(ConversationStore(context_of(request)).search(q))


@router.get("/export", response_class=Response)
def export_conversations(request: Request, format: Format = "json", id: str | None = None) -> Response:
    """All conversations, or one, as a file."""
    store = ConversationStore(context_of(request))
    ids = [one.id for one in store.list()] if id is None else [id]
    content = export([store.get(one) for one in ids], format)
    headers = {"Content-Disposition": f'attachment; filename="zhilu-chat.{format}"'}
    return Response(content, media_type=FORMATS[format], headers=headers)


@router.post("/import", status_code=201)
def import_file(request: Request, file: UploadFile) -> list[Summary]:
    """An export of conversations (JSON), or a list of OpenAI's messages."""
    context = context_of(request)
    content = file.file.read(LARGEST_MB * 1024 * 1024 + 1)
    check_size(len(content), LARGEST_MB)
    return import_conversations(ConversationStore(context), content)


@router.post("/attachments", status_code=201)
def attach_file(request: Request, file: UploadFile) -> Attachment:
    """Read a file, to be sent with a question."""
    context = context_of(request)
    content = file.file.read(context.settings.max_upload_mb * 1024 * 1024 + 1)
    return Attachments(context).add(file.filename or "file", content)


@router.post("", status_code=201)
def create_conversation(body: NewConversation, request: Request) -> Conversation:
    refuse_from_elsewhere(request, body.tools)
    FolderStore(context_of(request)).check(body.folder_id)
    own = body.model_dump() | {"params": body.params.model_dump(exclude_none=True)}
    return ConversationStore(context_of(request)).create(**own)


@router.get("/{conversation_id}")
def get_conversation(conversation_id: str, request: Request) -> Conversation:
    return ConversationStore(context_of(request)).get(conversation_id)


@router.patch("/{conversation_id}")
def change_conversation(conversation_id: str, body: ConversationChanges, request: Request) -> Conversation:
    refuse_from_elsewhere(request, body.tools)
    FolderStore(context_of(request)).check(body.folder_id)
    changes = body.model_dump(exclude_unset=True)
    if "params" in changes:
        changes["params"] = body.params.model_dump(exclude_none=True)
    return ConversationStore(context_of(request)).change(conversation_id, changes)


@router.delete("/{conversation_id}", status_code=204)
async def delete_conversation(conversation_id: str, request: Request) -> None:
    await _turns(request).stop(conversation_id)
    await asyncio.to_thread(_delete, context_of(request), conversation_id)


@router.post("/{conversation_id}/turn", response_class=StreamingResponse)
async def turn(conversation_id: str, body: Turn, request: Request) -> StreamingResponse:
    """Server-sent events ``start | steps | searched | retrieved | thought | note | delta | done | error``; disconnecting stops the
    model unless ``keep``."""
    context = context_of(request)
    # A 404 or 403 must come before the stream begins.
    conversation = await asyncio.to_thread(ConversationStore(context).get, conversation_id)
    refuse_from_elsewhere(request, conversation.tools)
    turns = _turns(request)
    running = turns.start(conversation_id, _events(context, conversation_id, body, lambda: turns.leaving))
    return _streamed(running, keep=body.keep)


@router.get("/{conversation_id}/turn", response_class=StreamingResponse)
async def follow_turn(conversation_id: str, request: Request) -> StreamingResponse:
    """The answer on its way, from its ``start``, as ``POST`` streams it; no event at all where none is."""
    await asyncio.to_thread(ConversationStore(context_of(request)).get, conversation_id)
    return _streamed(_turns(request).of(conversation_id), keep=True)


@router.delete("/{conversation_id}/turn", status_code=204)
async def stop_turn(conversation_id: str, request: Request) -> None:
    """Stop the answer on its way, if there is one; what came of it is kept, marked ``stopped``."""
    await asyncio.to_thread(ConversationStore(context_of(request)).get, conversation_id)
    await _turns(request).stop(conversation_id)


def _delete(context: Context, conversation_id: str) -> None:
    """The conversation, with the runs that worked out its answers: those first, since without it nobody would find them."""
    store, runs = ConversationStore(context), RunStore(context)
    for run_id in [m.run_id for m in store.get(conversation_id).messages if m.run_id]:
        with suppress(NotFoundError):
            job_id = runs.get(run_id).job_id
            if job_id is not None:  # it was told to stop: until it has, it writes
                JobStore(context).wait(job_id, timeout=_STOPS_WITHIN)
            runs.remove(run_id)
    store.delete(conversation_id)


def _turns(request: Request) -> RunningTurns:
    return cast(RunningTurns, request.app.state.turns)


async def _events(
    context: Context, conversation_id: str, body: Turn, leaving: Callable[[], bool]
) -> AsyncGenerator[Event, None]:
    params = body.params.model_dump(exclude_none=True)
    async with connect(context) as client:
        events = run_turn(
            context,
            client,
            conversation_id,
            parent_id=body.parent_id,
            content=body.content,
            params=params,
            attachments=body.attachments,
            leaving=leaving,
        )
        async with aclosing(events):
            async for event in events:
                yield event


def _streamed(running: RunningTurn | None, *, keep: bool) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        if running is None:
            return
        try:
            async for event in running.follow():
                yield event.frame()
        finally:
            if not keep:
                running.stop()

    return StreamingResponse(lines(), media_type=MEDIA_TYPE, headers=HEADERS)
