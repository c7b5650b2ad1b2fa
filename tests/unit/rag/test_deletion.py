"""Deleted means gone: no byte of a document's text is left in the data home, nor of its original."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from zhilu.context import Context
from zhilu.jobs import JobStore
from zhilu.rag.index.ingest import ingest_document, start_ingestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve

SECRET = "Quetzalcoatl guards the vermilion ledger of Tenochtitlan"
KEPT = "A bumblebee visits violets in the meadow"


def add(context: Context, kb: KnowledgeBase, name: str, text: str) -> str:
    path = context.home.run / name
    path.write_text(text)
    with path.open("rb") as stream:
        document, _ = kb.add(stream, name, max_mb=50)
    path.unlink()
    ingest_document(kb, document.id, None, lambda share, stage: None)
    return document.id


def ask(kb: KnowledgeBase, trace_id: str, question: str) -> None:
    """A trace as the pipeline writes it: with passages, the prompt and an answer out of them."""
    found = retrieve(kb, question, None)
    assert found.hits
    kb.add_trace(
        {
            "id": trace_id, "question": question, "answer": found.hits[0].text, "refused": False, "created_at": "2026",
            "seconds": 0.1, "citations": [hit.model_dump() for hit in found.hits],
            "prompt": {"messages": [{"role": "user", "content": found.hits[0].text}]},
        }
    )  # fmt: skip


def where(home: Path, words: str) -> list[str]:
    """Files of the home that hold any of the words, in whatever case the indexes write them."""
    needles = [w.encode() for word in words.split() if len(word) > 8 for w in (word, word.lower(), word[:8].lower())]
    found = []
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found += [f"{path.name}: {needle!r}" for needle in needles if needle in data]
    return found


@pytest.mark.parametrize("repeats", [1, 3000])
def test_no_byte_of_a_deleted_document_is_left(context: Context, repeats: int) -> None:
    kb = Library(context).create("k", embedder="none")
    kept = add(context, kb, "kept.txt", KEPT + ". ")
    gone = add(context, kb, "gone.txt", (SECRET + ". ") * repeats)
    ask(kb, "t1", "Who guards the vermilion ledger?")
    ask(kb, "t2", "Where do bumblebees visit violets?")
    assert where(context.home.path, SECRET), "the search for bytes finds what is there"
    kb.remove(gone)
    assert where(context.home.path, SECRET) == []  # while it is open, and the log of changes with it
    Library(context).let_go(kb.id)
    assert where(context.home.path, SECRET) == []
    kb = Library(context).open("k")
    assert [d.id for d in kb.documents()] == [kept] and [t["id"] for t in kb.traces()] == ["t2"]
    assert retrieve(kb, "violets", None).hits


def test_the_job_that_read_it_never_held_its_name(context: Context) -> None:
    kb, names = Library(context).create("k", embedder="none"), ["Quetzalcoatl.txt", "Tenochtitlan.pdf"]
    documents = [
        kb.add(io.BytesIO(text), name, max_mb=50)[0]
        for name, text in zip(names, (b"A ledger.", b"%PDF-1.7 cut off"), strict=True)
    ]
    job = start_ingestion(context, kb, documents)
    assert job is not None and JobStore(context).wait(job.id).status == "done"
    assert [d.status for d in kb.documents()] == ["ready", "failed"]
    assert where(context.home.path, " ".join(names)), "the search for bytes finds what is there"
    for document in documents:
        kb.remove(document.id)
    assert where(context.home.path, " ".join(names)) == []


def test_a_copy_set_aside_by_a_repair_goes_with_the_document(context: Context) -> None:
    from zhilu.rag.repair import repair

    kb = Library(context).create("k", embedder="none")
    gone = add(context, kb, "gone.txt", SECRET)
    assert Path(str(repair(context, "k").damaged_file)).exists()
    Library(context).open("k").remove(gone)
    assert where(context.home.path, SECRET) == []


def test_a_removed_knowledge_base_leaves_nothing(context: Context) -> None:
    kb = Library(context).create("k", embedder="none")
    add(context, kb, "gone.txt", SECRET)
    ask(kb, "t", "Who guards the vermilion ledger?")
    Library(context).remove("k")
    assert where(context.home.path, SECRET) == []
