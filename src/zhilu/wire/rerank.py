"""``POST /v1/rerank`` as in Jina's API and vLLM (a query, documents, and how well each fits), and ``/v1/score`` for pairs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from zhilu.messages import T
from zhilu.wire.requests import Refusal, Request, Truncation

__all__ = ["RerankRequest", "ScoreRequest", "rerank_list", "score_list"]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    text: str


class RerankRequest(Request):
    """``top_n`` 0 or absent: all of them. Texts are cut only where ``truncate_prompt_tokens`` or ``max_tokens_per_doc`` say so."""

    query: Annotated[str, Field(min_length=1)]
    documents: Annotated[list[str | _Document], Field(min_length=1, max_length=2048)]
    top_n: Annotated[int, Field(ge=0)] | None = None
    return_documents: bool = True
    truncate_prompt_tokens: Truncation = None
    max_tokens_per_doc: Annotated[int, Field(ge=1)] | None = None

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


_Texts = str | Annotated[list[str], Field(min_length=1, max_length=2048)]
# What vLLM calls the two sides of a pair; the first name is ours in messages.
_SIDES = (("queries", "text_1", "data_1"), ("documents", "items", "text_2", "data_2"))


class ScoreRequest(Request):
    """vLLM's ``/v1/score``: ``queries`` against ``documents``, one against each, or pair by pair."""

    queries: _Texts
    documents: _Texts
    truncate_prompt_tokens: Truncation = None

    @staticmethod
    def is_meant(data: Mapping[str, Any]) -> bool:
        """A request that names a query side is one of these."""
        return any(name in data for name in _SIDES[0])

    @model_validator(mode="before")
    @classmethod
    def _one_name_a_side(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        out = dict(data)
        for names in _SIDES:
            given = [name for name in names if name in data]
            if len(given) > 1:
                raise Refusal(given[1], T(f"is another name of {given[0]}: give one", f"与 {given[0]} 同义：只给一个"))
            if given:
                out[names[0]] = out.pop(given[0])
        return out

    @model_validator(mode="after")
    def _they_pair_up(self) -> ScoreRequest:
        left, right = self.sides
        if len(left) not in (1, len(right)):
            raise Refusal(
                "documents",
                T(
                    f"{len(left)} queries need as many, given {len(right)}",
                    f"有 {len(left)} 个 queries，却给出 {len(right)} 个",
                ),
            )
        if not all(text.strip() for text in (*left, *right)):
            raise Refusal("documents", T("a text is empty", "有空文本"))
        return self

    @property
    def sides(self) -> tuple[list[str], list[str]]:
        """Queries and documents; one query stands against every document."""
        left, right = ([side] if isinstance(side, str) else list(side) for side in (self.queries, self.documents))
        return left, right


def score_list(model: str, scores: Sequence[float], num_tokens: int) -> dict[str, Any]:
    return {
        "id": f"score-{uuid.uuid4().hex[:24]}",
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": [{"index": index, "object": "score", "score": float(score)} for index, score in enumerate(scores)],
        "usage": {"prompt_tokens": num_tokens, "completion_tokens": 0, "total_tokens": num_tokens},
    }
