"""``POST /v1/rerank``, as Jina's API and vLLM have it: a query, documents, and how well each fits."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from zhilu.messages import T
from zhilu.wire.requests import Refusal, Request

__all__ = ["RerankRequest", "rerank_list"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    text: str


class RerankRequest(Request):
    """``top_n`` 0 or absent: all of them. ``max_tokens_per_doc`` and ``truncate_prompt_tokens`` are refused by name."""

    query: Annotated[str, Field(min_length=1)]
    documents: Annotated[list[str | _Document], Field(min_length=1, max_length=2048)]
    top_n: Annotated[int, Field(ge=0)] | None = None
    return_documents: bool = True
    truncate_prompt_tokens: None = None
    max_tokens_per_doc: None = None

    @model_validator(mode="after")
    def _no_empty_text(self) -> RerankRequest:
        for number, text in enumerate(self.texts):
            if not text.strip():
                raise Refusal("documents", T(f"number {number} is empty", f"第 {number} 个是空的"))
        return self

    @property
    def texts(self) -> list[str]:
        return [document if isinstance(document, str) else document.text for document in self.documents]


def rerank_list(model: str, request: RerankRequest, scores: Sequence[float], num_tokens: int) -> dict[str, Any]:
    """The reply: best first, at most ``top_n``; equal scores keep their order."""
    texts = request.texts
    order = sorted(range(len(texts)), key=lambda index: -scores[index])[: request.top_n or None]
    return {
        "id": f"rerank-{uuid.uuid4().hex[:24]}",
        "model": model,
        "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
        "results": [
            {
                "index": index,
                **({"document": {"text": texts[index]}} if request.return_documents else {}),
                "relevance_score": float(scores[index]),
            }
            for index in order
        ],
    }
