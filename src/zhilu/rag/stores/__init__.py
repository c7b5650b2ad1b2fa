"""Vector stores: one protocol, one file per back end. The default lives in the knowledge base's own SQLite file."""

from __future__ import annotations

from zhilu.rag.stores.base import Filter, StoreFacts, VectorRow, VectorStore
from zhilu.rag.stores.sqlite import SqliteVectorStore

__all__ = ["Filter", "SqliteVectorStore", "StoreFacts", "VectorRow", "VectorStore"]
