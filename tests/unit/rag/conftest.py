"""A context on a home of its own, and knowledge bases filled in process with the hashing embedder."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest

from zhilu.context import Context, open_context
from zhilu.rag.embedding import embedder_of
from zhilu.rag.ingest import ingest_document
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
