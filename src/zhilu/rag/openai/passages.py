"""Search in vector stores as OpenAI's two callers ask for it: the search endpoint, and the tool of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.openai.attached import Attachments
from zhilu.rag.openai.filters import FileFilter, FilterComparison, FilterCompound, fits
from zhilu.rag.retrieve.search import retrieve

__all__ = ["FILE_SEARCH", "FoundPassage", "PassageRanking", "search_stores"]

_PASSAGES = 5  # for a tool that names no number: OpenAI's 20 are more than a small model reads


class RankingShares(BaseModel):
    """How far vectors and words count; only their ratio matters."""

    model_config = ConfigDict(extra="forbid")
    embedding_weight: float = Field(ge=0, le=1e6)
    text_weight: float = Field(ge=0, le=1e6)


class PassageRanking(BaseModel):
    """``ranker``: there is one, which fuses vectors and words; its names are taken, and ``none`` as well."""

    model_config = ConfigDict(extra="forbid")
    ranker: Literal["none", "auto", "default-2024-11-15", "default_2024_08_21"] = "auto"
    score_threshold: float = Field(0.0, ge=0, le=1)
    hybrid_search: RankingShares | None = None

    @property
    def weight(self) -> float | None:
        """The vectors' share, 0 to 1; None: by the question's language."""
        shares = self.hybrid_search
        both = shares.embedding_weight + shares.text_weight if shares is not None else 0.0
        return shares.embedding_weight / both if shares is not None and both > 0 else None


class FoundPassage(BaseModel):
    file_id: str
    filename: str
    text: str
    score: float
    attributes: dict[str, Any]


def search_stores(
    context: Context,
    stores: Sequence[KnowledgeBase],
    queries: Sequence[str],
    k: int,
    wanted: FilterComparison | FilterCompound | None = None,
    ranking: PassageRanking | None = None,
) -> list[FoundPassage]:
    """The ``k`` passages of all stores that fit a query best; of several queries, a passage's best score counts."""
    ranking = ranking or PassageRanking()
    best: dict[tuple[str, int], FoundPassage] = {}
    for kb in stores:
        attachments = Attachments(kb)
        among = attachments.ready_where(lambda has: fits(wanted, has)) if wanted is not None else None
        embedder = embedder_of(context, kb.embedder)
        found = [
            hit for query in queries for hit in retrieve(kb, query, embedder, k=k, doc_ids=among, weight=ranking.weight).hits
        ]  # fmt: skip
        files = attachments.of_documents({hit.doc_id for hit in found})
        for hit in found:
            file_id, filename, attributes = files.get(hit.doc_id) or (f"file-{hit.doc_id}", hit.doc_name, {})
            known = best.get(key := (kb.id, hit.chunk_id))
            if hit.score >= ranking.score_threshold and (known is None or known.score < hit.score):
                best[key] = FoundPassage(
                    file_id=file_id, filename=filename, text=hit.text, score=hit.score, attributes=attributes
                )
    return sorted(best.values(), key=lambda p: -p.score)[:k]


class _FileSearch:
    """See ``host.services.FileSearch``."""

    def find(self, context: Context, wish: Mapping[str, Any], question: str) -> list[dict[str, Any]]:
        library = Library(context)
        stores = [library.open(i.removeprefix("vs_")) for i in dict.fromkeys(wish["vector_store_ids"])]
        filters = _checked(_FILTERS, wish.get("filters"), "filters")
        ranking = _checked(_RANKING, wish.get("ranking_options"), "ranking_options")
        k = wish.get("max_num_results") or _PASSAGES
        return [p.model_dump() for p in search_stores(context, stores, [question[:4000]], k, filters, ranking)]


FILE_SEARCH = _FileSearch()
_FILTERS: TypeAdapter[Any] = TypeAdapter(FileFilter)
_RANKING: TypeAdapter[Any] = TypeAdapter(PassageRanking)


def _checked(kind: TypeAdapter[Any], value: Any, name: str) -> Any:
    try:
        return None if value is None else kind.validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]
        where = ".".join([name, *map(str, why["loc"])])
        raise InputError(
            T(f"file_search cannot be used: {where}: {why['msg']}", f"file_search 无法使用：{where}：{why['msg']}"),
            param=name,
        ) from None
