"""The services ``/v1/rerank`` and ``/v1/score``: documents scored against a query by the cosine of their vectors.

This is the judgement of a bi-encoder, not of a cross-encoder: it costs one embedding per document, and tells near from far less
precisely than a model that reads query and document together. The documentation says so too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zhilu.context import Context
from zhilu.host.services import Reply
from zhilu.serving.api.embeddings import Embeddings, cut, refuse_long
from zhilu.wire.rerank import RerankRequest, ScoreRequest, rerank_list, score_list

if TYPE_CHECKING:
    from zhilu.models.embedders import Embedder

__all__ = ["RERANK", "SCORE"]


class RerankService:
    """Documents in the order in which they answer a query."""

    paths = ("/v1/rerank", "/rerank", "/v2/rerank")
    tag = "openai"
    request = RerankRequest

    def models(self, context: Context) -> list[str]:
        return Embeddings(context).names()

    async def answer(self, context: Context, body: RerankRequest) -> Reply:
        embeddings = Embeddings(context)
        name = embeddings.wanted(body.model)
        reply = await asyncio.to_thread(_rerank, embeddings, name, body)
        return Reply(name, reply, reply["usage"])


class ScoreService:
    """The likeness of pairs of texts."""

    paths = ("/v1/score", "/score")
    tag = "vllm"
    request = ScoreRequest

    def models(self, context: Context) -> list[str]:
        return Embeddings(context).names()

    async def answer(self, context: Context, body: ScoreRequest) -> Reply:
        embeddings = Embeddings(context)
        name = embeddings.wanted(body.model)
        reply = await asyncio.to_thread(_score, embeddings, name, body)
        return Reply(name, reply, reply["usage"])


RERANK, SCORE = RerankService(), ScoreService()


def _rerank(embeddings: Embeddings, name: str, request: RerankRequest) -> dict[str, Any]:
    embedder = embeddings.load(name)
    texts = cut(embedder, name, request.texts, request.max_tokens_per_doc, "max_tokens_per_doc")
    query, texts = (cut(embedder, name, side, request.truncate_prompt_tokens) for side in ([request.query], texts))
    scores, num_tokens = _compare(embedder, name, query, texts, "query")
    return rerank_list(name, request, scores, num_tokens)


def _score(embeddings: Embeddings, name: str, request: ScoreRequest) -> dict[str, Any]:
    embedder = embeddings.load(name)
    left, right = (cut(embedder, name, side, request.truncate_prompt_tokens) for side in request.sides)
    scores, num_tokens = _compare(embedder, name, left, right, "queries")
    return score_list(name, scores, num_tokens)


def _compare(
    embedder: Embedder, name: str, queries: list[str], documents: list[str], param: str
) -> tuple[list[float], int]:
    """The score of each document against its query, or the only one, and the number of tokens read."""
    num_tokens = refuse_long(embedder, name, queries, param) + refuse_long(embedder, name, documents, "documents")
    asked = embedder.embed(queries, kind="query")
    vectors = embedder.embed(documents, kind="passage")  # (num_documents, dim), length 1
    return (vectors * asked).sum(axis=1).tolist(), num_tokens
