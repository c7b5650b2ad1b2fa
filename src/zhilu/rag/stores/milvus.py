"""Milvus (Apache-2.0): a server by URL, or Milvus Lite in the knowledge base's folder. One collection a knowledge base.

The index is FLAT, so a search is exact and a filter loses nothing (with HNSW and a filter, recall .35 was measured), and reads
are of consistency level Strong: they see what any process wrote before. Milvus answers at most 16,384 rows at a time; that
many is the most that a search here returns. Its ``delete`` reports the ids it was given, not those it had: they are counted
first.

Milvus Lite locks its folder for one process and is one engine there; ``owner`` gives it a process of its own, so that all of
ours use it. It writes its log to the operating system without a sync: a kill of any process loses nothing, a loss of power may.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from zhilu.errors import UnreachableError, UpstreamError, mask_passwords
from zhilu.messages import T
from zhilu.rag.stores.base import Filter, StoreFacts, StoreKind, StorePlace, Vector, VectorRow, check_length
from zhilu.rag.stores.owned import owned

__all__ = ["MILVUS", "MILVUS_LITE", "MilvusStore", "open_lite"]

_FACTS = StoreFacts(
    "milvus",
    T(en="Milvus server", zh="Milvus 服务器"),
    exact=True,
    many_processes=True,
    transactional=False,
    elsewhere=True,
)
_LITE = StoreFacts(
    "milvus-lite",
    T(en="Milvus Lite, in a process of its own", zh="Milvus Lite，在独立进程中运行"),
    exact=True,
    many_processes=True,
    transactional=False,
)
_MOST = 16_384  # rows that Milvus answers at a time, and ids in one expression
_BATCH = 2_000  # rows sent at a time: 3 MB of 384 numbers each
_PATIENCE_S = 30


class MilvusStore:
    """``uri``: a server, with user, password and database in it if it needs them, or the path of a Milvus Lite folder."""

    def __init__(self, place: StorePlace, uri: str, facts: StoreFacts = _FACTS) -> None:
        """
        Raises:
            UnreachableError: no server there.
        """
        from pymilvus import MilvusClient

        # it logs what it raises, and an error is said once
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self.facts = facts
        self.dim = place.dim
        self._uri = uri
        self._name = f"zhilu_{place.key}"
        self._writing = threading.Lock()
        with self._explained():
            self._client: Any = MilvusClient(timeout=_PATIENCE_S, **_address(uri))
            self._make()

    def upsert(self, rows: Sequence[VectorRow]) -> None:
        check_length(rows, self.dim)
        last = {r.id: r for r in rows}  # one call may not name an id twice
        data = [{"id": r.id, "doc_id": r.doc_id, "lang": r.lang, "vector": r.vector.tolist()} for r in last.values()]
        with self._writing, self._explained():
            for at in range(0, len(data), _BATCH):
                self._client.upsert(self._name, data[at : at + _BATCH])

    def delete(self, where: Filter) -> int:
        with self._writing, self._explained():
            num = 0
            for clause in _clauses(where):
                found = self._count(clause)
                if found:
                    self._client.delete(self._name, filter=clause or "id >= 0")
                num += found
            return num

    def search(self, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        k = min(k, _MOST)
        found: dict[int, float] = {}
        with self._explained():
            for clause in _clauses(where or Filter()) if k > 0 else ():
                hits = self._client.search(
                    self._name,
                    data=[np.asarray(vector, np.float32).tolist()],
                    limit=k,
                    filter=clause,
                    search_params={"metric_type": "IP"},
                    consistency_level="Strong",
                )
                found.update((int(hit["id"]), float(hit["distance"])) for hit in hits[0])
        return sorted(found.items(), key=lambda hit: (-hit[1], hit[0]))[:k]

    def count(self, where: Filter | None = None) -> int:
        with self._explained():
            return sum(self._count(clause) for clause in _clauses(where or Filter()))

    def drop(self) -> None:
        with self._writing, self._explained():
            self._client.drop_collection(self._name)
            self._make()

    def close(self) -> None:
        self._client.close()

    def _count(self, clause: str) -> int:
        rows = self._client.query(
            self._name, filter=clause, output_fields=["count(*)"], consistency_level="Strong"
        )  # fmt: skip
        return int(rows[0]["count(*)"])

    def _make(self) -> None:
        from pymilvus import DataType

        if not self._client.has_collection(self._name):
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("doc_id", DataType.VARCHAR, max_length=128)
            schema.add_field("lang", DataType.VARCHAR, max_length=32)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=max(self.dim, 2))
            index = self._client.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="IP")
            self._client.create_collection(
                self._name, schema=schema, index_params=index, consistency_level="Strong", num_shards=1
            )  # fmt: skip
        self._client.load_collection(self._name)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except MilvusException as error:
            where, said = mask_passwords(self._uri), mask_passwords(" ".join(str(error).split())[:400])
            lost = not hasattr(self, "_client") or "connect" in said.lower() or "unavailable" in said.lower()
            kind = UnreachableError if lost else UpstreamError
            raise kind(
                T(f"Milvus at {where} does not do it: {said}", f"{where} 的 Milvus 没有完成操作：{said}"),
                fix="zhilu settings set milvus_url URL" if self.facts.elsewhere and lost else None,
            ) from error


def _address(uri: str) -> dict[str, Any]:
    """What the client is opened with. ``http://user:password@host:19530/database``: user, password and database may be missing."""
    if "://" not in uri:
        return {"uri": uri}
    parts = urlsplit(uri)
    address: dict[str, Any] = {"uri": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"}
    if parts.username:
        address["token"] = f"{unquote(parts.username)}:{unquote(parts.password or '')}".rstrip(":")
    if parts.path.strip("/"):
        address["db_name"] = parts.path.strip("/")
    return address


def _clauses(where: Filter) -> list[str]:
    """The condition as expressions, of which a row meets at most one; none where no row can meet it."""
    if any(wanted is not None and not len(wanted) for wanted in (where.ids, where.doc_ids, where.langs)):
        return []
    rest = [
        f"{column} in {json.dumps(sorted(set(wanted)))}"
        for column, wanted in (("doc_id", where.doc_ids), ("lang", where.langs))
        if wanted is not None
    ]
    if where.ids is None:
        return [" and ".join(rest)]
    ids = sorted(set(where.ids))
    return [" and ".join([f"id in {ids[at : at + _MOST]}", *rest]) for at in range(0, len(ids), _MOST)]


def _open(place: StorePlace) -> MilvusStore:
    MILVUS.check(place.url)
    return MilvusStore(place, str(place.url))


def open_lite(place: StorePlace) -> MilvusStore:
    """The engine itself, in this process: what the owner runs."""
    return MilvusStore(place, str(place.folder / "vectors.milvus.db"), _LITE)


MILVUS = StoreKind(
    _FACTS, _open, needs=("pymilvus",), install="pip install 'pymilvus<3'", url_setting="milvus_url"
)  # fmt: skip
MILVUS_LITE = owned(
    _LITE,
    "zhilu.rag.stores.milvus:open_lite",
    needs=("pymilvus", "milvus_lite"),
    install="pip install 'pymilvus[milvus_lite]<3'",
)
