"""LangChain: a knowledge base as a retriever. Needs ``langchain-core`` (``pip install 'zhilu[langchain]'``).

    from zhilu.rag.interop.langchain import ZhiluRetriever

    retriever = ZhiluRetriever(knowledge_base="handbook", k=4)
    retriever.invoke("How long is the warranty?")

It asks a running workbench over HTTP, so that the program beside it needs neither the embedder nor the index. The chat model of the
same server is LangChain's own for OpenAI's protocol, with ``base_url`` http://127.0.0.1:8642/v1.
"""

from __future__ import annotations

from typing import Any

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field, SecretStr

__all__ = ["ZhiluRetriever"]


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
