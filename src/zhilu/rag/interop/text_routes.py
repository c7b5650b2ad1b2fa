"""``/zhilu/v1/kbs/{id}/texts``: what the vector stores of LangChain and LlamaIndex are made of (see ``texts``)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import context_of
from zhilu.jobs import Job
from zhilu.rag.interop.texts import FoundText, KeptText, TextShelf
from zhilu.rag.library import Library
from zhilu.rag.openai.filters import FileFilter

__all__ = ["router"]

router = APIRouter(prefix="/zhilu/v1/kbs/{kb_id}/texts", tags=["knowledge"])
TextId = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewText(_Body):
    id: TextId
    text: str
    metadata: dict[str, Any] = Field(default_factory=dict)


class NewTexts(_Body):
    texts: list[NewText] = Field(max_length=1000)


class TextIds(_Body):
    ids: list[TextId] = Field(max_length=1000)


class TextsToRemove(_Body):
    """By id, or by a filter over their metadata."""

    ids: list[TextId] | None = Field(None, max_length=1000)
    filters: FileFilter | None = None


class TextQuery(_Body):
    query: str = Field(min_length=1, max_length=4000)
    k: int = Field(4, ge=1, le=50)
    filters: FileFilter | None = None
    weight: float | None = Field(None, ge=0, le=1)


class PutTexts(BaseModel):
    """``job`` reads them; None where they can be found already."""

    ids: list[str]
    job: Job | None


class KeptTexts(BaseModel):
    texts: list[KeptText]


class FoundTexts(BaseModel):
    texts: list[FoundText]


class RemovedTexts(BaseModel):
    removed: int


def _shelf(request: Request, kb_id: str) -> TextShelf:
    context = context_of(request)
    return TextShelf(context, Library(context).open(kb_id))


@router.post("")
def put_texts(kb_id: str, body: NewTexts, request: Request) -> PutTexts:
    """Keep texts, each under its id; an id that is there already is replaced."""
    job = _shelf(request, kb_id).put([KeptText(**t.model_dump()) for t in body.texts])
    return PutTexts(ids=[t.id for t in body.texts], job=job)


@router.post("/get")
def get_texts(kb_id: str, body: TextIds, request: Request) -> KeptTexts:
    """Those that are there."""
    return KeptTexts(texts=_shelf(request, kb_id).get(body.ids))


@router.post("/remove")
def remove_texts(kb_id: str, body: TextsToRemove, request: Request) -> RemovedTexts:
    shelf = _shelf(request, kb_id)
    ids = list(body.ids or []) + (shelf.ids_where(body.filters) if body.filters is not None else [])
    return RemovedTexts(removed=shelf.remove(ids))


@router.post("/search")
def search_texts(kb_id: str, body: TextQuery, request: Request) -> FoundTexts:
    """The texts whose passages fit best, whole; documents that came another way as passages. ``weight``: the vectors' share."""
    return FoundTexts(texts=_shelf(request, kb_id).search(body.query, body.k, body.filters, body.weight))
