"""Damage to a knowledge base: it is named, the others go on, and what was acknowledged comes back or can be deleted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from zhilu.context import Context
from zhilu.errors import BusyError, ConflictError, DamagedError, StorageError
from zhilu.jobs import JobStore
from zhilu.rag import database as kb_database
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.repair import repair
from zhilu.rag.retrieve.search import retrieve

FILES = {
    "a.md": "# Leave\n\nThe yearly leave is fifteen days.\n",
    "b.md": "# Bees\n\nA bumblebee visits violets in the meadow.\n" + "More about bees. " * 4000,
}


@pytest.fixture
def two(context: Context) -> tuple[KnowledgeBase, KnowledgeBase]:
    made = []
    for name in ("first", "second"):
        kb = Library(context).create(name, embedder="none")
        for file, text in FILES.items():
            path = context.home.run / file
            path.write_text(text)
            with path.open("rb") as stream:
                document, _ = kb.add(stream, file, max_mb=10)
            ingest_document(kb, document.id, None, lambda share, stage: None)
        made.append(kb)
    return made[0], made[1]


def close(context: Context, kb: KnowledgeBase) -> Path:
    """As after a stop: the file whole, no log beside it."""
    Library(context).let_go(kb.id)
    return kb.database.path


def overwrite(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def overwrite_middle(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 8)
        file.write(b"\xff" * (size // 2))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def of_a_newer_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    connection.close()


def without_tables(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE chunks")
    connection.close()


DAMAGES = [overwrite, overwrite_middle, truncate, empty, remove, without_tables]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_what_was_acknowledged_comes_back(
    context: Context, two: tuple[KnowledgeBase, KnowledgeBase], damage: Callable[[Path], None]
) -> None:
    broken, whole = two
    damage(close(context, broken))
    library = Library(context)
    with pytest.raises(DamagedError) as caught:
        kb = library.open(broken.id)
        kb.documents()
        retrieve(kb, "bumblebee", None)
        for document in kb.documents():
            kb.read(document.id)
        kb.chunks([1, 2, 3])
    assert (caught.value.fix or "").startswith("zhilu kb repair")
    shown = {info.id: info for info in library.list()}
    assert shown[whole.id].error is None and shown[whole.id].num_documents == 2
    assert shown[broken.id].error is not None and shown[broken.id].name == "first"
    assert retrieve(library.open("second"), "bumblebee", None).hits

    done = repair(context, "first")
    if done.job is not None:
        assert JobStore(context).wait(done.job.id, timeout=120).status == "done"
    kb = library.open("first")
    assert sorted((d.name, d.status) for d in kb.documents()) == [("a.md", "ready"), ("b.md", "ready")]
    assert retrieve(kb, "bumblebee", None).hits and not done.lost
    assert [i.error for i in library.list()] == [None, None]


def test_a_file_that_can_still_be_read_is_recovered_as_it_is(
    context: Context, two: tuple[KnowledgeBase, KnowledgeBase]
) -> None:
    kb = two[0]
    kb.add_trace({"id": "t", "question": "q", "answer": "a", "refused": False, "created_at": "x", "seconds": 1.0})
    path = close(context, kb)
    done = repair(context, "first")
    assert (done.how, done.num_documents, done.num_traces, done.job) == ("recovered", 2, 1, None)
    assert done.damaged_file and Path(done.damaged_file).exists() and path.exists()
    assert retrieve(Library(context).open("first"), "bumblebee", None).hits


def test_a_lost_original_is_said(context: Context, two: tuple[KnowledgeBase, KnowledgeBase]) -> None:
    kb = two[0]
    gone = next(d for d in kb.documents() if d.name == "a.md")
    kb.original(gone.id).unlink()
    overwrite_middle(close(context, kb))
    done = repair(context, kb.id)
    assert done.lost in (["a.md"], [])  # [] where the row itself could not be read any more: then nothing tells of it
    if done.job is not None:
        JobStore(context).wait(done.job.id, timeout=120)
    assert [d.name for d in Library(context).open("first").documents() if d.status == "ready"] == ["b.md"]


@pytest.mark.parametrize("damage", [*DAMAGES, of_a_newer_version], ids=lambda d: d.__name__)
def test_it_can_be_deleted(
    context: Context, two: tuple[KnowledgeBase, KnowledgeBase], damage: Callable[[Path], None]
) -> None:
    damage(close(context, two[0]))
    Library(context).remove(two[0].id)
    assert [info.name for info in Library(context).list()] == ["second"]
    assert not two[0].folder.exists()


def test_a_newer_version_is_shown_and_takes_down_no_other(
    context: Context, two: tuple[KnowledgeBase, KnowledgeBase]
) -> None:
    of_a_newer_version(close(context, two[0]))
    with pytest.raises(ConflictError, match="format 99"):
        Library(context).open("first")
    shown = {info.name: info.error for info in Library(context).list()}
    assert shown["second"] is None and "99" in (shown["first"] or {})["message"]


def test_a_lock_held_by_another_program_is_said(
    context: Context, two: tuple[KnowledgeBase, KnowledgeBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = close(context, two[0])
    monkeypatch.setattr(kb_database, "PATIENCE", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(BusyError, match="in use by another program"):
            Library(context).open(two[0].id).documents()
        shown = {info.name: info.error for info in Library(context).list()}
        assert shown["second"] is None and (shown["first"] or {})["code"] == "database_locked"
    finally:
        other.close()
    assert len(Library(context).open("first").documents()) == 2


def test_a_full_disk_is_said_and_nothing_is_half_done(
    context: Context, two: tuple[KnowledgeBase, KnowledgeBase], tmp_path: Path
) -> None:
    """SQLite itself runs full: the file may not grow."""
    kb = two[0]
    (tmp_path / "c.md").write_text("Cranes rest at the lake. " * 20_000)
    with (tmp_path / "c.md").open("rb") as stream:
        document, _ = kb.add(stream, "c.md", max_mb=10)
    pages = kb.database.value("PRAGMA page_count")
    kb.database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="disk is full") as caught:
        ingest_document(kb, document.id, None, lambda share, stage: None)
    assert caught.value.code == "disk_full" and not isinstance(caught.value, DamagedError)
    assert not retrieve(kb, "cranes", None).hits and retrieve(kb, "bumblebee", None).hits
    kb.database.rows("PRAGMA max_page_count = 1073741823")
    ingest_document(kb, document.id, None, lambda share, stage: None)
    assert retrieve(kb, "cranes", None).hits
