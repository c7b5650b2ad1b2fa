"""``/v1/vector_stores``: knowledge bases in OpenAI's words, and the search in them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from zhilu.context import Context, context_of
from zhilu.errors import UnsupportedError
from zhilu.messages import T
from zhilu.rag.index.ingest import requeue_stranded, start_ingestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.openai.attached import Attachments, counts, seconds
from zhilu.rag.openai.file_routes import nothing_expires
from zhilu.rag.openai.files import FileShelf
from zhilu.rag.openai.filters import FileFilter
from zhilu.rag.openai.pages import Paging, page_of
from zhilu.rag.openai.passages import PassageRanking, search_stores

__all__ = ["opened", "refuse_static", "router"]

router = APIRouter(prefix="/v1/vector_stores", tags=["openai"])
Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)]  # fmt: skip
_METADATA = "openai_metadata"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewVectorStore(_Body):
    name: str | None = Field(None, max_length=100)
    description: str | None = Field(None, max_length=2000)
    file_ids: list[str] = Field(default_factory=list, max_length=500)
    metadata: Metadata | None = None
    chunking_strategy: dict[str, Any] | None = None
    expires_after: dict[str, Any] | None = None


class VectorStoreChanges(_Body):
    name: str | None = Field(None, min_length=1, max_length=100)
    metadata: Metadata | None = None
    expires_after: dict[str, Any] | None = None


class VectorStoreSearch(_Body):
    query: (
        Annotated[str, Field(min_length=1, max_length=4000)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=4000)]], Field(min_length=1, max_length=16)]
    )
    filters: FileFilter | None = None
    max_num_results: int = Field(10, ge=1, le=50)
    ranking_options: PassageRanking | None = None
    rewrite_query: Literal[False] = False


@router.post("")
def create_vector_store(body: NewVectorStore, request: Request) -> dict[str, Any]:
    """A new knowledge base. A name that is taken gets a number, since OpenAI's may share one."""
    if body.expires_after is not None:
        raise nothing_expires()
    refuse_static(body.chunking_strategy)
    context = context_of(request)
    library, shelf = Library(context), FileShelf(context.home)
    files = [shelf.get(file_id) for file_id in dict.fromkeys(body.file_ids)]
    kb = library.create(body.name or "vector store", body.description or "", numbered=True)
    if body.metadata:
        kb.database.set_meta(**{_METADATA: json.dumps(body.metadata, ensure_ascii=False)})
    attachments = Attachments(kb)
    for file in files:
        with shelf.original(file.id).open("rb") as stream:
            attachments.add(file, stream, {}, max_mb=context.settings.max_upload_mb)
    start_ingestion(context, kb, kb.waiting())
    return _store(kb)


@router.get("")
def list_vector_stores(request: Request, paging: Paging) -> dict[str, Any]:
    """Those that can be opened, the newest first."""
    library = Library(context_of(request))
    return page_of([_store(library.open(i.id)) for i in library.list() if i.error is None], paging)


@router.get("/{store_id}")
def get_vector_store(store_id: str, request: Request) -> dict[str, Any]:
    context = context_of(request)
    kb = opened(context, store_id)
    requeue_stranded(context, kb)
    return _store(kb)


@router.post("/{store_id}")
def change_vector_store(store_id: str, body: VectorStoreChanges, request: Request) -> dict[str, Any]:
    if body.expires_after is not None:
        raise nothing_expires()
    context = context_of(request)
    kb = opened(context, store_id)
    if body.name is not None and body.name != kb.name:
        library = Library(context)
        library.rename(kb, library.free_name(body.name))
    if "metadata" in body.model_fields_set:
        kb.database.set_meta(**{_METADATA: json.dumps(body.metadata or {}, ensure_ascii=False)})
    return _store(kb)


@router.delete("/{store_id}")
def delete_vector_store(store_id: str, request: Request) -> dict[str, Any]:
    """Delete the knowledge base with its documents; uploads to ``/v1/files`` stay."""
    context = context_of(request)
    kb = opened(context, store_id)
    Library(context).remove(kb.id)
    return {"id": f"vs_{kb.id}", "object": "vector_store.deleted", "deleted": True}


@router.post("/{store_id}/search")
def search_vector_store(store_id: str, body: VectorStoreSearch, request: Request) -> dict[str, Any]:
    """The passages that fit best. ``score`` is the fused one, 0 to 1; a threshold leaves out what is below it."""
    context = context_of(request)
    queries = [body.query] if isinstance(body.query, str) else body.query
    found = search_stores(
        context, [opened(context, store_id)], queries, body.max_num_results, body.filters, body.ranking_options
    )
    return {
        "object": "vector_store.search_results.page", "search_query": queries, "has_more": False, "next_page": None,
        "data": [
            {
                "file_id": f.file_id, "filename": f.filename, "score": f.score, "attributes": f.attributes,
                "content": [{"type": "text", "text": f.text}],
            }
            for f in found
        ],
    }  # fmt: skip


def opened(context: Context, store_id: str) -> KnowledgeBase:
    """A vector store by its id, ``vs_<knowledge base>``, or by the knowledge base's name or id."""
    return Library(context).open(store_id.removeprefix("vs_"))


def refuse_static(strategy: dict[str, Any] | None) -> None:
    """``auto`` is ours: by structure, in pieces of one size. Raises UnsupportedError for another."""
    if strategy is not None and strategy != {"type": "auto"}:
        raise UnsupportedError(
            T(
                "chunking_strategy: only {'type': 'auto'} is supported; documents are cut by their structure.",
                "chunking_strategy：只支持 {'type': 'auto'}；文档按其结构切分。",
            ),
            param="chunking_strategy",
        )


def _store(kb: KnowledgeBase) -> dict[str, Any]:
    info, files = kb.info(), counts(Attachments(kb).every())
    return {
        "id": f"vs_{kb.id}", "object": "vector_store", "name": info.name, "description": info.description,
        "created_at": seconds(info.created_at), "last_active_at": seconds(info.updated_at), "usage_bytes": info.size_bytes,
        "file_counts": files, "status": "in_progress" if files["in_progress"] else "completed",
        "metadata": json.loads(kb.database.meta(_METADATA) or "{}"), "expires_after": None, "expires_at": None,
    }  # fmt: skip
