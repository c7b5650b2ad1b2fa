"""Vectors move from one store to another: nothing is embedded again, nothing is lost, and a kill in between costs nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import CancelledByUser, ConflictError, InputError, UpstreamError
from zhilu.messages import T
from zhilu.rag.index import move
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.index.move import run_move, start_move
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.stores.faiss import FaissStore
from zhilu.rag.stores.offers import store_offers
from zhilu.rag.testing import HASH, HashEmbedder

Fill = Callable[[dict[str, str]], KnowledgeBase]
FILES = {
    f"{n}.md": "\n\n".join(f"# Part {n}.{m}\n\nThe tool {n}-{m} is kept in drawer {n * m}." for m in range(30))
    for n in range(4)
}


class Running:
    """What a job is given; ``stop_after`` reports of progress it is cancelled, which is where a kill leaves it, too."""

    id, attempt = "job", 1

    def __init__(self, context: Context, stop_after: int = 10**9) -> None:
        self.context, self.left = context, stop_after

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self.left -= 1
        self.check()

    def log(self, text: str) -> None: ...

    def check(self) -> None:
        if self.left < 0:
            raise CancelledByUser(T("stopped", "停止"))


@pytest.fixture
def kb(fill: Fill) -> KnowledgeBase:
    pytest.importorskip("faiss")
    return fill(FILES)


def hits(context: Context, kb: KnowledgeBase) -> list[tuple[str, float]]:
    found = retrieve(kb, "which drawer has the tool 2-7", embedder_of(context, HASH.name), k=8).hits
    return [(h.text, round(h.score, 2)) for h in found]


def test_there_and_back_with_the_same_answers(
    context: Context, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hits(context, kb)
    monkeypatch.setattr(HashEmbedder, "embed", None)  # nothing is embedded while it moves
    to = run_move(Running(context), {"kb": kb.id, "store": "faiss"})
    assert to["vectors"] == kb.info().num_chunks > 30 and to["kept"] is None
    assert kb.store_name == "faiss" and isinstance(kb.store, FaissStore) and kb.store.count() == to["vectors"]
    assert kb.database.value("SELECT COUNT(*) FROM vectors") == 0
    monkeypatch.undo()
    assert hits(context, kb) == before
    back = run_move(Running(context), {"kb": kb.id, "store": "sqlite"})
    assert back["vectors"] == kb.store.count() == to["vectors"] and hits(context, kb) == before


def test_a_move_that_was_stopped_goes_on_and_misses_no_change(
    context: Context, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "_BATCH", 10)
    with pytest.raises(CancelledByUser):
        run_move(Running(context, stop_after=5), {"kb": kb.id, "store": "faiss"})
    assert kb.store_name == "sqlite" and json.loads(kb.database.meta("moving") or "")["to"] == "faiss"
    kb.remove(kb.documents()[0].id)  # was copied already
    document, _ = kb.add(io.BytesIO(b"# New\n\nThe ladder is in the hall."), "new.md", max_mb=1)
    ingest_document(kb, document.id, HASH, lambda share, stage: None)
    written: list[int] = []
    upsert = FaissStore.upsert
    monkeypatch.setattr(
        FaissStore, "upsert", lambda self, rows: (written.extend(r.id for r in rows), upsert(self, rows))[1]
    )
    done = run_move(Running(context), {"kb": kb.id, "store": "faiss"})
    assert done["vectors"] == kb.store.count() == kb.info().num_chunks
    assert len(written) < done["vectors"]  # what was copied before is not copied again
    assert kb.database.meta("moving") is None
    assert retrieve(kb, "ladder", HASH, k=1).hits[0].doc_name == "new.md"
    again = run_move(Running(context), {"kb": kb.id, "store": "faiss"})  # killed after it changed over
    assert again["vectors"] == done["vectors"]


def test_a_store_that_loses_or_garbles_rows_is_not_changed_to(
    context: Context, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, upsert = hits(context, kb), FaissStore.upsert
    garbled: list[Any] = [lambda self, rows: upsert(self, rows[:-1])]
    garbled.append(
        lambda self, rows: upsert(self, [type(r)(r.id, r.vector[::-1].copy(), r.doc_id, r.lang) for r in rows])
    )
    for wrong in garbled:
        monkeypatch.setattr(FaissStore, "upsert", wrong)
        kb.database.set_meta(moving="{}")
        with pytest.raises(UpstreamError, match="stays with 'sqlite'"):
            run_move(Running(context), {"kb": kb.id, "store": "faiss"})
        assert kb.store_name == "sqlite" and hits(context, kb) == before


def test_what_cannot_be_is_said_before_a_job_starts(context: Context, kb: KnowledgeBase) -> None:
    with pytest.raises(ConflictError, match="already"):
        start_move(context, kb, "sqlite")
    with pytest.raises(InputError, match="fais"):
        start_move(context, kb, "fais")
    by_name = {o.name: o for o in store_offers(context.settings)}
    assert next(iter(by_name)) == "sqlite" and by_name["sqlite"].error is None
    error = by_name["milvus"].error
    assert error is not None and error["fix"] in ("pip install 'pymilvus<3'", "zhilu settings set milvus_url URL")


def test_an_empty_knowledge_base_moves_too(context: Context) -> None:
    pytest.importorskip("faiss")
    kb = Library(context).create("empty", embedder=HASH.name)
    assert run_move(Running(context), {"kb": kb.id, "store": "faiss"})["vectors"] == 0
    assert kb.store_name == "faiss"
