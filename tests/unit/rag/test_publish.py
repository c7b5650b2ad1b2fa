"""A document is findable in every index or in none, whether its store is part of the file's transaction or not."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from zhilu.context import Context
from zhilu.errors import NotFoundError, UpstreamError
from zhilu.rag.database import KbDatabase
from zhilu.rag.index import publish as publishing
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.index.publish import clear_leftovers, nearest
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.stores.faiss import FaissStore
from zhilu.rag.testing import HASH

Make = Callable[[], KnowledgeBase]


@pytest.fixture(params=["sqlite", "faiss"])
def make(request: pytest.FixtureRequest, context: Context) -> Make:
    if request.param == "faiss":
        pytest.importorskip("faiss")
    return lambda: Library(context).create("k", embedder=HASH.name, store=request.param)


@pytest.fixture
def beside(context: Context) -> KnowledgeBase:
    """A knowledge base whose vectors are in a store of its own."""
    pytest.importorskip("faiss")
    return Library(context).create("k", embedder=HASH.name, store="faiss")


def add(kb: KnowledgeBase, text: str, name: str = "a.md") -> str:
    return kb.add(io.BytesIO(text.encode()), name, max_mb=1)[0].id


def ingest(kb: KnowledgeBase, doc_id: str) -> None:
    ingest_document(kb, doc_id, HASH, lambda share, stage: None)


def dense(kb: KnowledgeBase, question: str) -> list[int]:
    return [i for i, _ in nearest(kb, HASH.embed([question])[0], 50)]


def test_a_knowledge_base_remembers_its_store(make: Make, context: Context) -> None:
    kb = make()
    ingest(kb, add(kb, "# One\n\nThe pump weighs nine kilograms."))
    ingest(kb, add(kb, "# Two\n\nPenguins live in the south.", "b.md"))
    name = kb.info().store
    kb.close()
    again = KnowledgeBase(KbDatabase(kb.folder / "kb.db"), kb.folder)
    assert (again.info().store, again.store.facts.name, again.store.count()) == (name, name, 2)
    hit = retrieve(again, "what does the pump weigh", HASH).hits[0]
    assert hit.doc_name == "a.md" and hit.dense is not None and hit.dense > 0.3
    again.remove(hit.doc_id)
    assert again.store.count() == 1 and [h.doc_name for h in retrieve(again, "pump penguins", HASH).hits] == ["b.md"]
    again.close()


def test_an_unknown_store_is_refused_with_the_nearest_name(context: Context) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'sqlite'"):
        Library(context).create("k", embedder="none", store="sqllite")
    assert Library(context).list() == []


def test_written_and_not_yet_published_is_not_shown(beside: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if killed after the vectors were written: nothing is shown, and the next attempt shows it once."""
    ingest(beside, add(beside, "# One\n\nThe pump weighs nine kilograms."))
    doc_id = add(beside, "# Two\n\nThe pump costs eighty euros.", "b.md")
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_flip", _killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(beside, doc_id)
    assert beside.store.count() == 2 and len(dense(beside, "pump")) == 1
    ingest(beside, doc_id)
    assert beside.store.count() == 2 and len(dense(beside, "pump")) == 2
    assert clear_leftovers(beside) == 0


def test_what_is_left_over_takes_no_place_among_the_nearest(
    beside: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(beside, add(beside, "# Far\n\nA sentence about penguins and one pump."))
    near = add(beside, "".join(f"# Pump {n}\n\nThe pump, pump {n}.\n\n" for n in range(30)), "b.md")
    ingest(beside, near)
    with monkeypatch.context() as patched:
        patched.setattr(FaissStore, "delete", _killed)
        with pytest.raises(KeyboardInterrupt):
            beside.remove(near)
    assert beside.store.count() == 31
    assert [i for i, _ in nearest(beside, HASH.embed(["pump"])[0], 2)] == dense(beside, "pump") != []
    assert clear_leftovers(beside) == 30 and beside.store.count() == 1


def test_vectors_of_an_ingestion_under_way_are_not_cleared(
    beside: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zhilu.home import file_lock

    doc_id = add(beside, "# Two\n\nThe pump costs eighty euros.", "b.md")
    with file_lock(beside.ingest_lock), monkeypatch.context() as patched:
        patched.setattr(publishing, "_flip", _killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(beside, doc_id)
        assert clear_leftovers(beside) == 0 and beside.store.count() == 1


def test_a_store_that_keeps_less_than_it_was_given_publishes_nothing(
    beside: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = FaissStore.upsert
    monkeypatch.setattr(FaissStore, "upsert", lambda self, rows: upsert(self, rows[:-1]))
    doc_id = add(beside, "# One\n\nPumps.\n\n# Two\n\nValves.")
    with pytest.raises(UpstreamError, match="holds 1 of the 2"):
        ingest(beside, doc_id)
    assert dense(beside, "pumps valves") == [] and retrieve(beside, "pumps", HASH).hits == []


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
