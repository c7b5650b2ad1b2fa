"""``/zhilu/v1/conversations``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.chat.store import Conversation, ConversationStore, Summary
from zhilu.apps.chat.turn import run_turn
from zhilu.client import connect
from zhilu.context import context_of
from zhilu.errors import error_body
from zhilu.events import HEADERS, MEDIA_TYPE, frame
from zhilu.logs import as_error

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/conversations", tags=["chat"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if not app.state.ephemeral:  # a gateway that lives beside another must not touch that one's turns
        ConversationStore(app.state.context).close_interrupted()
    yield


class NewConversation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = Field("", max_length=300)
    model: str | None = None
    kb_id: str | None = None


class ConversationChanges(BaseModel):
    """Fields left out stay as they are; null clears ``model`` or ``kb_id``."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field("", max_length=300)
    head_id: str | None = None
    model: str | None = None
    kb_id: str | None = None


class SamplingParams(BaseModel):
    model_config = ConfigDict(extra="forbid")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    repetition_penalty: float | None = Field(None, gt=0)


class Turn(BaseModel):
    """``content`` null answers the user message ``parent_id`` again."""

    model_config = ConfigDict(extra="forbid")
    parent_id: str | None = None
    content: str | None = Field(None, max_length=400_000)
    params: SamplingParams = SamplingParams()


@router.get("")
def list_conversations(request: Request) -> list[Summary]:
    return ConversationStore(context_of(request)).list()


@router.post("", status_code=201)
def create_conversation(body: NewConversation, request: Request) -> Conversation:
    return ConversationStore(context_of(request)).create(**body.model_dump())


@router.get("/{conversation_id}")
def get_conversation(conversation_id: str, request: Request) -> Conversation:
    return ConversationStore(context_of(request)).get(conversation_id)


@router.patch("/{conversation_id}")
def change_conversation(conversation_id: str, body: ConversationChanges, request: Request) -> Conversation:
    return ConversationStore(context_of(request)).change(conversation_id, body.model_dump(exclude_unset=True))


@router.delete("/{conversation_id}", status_code=204)
def delete_conversation(conversation_id: str, request: Request) -> None:
    ConversationStore(context_of(request)).delete(conversation_id)


@router.post("/{conversation_id}/turn", response_class=StreamingResponse)
async def turn(conversation_id: str, body: Turn, request: Request) -> StreamingResponse:
    """Server-sent events ``start | retrieved | delta | done | error``; disconnecting stops the model."""
    context = context_of(request)
    ConversationStore(context).get(conversation_id)  # a 404 must come before the stream begins
    params = body.params.model_dump(exclude_none=True)

    async def events() -> AsyncIterator[bytes]:
        try:
            async with connect(context) as client:
                turn_events = run_turn(
                    context, client, conversation_id, parent_id=body.parent_id, content=body.content, params=params
                )
                async with aclosing(turn_events):
                    async for event in turn_events:
                        yield event.frame()
        except Exception as error:  # whatever it is: a stream that has begun ends with an event
            yield frame({**error_body(as_error(error)), "assistant": None}, "error")

    return StreamingResponse(events(), media_type=MEDIA_TYPE, headers=HEADERS)
