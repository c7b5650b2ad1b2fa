"""Vector stores: one protocol, one file per back end. The default uses the knowledge base's own SQLite file.

Another package adds one with an entry point in ``zhilu.stores`` that names a ``StoreKind``; ``rag.testing`` has the suite.
"""

from __future__ import annotations

from zhilu.messages import T
from zhilu.rag.stores.base import Filter, StoreFacts, StoreKind, StorePlace, Vector, VectorRow, VectorStore
from zhilu.registry import Registry

__all__ = [
    "DEFAULT", "STORES", "Filter", "StoreFacts", "StoreKind", "StorePlace", "Vector", "VectorRow", "VectorStore",
]  # fmt: skip

DEFAULT = "sqlite"
STORES: Registry[StoreKind] = Registry.from_entry_points("zhilu.stores", T("vector store", "向量库"))
if DEFAULT not in STORES:  # a checkout whose package metadata is older than its code
    STORES.add(DEFAULT, "zhilu.rag.stores.sqlite:SQLITE")
