"""LangChain's own tests of a retriever and of a vector store, against a workbench that runs.

langchain-tests brings pytest plugins that change how every test runs, so it is no part of the extra ``dev``. In an environment with it::

    python -m pytest -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function tests/unit/rag/interop
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

pytest.importorskip("langchain_tests", reason="langchain-tests is not installed here")

import httpx
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from zhilu.rag.interop.langchain import ZhiluRetriever, ZhiluVectorStore
from zhilu.rag.kb import KnowledgeBase

TEXTS = {
    f"{name}.md": f"# {name}\n\nThe {name} needs a coin of {n} euro for a locker.\n"
    for n, name in enumerate(("pool", "sauna", "gym", "library"), start=1)
}


class TestZhiluRetriever(RetrieversIntegrationTests):
    where: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def running(self, workbench: str, fill: Callable[..., KnowledgeBase]) -> None:
        self.where.update(knowledge_base=fill(TEXTS).id, base_url=workbench)

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return ZhiluRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return self.where

    @property
    def retriever_query_example(self) -> str:
        return "coin for a locker"

    def test_what_a_document_says_of_itself(self) -> None:
        best = ZhiluRetriever(**self.where, k=1).invoke("How many euro does the sauna locker need?")[0]
        assert "sauna" in best.page_content and best.metadata["source"] == "sauna.md" and best.metadata["score"] > 0
        again = asyncio.run(ZhiluRetriever(**self.where, k=1).ainvoke("How many euro does the sauna locker need?"))
        assert again == [best]
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            ZhiluRetriever(**{**self.where, "knowledge_base": "nothing"}).invoke("x")


class TestZhiluVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, workbench: str) -> ZhiluVectorStore:
        return ZhiluVectorStore(f"store {uuid.uuid4()}", base_url=workbench)

    def test_filters_scores_and_long_texts(self, vectorstore: ZhiluVectorStore) -> None:
        long = " ".join(f"Rule {n}: the locker of room {n} costs {n} euro." for n in range(1, 300))
        vectorstore.add_texts(
            [long, "A towel costs two euro."], [{"year": 2024}, {"year": 2025}], ids=["long", "towel"]
        )
        found = vectorstore.similarity_search_with_relevance_scores("What does the locker of room 217 cost?", k=1)
        assert found[0][0] == Document(id="long", page_content=long, metadata={"year": 2024}) and 0 < found[0][1] <= 1
        assert [d.id for d in vectorstore.similarity_search("locker", filter={"year": 2025})] == ["towel"]
        newer = {"type": "gt", "key": "year", "value": 2024}
        assert [d.id for d in vectorstore.similarity_search("locker", filter=newer)] == ["towel"]
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            vectorstore.similarity_search("locker", filter={"type": "like", "key": "year"})
        with pytest.raises(TypeError, match="colour"):
            vectorstore.add_texts(["x"], colour="red")
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            vectorstore.add_texts([""])
