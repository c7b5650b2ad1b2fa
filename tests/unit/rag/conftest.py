"""A context on a home of its own, and knowledge bases filled in process with the hashing embedder."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from zhilu.client import ModelClient
from zhilu.context import Context, open_context
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.testing import HASH

Fill = Callable[[dict[str, str]], KnowledgeBase]


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context()
    yield opened
    opened.close()


@pytest.fixture
def fill(context: Context) -> Fill:
    """``fill({"name.md": "text"})``: a knowledge base with these documents, ready."""

    def make(files: dict[str, str], embedder: str = HASH.name) -> KnowledgeBase:
        kb = Library(context).create(f"kb {len(Library(context).list())}", embedder=embedder)
        for name, text in files.items():
            document, _ = kb.add(io.BytesIO(text.encode()), name, max_mb=10)
            ingest_document(kb, document.id, embedder_of(context, embedder), lambda share, stage: None)
        return kb

    return make


@pytest.fixture
def scripted() -> Callable[..., ModelClient]:
    """``scripted("answer", …)``: a client whose server answers with these texts in turn, streamed in small pieces.

    ``client.asked`` holds the request bodies. The wire is real (JSON, SSE, status codes), only the words are given.
    """

    def make(
        *answers: str, context: int = 4096, logprob: float | None = None, refuses: str | None = None
    ) -> ModelClient:
        asked: list[dict[str, Any]] = []
        left = list(answers)

        def serve(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/v1/models":
                return httpx.Response(200, json={"data": [{"id": "m", "max_model_len": context}]})
            body = json.loads(request.content)
            if request.url.path == "/tokenize":
                count = sum(len(m["content"]) for m in body["messages"])  # a character is a token
                return httpx.Response(200, json={"count": count, "max_model_len": context})
            if refuses in body:
                return httpx.Response(
                    400, json={"error": {"message": f"unknown parameter {refuses}", "param": refuses}}
                )
            asked.append(body)
            text = left.pop(0)
            if not body.get("stream"):
                return httpx.Response(200, json={"choices": [{"message": {"role": "assistant", "content": text}}]})
            sure = {} if logprob is None else {"logprobs": {"content": [{"token": "x", "logprob": logprob}]}}
            lines = [{"choices": [{"delta": {"content": text[i : i + 3]}, **sure}]} for i in range(0, len(text), 3)]
            lines.append({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}})
            events = "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
            return httpx.Response(200, text=events, headers={"content-type": "text/event-stream"})

        client = ModelClient("http://localhost", transport=httpx.MockTransport(serve))
        client.asked = asked  # type: ignore[attr-defined]
        return client

    return make
