"""LangChain: a knowledge base as a retriever and as a vector store. Needs ``langchain-core`` (``pip install 'zhilu[langchain]'``).

    from zhilu.rag.interop.langchain import ZhiluRetriever, ZhiluVectorStore

    retriever = ZhiluRetriever(knowledge_base="handbook", k=4)
    retriever.invoke("How long is the warranty?")

    store = ZhiluVectorStore("notes")  # made where there is none
    store.add_documents([Document("The gate code is 4711.", metadata={"year": 2025})])
    store.similarity_search("gate code", k=1, filter={"year": 2025})

Both ask a running workbench over HTTP, so that the program beside it needs neither the embedder nor the index. The chat model of the
same server is LangChain's own for OpenAI's protocol, with ``base_url`` http://127.0.0.1:8642/v1.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from pydantic import Field, SecretStr

from zhilu.rag.interop.workbench import Workbench

__all__ = ["ZhiluRetriever", "ZhiluVectorStore"]


class ZhiluRetriever(BaseRetriever):
    """The passages that fit a question best, the best first, with document, page, heading, offsets and score as metadata.

    Attributes:
        knowledge_base: its name or id.
        k: passages, 1 to 50; ``invoke(query, k=…)`` overrides it.
        base_url: where the workbench is.
        api_key: where it asks for one.

    Raises (when invoked):
        httpx.HTTPStatusError: the workbench refuses, with its words in the response. httpx.ConnectError: none runs there.
    """

    knowledge_base: str
    k: int = Field(4, ge=1, le=50)
    base_url: str = "http://127.0.0.1:8642"
    api_key: SecretStr | None = None
    timeout: float = 60.0

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None, **_: Any
    ) -> list[Document]:
        with httpx.Client(**self._how()) as client:
            response = client.post(self._path(), json={"query": query, "k": k or self.k})
        return _documents(response)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None, **_: Any
    ) -> list[Document]:
        async with httpx.AsyncClient(**self._how()) as client:
            response = await client.post(self._path(), json={"query": query, "k": k or self.k})
        return _documents(response)

    def _path(self) -> str:
        return str(httpx.URL(self.base_url).join(f"/zhilu/v1/kbs/{self.knowledge_base}/search"))

    def _how(self) -> dict[str, Any]:
        local = httpx.URL(self.base_url).host in ("127.0.0.1", "localhost", "::1")  # no proxy stands between
        key = self.api_key.get_secret_value() if self.api_key else None
        return {
            "headers": {"Authorization": f"Bearer {key}"} if key else {}, "timeout": self.timeout, "trust_env": not local,
        }  # fmt: skip


def _documents(response: httpx.Response) -> list[Document]:
    response.raise_for_status()
    return [
        Document(
            id=f"{hit['doc_id']}:{hit['chunk_id']}",
            page_content=hit["text"],
            metadata={
                "source": hit["doc_name"], "document_id": hit["doc_id"], "page": hit["page"], "heading": hit["heading"],
                "start": hit["start"], "end": hit["end"], "score": hit["score"],
            },
        )
        for hit in response.json()["hits"]
    ]  # fmt: skip


class ZhiluVectorStore(VectorStore):
    """A knowledge base as a vector store. It embeds with its own model and searches by vectors and words together.

    A text is one document of the knowledge base, however long: it is found by its passages and given back whole. What was added
    another way (files, in the page) is found as well, passage by passage.

    Args:
        knowledge_base: its name or id; made where there is none of this name.
        base_url: where the workbench is; ``api_key``: where it asks for one.

    Raises:
        httpx.HTTPStatusError: the workbench refuses, with its words in the message. httpx.ConnectError: none runs there.
    """

    def __init__(
        self,
        knowledge_base: str,
        *,
        base_url: str = "http://127.0.0.1:8642",
        api_key: str | None = None,
        timeout: float = 120.0,
    ) -> None:
        self._workbench = Workbench(knowledge_base, base_url, api_key, timeout)
        self._workbench.ensure()

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> ZhiluVectorStore:
        """``kwargs``: those of the constructor."""
        if embedding is not None:
            warnings.warn("a knowledge base embeds with its own model: embedding is not used", stacklevel=2)
        store = cls(**kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Add texts, or replace those whose id is there; returns when they can be found."""
        _refuse(kwargs)
        texts = list(texts)
        if any(given is not None and len(given) != len(texts) for given in (metadatas, ids)):
            raise ValueError(f"{len(texts)} texts need as many metadatas and ids")
        made = [id or str(uuid.uuid4()) for id in ids or [None] * len(texts)]
        of_each = metadatas or [{}] * len(texts)
        self._workbench.put([{"id": i, "text": t, "metadata": m} for i, t, m in zip(made, texts, of_each, strict=True)])
        return made

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Delete by id; ids that are not there are passed over. All at once is not offered: delete the knowledge base."""
        _refuse(kwargs)
        if ids is None:
            raise ValueError("give the ids to delete; to delete all, remove the knowledge base: zhilu kb remove NAME")
        self._workbench.remove(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        return [_document(text) for text in self._workbench.get(ids)]

    def similarity_search(
        self, query: str, k: int = 4, *, filter: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Document]:
        """``filter``: values that the metadata must have, or a filter as OpenAI's vector stores take it (``type`` and
        ``filters`` or ``key``)."""
        return [d for d, _ in self.similarity_search_with_score(query, k, filter=filter, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The score is 0 to 1, higher is better."""
        _refuse(kwargs)
        return [(_document(text), text["score"]) for text in self._workbench.search(query, k, _filter(filter))]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda score: score


def _refuse(unknown: dict[str, Any]) -> None:
    if unknown:
        raise TypeError(f"unknown arguments: {', '.join(sorted(unknown))}")


def _filter(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    if not wanted or {"type", "key"} <= set(wanted) or {"type", "filters"} <= set(wanted):
        return wanted or None
    return {"type": "and", "filters": [{"type": "eq", "key": k, "value": v} for k, v in wanted.items()]}


def _document(text: dict[str, Any]) -> Document:
    return Document(id=text["id"], page_content=text["text"], metadata=text["metadata"])
