"""FAISS (Meta, MIT): a flat index in memory, searched exactly with several threads; its rows are in a file beside kb.db.

It is flat because FAISS's graph index cannot delete, and loses rows when a filter is applied (recall .35 measured). A filter is
handed to the search as the ids it accepts, so it applies before the ranking. The file is our own ``RecordLog``: FAISS's
Python wrappers persist with pickle, which runs whatever a stranger wrote into it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhilu.messages import T
from zhilu.rag.stores.base import Filter, StoreFacts, StoreKind, StorePlace, Vector, VectorRow, check_length
from zhilu.rag.stores.record_log import Record, RecordLog

__all__ = ["FAISS", "FaissStore"]

_FACTS = StoreFacts(
    "faiss", T(en="FAISS, flat index", zh="FAISS，flat 索引"), exact=True, many_processes=True, transactional=False
)
_DEAD_SHARE = 0.25  # of the live rows: with more deleted ones than this the file is written anew
_DEAD_ROWS = 256  # fewer than these are not worth it


class FaissStore:
    facts = _FACTS

    def __init__(self, place: StorePlace) -> None:
        """
        Raises:
            MissingComponentError: faiss-cpu is not installed. ConflictError: the file is damaged.
        """
        self._faiss = _faiss()
        self.dim = place.dim
        self._lock = threading.RLock()
        self._log = RecordLog(place.folder / "vectors.faiss", place.dim)
        self._end = 0  # bytes of the file that are in the index
        self._mark = 0
        self._forget_all()

    def upsert(self, rows: Sequence[VectorRow]) -> None:
        check_length(rows, self.dim)
        if not rows:
            return
        record = Record(
            np.array([r.id for r in rows], np.int64),
            np.stack([r.vector for r in rows]).astype(np.float32),
            [r.doc_id for r in rows],
            [r.lang for r in rows],
        )
        with self._writing():
            self._end = self._log.append(record, self._end)
            self._apply(record)

    def delete(self, where: Filter) -> int:
        with self._writing():
            ids = self._accepted(where)
            if not len(ids):
                return 0
            record = Record(ids, np.empty((0, self.dim), np.float32))
            self._end = self._log.append(record, self._end)
            self._apply(record)
            if self._dead >= _DEAD_ROWS and self._dead >= _DEAD_SHARE * len(self._about):
                self._rewrite()
            return len(ids)

    def search(self, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        with self._lock:
            self._catch_up()
            asked = np.ascontiguousarray(vector, np.float32)[None, :]  # (1, dim)
            k, params = min(k, len(self._about)), None
            if where is not None:
                ids = self._accepted(where)
                k = min(k, len(ids))
                params = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBatch(ids))
            if k <= 0:
                return []
            scores, found = self._index.search(asked, k, params=params)
            return [(int(i), float(s)) for i, s in zip(found[0], scores[0], strict=True) if i >= 0]

    def count(self, where: Filter | None = None) -> int:
        with self._lock:
            self._catch_up()
            return len(self._about) if where is None else len(self._accepted(where))

    def drop(self) -> None:
        with self._writing():
            self._log.replace([])
            self._catch_up()

    def close(self) -> None:
        """Nothing is held open."""

    def _forget_all(self) -> None:
        self._index: Any = self._faiss.IndexIDMap2(self._faiss.IndexFlatIP(max(self.dim, 1)))
        self._about: dict[int, tuple[str, str]] = {}  # id -> (document, language)
        self._by_doc: dict[str, set[int]] = {}
        self._dead = 0

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone among the writers of all processes, with all they wrote before."""
        with self._lock, self._log.writing():
            self._catch_up()
            yield

    def _catch_up(self) -> None:
        records, end, mark = self._log.read(self._end, self._mark)
        if mark != self._mark:
            self._forget_all()
        self._end, self._mark = end, mark
        for record in records:
            self._apply(record)

    def _apply(self, record: Record) -> None:
        known = [i for i in record.ids.tolist() if i in self._about]
        if known:
            self._index.remove_ids(self._faiss.IDSelectorBatch(np.array(known, np.int64)))
            self._dead += len(known)
            for i in known:
                doc_id, _ = self._about.pop(i)
                self._by_doc[doc_id].discard(i)
                if not self._by_doc[doc_id]:
                    del self._by_doc[doc_id]
        if record.is_deletion:
            return
        self._index.add_with_ids(np.ascontiguousarray(record.vectors), record.ids)
        for i, doc_id, lang in zip(record.ids.tolist(), record.doc_ids, record.langs, strict=True):
            self._about[i] = (doc_id, lang)
            self._by_doc.setdefault(doc_id, set()).add(i)

    def _rewrite(self) -> None:
        """Write the file without what was deleted."""
        ids = np.fromiter(self._about, np.int64, len(self._about))
        records = []
        if len(ids):
            vectors = self._index.reconstruct_batch(ids)
            about = [self._about[i] for i in ids.tolist()]
            records = [Record(ids, vectors, [a[0] for a in about], [a[1] for a in about])]
        self._log.replace(records)
        self._catch_up()

    def _accepted(self, where: Filter) -> NDArray[np.int64]:
        if where.ids is not None:
            ids = {i for i in where.ids if i in self._about}
        elif where.doc_ids is not None:
            ids = set().union(*(self._by_doc.get(d, ()) for d in where.doc_ids))
        else:
            ids = set(self._about)
        docs, langs = where.doc_ids, where.langs
        if docs is not None:
            docs = set(docs)
            ids = {i for i in ids if self._about[i][0] in docs}
        if langs is not None:
            langs = set(langs)
            ids = {i for i in ids if self._about[i][1] in langs}
        return np.fromiter(sorted(ids), np.int64, len(ids))


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        FAISS.check(None)
        raise
    return faiss


FAISS = StoreKind(_FACTS, FaissStore, needs=("faiss",), install="pip install faiss-cpu")
