"""The same name again: a new version takes the old one's place in one step, and the history is kept until it is deleted."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import UpstreamError
from zhilu.rag import database
from zhilu.rag.index import publish as publishing
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import safe_path
from zhilu.rag.repair import repair
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.testing import HASH

OLD = "# Rule 0\n\nThe warehouse door opens at seven o'clock.\n"
NEW = "# Rule 0\n\nThe warehouse door opens at nine o'clock.\n"
ASKED = "When does the warehouse door open?"


@pytest.fixture(params=["sqlite", "faiss"])
def kb(context: Context, request: pytest.FixtureRequest) -> KnowledgeBase:
    if request.param == "faiss":
        pytest.importorskip("faiss")
    return Library(context).create("k", embedder=HASH.name, store=request.param)


def put(kb: KnowledgeBase, text: str, name: str = "rules.md") -> Any:
    return kb.add(io.BytesIO(text.encode()), name, max_mb=1)[0]


def read(kb: KnowledgeBase, doc_id: str) -> None:
    ingest_document(kb, doc_id, HASH, lambda share, stage: None)


def answers(kb: KnowledgeBase) -> set[str]:
    return {word for h in retrieve(kb, ASKED, HASH).hits for word in ("seven", "nine") if word in h.text}


def test_the_old_version_answers_until_the_new_one_does(kb: KnowledgeBase) -> None:
    first = put(kb, OLD)
    read(kb, first.id)
    second = put(kb, NEW)
    assert (second.version, second.num_versions, second.answering, second.status) == (2, 2, 1, "queued")
    assert answers(kb) == {"seven"} and kb.info().num_documents == 1
    read(kb, second.id)
    assert answers(kb) == {"nine"}
    assert [(d.id, d.answering) for d in kb.documents()] == [(second.id, 2)]
    assert [(v.version, v.status) for v in kb.versions(first.id)] == [(2, "ready"), (1, "replaced")]
    assert kb.original(first.id).read_text() == OLD and "seven" in kb.read(first.id).text
    assert kb.info().num_chunks == 1 == kb.database.value("SELECT COUNT(*) FROM lexical")
    publishing.clear_leftovers(kb)
    assert kb.store.count() == 1


def test_a_new_version_that_cannot_be_read_takes_no_answer_away(
    kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put(kb, OLD)
    read(kb, first.id)
    second = put(kb, NEW)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_flip", lambda *args: (_ for _ in ()).throw(UpstreamError(database.T("x", "x"))))
        with pytest.raises(UpstreamError):
            read(kb, second.id)
    assert answers(kb) == {"seven"}
    read(kb, second.id)
    assert answers(kb) == {"nine"}


def test_versions_that_are_read_in_the_wrong_order(kb: KnowledgeBase) -> None:
    first, second = put(kb, OLD), put(kb, NEW)
    read(kb, second.id)
    read(kb, first.id)
    assert answers(kb) == {"nine"} and [v.status for v in kb.versions(first.id)] == ["ready", "replaced"]


def test_an_old_content_again_is_a_new_version(kb: KnowledgeBase) -> None:
    for text in (OLD, NEW, OLD):
        read(kb, put(kb, text).id)
    assert answers(kb) == {"seven"} and kb.documents()[0].version == 3
    assert put(kb, OLD).id == kb.documents()[0].id, "the same bytes as the newest are that version"


def test_folders_tell_documents_apart(kb: KnowledgeBase) -> None:
    read(kb, put(kb, OLD, "north/rules.md").id)
    read(kb, put(kb, NEW, "south/rules.md").id)
    assert [(d.name, d.version) for d in kb.documents()] == [("north/rules.md", 1), ("south/rules.md", 1)]
    assert answers(kb) == {"seven", "nine"}
    kept = {
        "a/b.md": "a/b.md",
        "./a/b.md": "a/b.md",
        "../a/b.md": "b.md",
        "/etc/b.md": "b.md",
        "C:\\me\\b.md": "b.md",
        "a\\b.md": "a/b.md",
    }
    assert {name: safe_path(name) for name in kept} == kept


def test_deleting_a_document_deletes_its_versions(kb: KnowledgeBase, context: Context) -> None:
    for text in (OLD, NEW):
        read(kb, put(kb, text).id)
    kb.remove(kb.documents()[0].id)
    assert kb.documents() == [] and list((kb.folder / "files").iterdir()) == []
    Library(context).let_go(kb.id)
    left = [
        p.name for p in kb.folder.rglob("*") if p.is_file() and any(w in p.read_bytes() for w in (b"seven", b"nine"))
    ]
    assert left == []


def test_a_repair_keeps_the_history(kb: KnowledgeBase, context: Context) -> None:
    for text in (OLD, NEW):
        read(kb, put(kb, text).id)
    path = kb.folder / "kb.db"
    Library(context).let_go(kb.id)
    path.write_bytes(b"garbage" * 1000)
    for ending in ("-wal", "-shm"):
        path.with_name(f"kb.db{ending}").unlink(missing_ok=True)
    assert repair(context, kb.id).how == "restored"
    again = Library(context).open(kb.id)
    assert [(d.name, d.version) for d in again.documents()] == [("rules.md", 2)]
    assert [again.original(v.id).read_text() for v in again.versions(again.documents()[0].id)] == [NEW, OLD]


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_at_the_step_leaves_one_of_the_two(kb: KnowledgeBase, context: Context, before: bool) -> None:
    read(kb, put(kb, OLD).id)
    second = put(kb, NEW)
    code = """
        import os, signal, sys
        from zhilu.context import open_context
        from zhilu.rag.index import publish as publishing
        from zhilu.rag.index.ingest import ingest_document
        from zhilu.rag.library import Library
        from zhilu.rag.testing import HASH
        kb = Library(open_context()).open(sys.argv[1])
        if sys.argv[3] == "True":
            publishing._retire = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
        ingest_document(kb, sys.argv[2], HASH, lambda share, stage: None)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), kb.id, second.id, str(before)], env=os.environ.copy()
    )
    assert ended.returncode == -signal.SIGKILL
    assert answers(kb) == ({"seven"} if before else {"nine"})
    if before:
        read(kb, second.id)
        assert answers(kb) == {"nine"}


@pytest.mark.parametrize("form", ["1", "2"])
def test_a_knowledge_base_of_an_older_version_opens_and_works(context: Context, form: str) -> None:
    kb = Library(context).create("k", embedder=HASH.name)
    first = put(kb, OLD)
    read(kb, first.id)
    Library(context).let_go(kb.id)
    _make_older(kb.folder / "kb.db", form)
    kb = Library(context).open("k")
    assert kb.database.meta("format") == "3" and answers(kb) == {"seven"}
    assert kb.database.rows("PRAGMA foreign_key_check") == []
    assert [d.id for d in kb.documents()] == [first.id] and "seven" in kb.read(first.id).text
    read(kb, put(kb, NEW).id)
    assert answers(kb) == {"nine"} and len(kb.versions(first.id)) == 2
    kb.remove(first.id)
    assert kb.database.value("SELECT COUNT(*) FROM texts") == 0


def _make_older(path: Path, form: str) -> None:
    """The file as an older version wrote it: its documents table as that had it."""
    connection = sqlite3.connect(path)
    columns = "id, sha256, name, mime, size_bytes, status, error, lang, num_chars, num_pages, num_chunks, job_id, added_at, updated_at"
    connection.executescript(f"""
        PRAGMA foreign_keys=OFF;
        CREATE TABLE old (id TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, name TEXT NOT NULL, mime TEXT NOT NULL DEFAULT '',
          size_bytes INTEGER NOT NULL, status TEXT NOT NULL CHECK (status IN ('queued','ingesting','ready','failed')),
          error TEXT, lang TEXT, num_chars INTEGER NOT NULL DEFAULT 0, num_pages INTEGER,
          num_chunks INTEGER NOT NULL DEFAULT 0, job_id TEXT, added_at TEXT NOT NULL, updated_at TEXT NOT NULL);
        INSERT INTO old SELECT {columns} FROM documents;
        DROP TABLE documents;
        ALTER TABLE old RENAME TO documents;
        UPDATE meta SET value = '{form}' WHERE key = 'format';
    """)
    connection.close()


def test_two_names_are_two_documents_whatever_they_hold(kb: KnowledgeBase) -> None:
    first, copy = put(kb, OLD, "rules.md"), put(kb, OLD, "copy of rules.md")
    assert copy.id != first.id and [d.name for d in kb.documents()] == ["rules.md", "copy of rules.md"]
    for document in (first, copy):
        read(kb, document.id)
    assert len(retrieve(kb, ASKED, HASH).hits) == 1, "what stands in both is one passage"
    read(kb, put(kb, NEW, "rules.md").id)
    assert answers(kb) == {"seven", "nine"}, "the copy was not changed"
    kb.remove(first.id)
    assert answers(kb) == {"seven"} and kb.original(copy.id).read_text() == OLD
    assert put(kb, OLD, "copy of rules.md").id == copy.id


def test_forty_copies_leave_room_for_others(kb: KnowledgeBase) -> None:
    for number in range(40):
        read(kb, put(kb, OLD, f"{number}/rules.md").id)
    for number in range(4):
        read(kb, put(kb, f"The warehouse of town {number} is large.\n", f"town {number}.md").id)
    found = [h.text for h in retrieve(kb, ASKED, HASH, k=5).hits]
    assert len(found) == len(set(found)) == 5 and "seven" in found[0]
