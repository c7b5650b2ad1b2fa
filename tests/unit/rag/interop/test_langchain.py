"""LangChain's own tests of a retriever, against a workbench that runs.

langchain-tests brings pytest plugins that change how every test runs, so it is no part of the extra ``dev``. In an environment with it::

    python -m pytest -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function tests/unit/rag/interop
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

pytest.importorskip("langchain_tests", reason="langchain-tests is not installed here")

import httpx
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests

from zhilu.context import Context
from zhilu.host.app import create_app
from zhilu.rag.interop.langchain import ZhiluRetriever
from zhilu.rag.kb import KnowledgeBase

TEXTS = {
    f"{name}.md": f"# {name}\n\nThe {name} needs a coin of {n} euro for a locker.\n"
    for n, name in enumerate(("pool", "sauna", "gym", "library"), start=1)
}


class TestZhiluRetriever(RetrieversIntegrationTests):
    where: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def running(self, context: Context, fill: Callable[..., KnowledgeBase]) -> Iterator[None]:
        import uvicorn

        kb = fill(TEXTS)
        server = uvicorn.Server(
            uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_level="warning", http="h11")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        for _ in range(400):
            if server.started:
                break
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.where.update(knowledge_base=kb.id, base_url=f"http://127.0.0.1:{port}")
        yield
        server.should_exit = True
        thread.join(15)

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
