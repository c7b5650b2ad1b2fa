"""``/v1/rerank``: documents scored against a query by an embedder. The score is the cosine of their vectors.

That is a bi-encoder's judgement, not a cross-encoder's: it costs one embedding a document, and tells near from far less
finely than a model that reads query and document together. The documentation says so too.
"""

from __future__ import annotations

import asyncio
from typing import Any

from zhilu.serving.embeddings import Embeddings, refuse_long
from zhilu.wire.rerank import RerankRequest, rerank_list

__all__ = ["rerank"]


async def rerank(embeddings: Embeddings, name: str, request: RerankRequest) -> dict[str, Any]:
    """The reply. InputError for a text longer than the embedder reads (by how much)."""
    return await asyncio.to_thread(_rerank, embeddings, name, request)


def _rerank(embeddings: Embeddings, name: str, request: RerankRequest) -> dict[str, Any]:
    embedder = embeddings.load(name)
    texts = request.texts
    query_tokens = refuse_long(embedder, name, [request.query], "query")
    num_tokens = query_tokens + refuse_long(embedder, name, texts, "documents")
    query = embedder.embed([request.query], kind="query")[0]
    vectors = embedder.embed(texts, kind="passage")  # (num_texts, dim), length 1
    return rerank_list(name, request, (vectors @ query).tolist(), num_tokens)
