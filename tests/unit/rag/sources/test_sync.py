"""A folder kept in step: what changed, what went, what only looks gone, what a kill leaves, what may not be followed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.jobs import JobStore
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.repair import repair
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.sources import sync as syncing
from zhilu.rag.sources.base import SourceOptions
from zhilu.rag.sources.book import KbSource, SourceBook
from zhilu.rag.sources.kinds import is_local, kind_of_address
from zhilu.rag.sources.secrets import SourceSecrets
from zhilu.rag.sources.sync import start_due
from zhilu.rag.testing import HASH

Add = Callable[..., KbSource]
Names = Callable[[], set[str]]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "rules").mkdir(parents=True)
    (folder / "a.md").write_text("# Alpha\n\nThe gate opens at seven.\n")
    (folder / "rules" / "b.md").write_text("# Beta\n\nThe lift holds nine people.\n")
    (folder / ".hidden.md").write_text("nobody asked for this\n")
    return folder


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    return tuple(report[name] for name in ("added", "changed", "same", "removed", "refused"))


def test_a_folder_is_followed(kb: KnowledgeBase, add: Add, walk: Any, names: Names, docs: Path) -> None:
    source = add(str(docs))
    assert counts(walk(source)) == (2, 0, 0, 0, 0)
    assert names() == {"docs/a.md", "docs/rules/b.md"}
    assert counts(walk(source)) == (0, 0, 2, 0, 0)
    (docs / "a.md").write_text("# Alpha\n\nThe gate opens at eight.\n")
    os.utime(docs / "rules" / "b.md", (1, 1))  # touched, and the same
    (docs / "c.md").write_text("# Gamma\n\nThe pump runs at night.\n")
    assert counts(walk(source)) == (1, 1, 1, 0, 0)
    assert "eight" in retrieve(kb, "When does the gate open?", HASH).hits[0].text
    (docs / "rules" / "b.md").unlink()
    assert counts(walk(source)) == (0, 0, 2, 1, 0)
    assert names() == {"docs/a.md", "docs/c.md"}
    assert not [h for h in retrieve(kb, "How many people does the lift hold?", HASH).hits if "lift" in h.text]


def test_what_only_looks_gone_stays(
    add: Add, walk: Any, names: Names, docs: Path, kb: KnowledgeBase, tmp_path: Path
) -> None:
    source = add(str(docs))
    walk(source)
    docs.rename(tmp_path / "away")
    with pytest.raises(NotFoundError):
        walk(source)
    docs.mkdir()  # a mount point without its disk
    with pytest.raises(ConflictError) as caught:
        walk(source)
    assert caught.value.code == "source_empty" and len(names()) == 2
    error = SourceBook(kb).get(source.id).error
    assert error is not None and error["code"] == "source_empty"
    docs.rmdir()
    (tmp_path / "away").rename(docs)
    assert counts(walk(source)) == (0, 0, 2, 0, 0)
    assert SourceBook(kb).get(source.id).error is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs modes that bind us")
def test_a_folder_that_may_not_be_read_is_not_gone(add: Add, walk: Any, names: Names, docs: Path) -> None:
    source = add(str(docs))
    walk(source)
    (docs / "rules").chmod(0)
    try:
        assert walk(source)["removed"] == 0
    finally:
        (docs / "rules").chmod(0o755)
    assert len(names()) == 2


def test_a_kill_costs_nothing(add: Add, walk: Any, names: Names, docs: Path, kb: KnowledgeBase) -> None:
    for number in range(8):
        (docs / f"n{number}.md").write_text(f"# Note {number}\n\nNumber {number} is here.\n")
    source = add(str(docs))
    for stop in (1, 3, 6):
        with pytest.raises(KeyboardInterrupt):
            walk(source, stops_after=stop)
    assert len(kb.documents()) == 6
    report = walk(source)
    assert (report["added"], report["same"]) == (4, 6) and len(names()) == 10
    assert all(d.num_versions == 1 and d.status == "ready" for d in kb.documents())


def test_links_lead_nowhere(add: Add, walk: Any, names: Names, docs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("# Secret\n\nThe code is 4711.\n")
    (docs / "link.md").symlink_to(secret)
    (docs / "linked").symlink_to(tmp_path)
    os.mkfifo(docs / "pipe.md")
    walk(add(str(docs)))
    assert names() == {"docs/a.md", "docs/rules/b.md"}


def test_what_is_no_document_is_refused_once_and_said(add: Add, walk: Any, names: Names, docs: Path) -> None:
    (docs / "run.bin").write_bytes(b"\x7fELF" + bytes(100))
    (docs / "nothing.md").write_bytes(b"")
    source = add(str(docs))
    report = walk(source)
    assert counts(report) == (2, 0, 0, 0, 2)
    assert {r["name"]: r["error"]["code"] for r in report["reasons"]}["nothing.md"] == "empty_file"
    assert counts(walk(source)) == (0, 0, 4, 0, 0)  # it is not read again until it changes
    (docs / "nothing.md").write_text("Now there is something.\n")
    assert counts(walk(source)) == (1, 0, 3, 0, 0)


def test_two_folders_of_one_name_keep_apart(add: Add, walk: Any, names: Names, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "docs").mkdir(parents=True)
        (tmp_path / name / "docs" / "a.md").write_text(f"# A\n\nThis is {name}.\n")
        walk(add(str(tmp_path / name / "docs")))
    assert names() == {"docs/a.md", "docs-2/a.md"}


def test_removed_with_its_documents_or_without(
    add: Add, walk: Any, names: Names, docs: Path, kb: KnowledgeBase, tmp_path: Path
) -> None:
    source = add(str(docs))
    walk(source)
    other = tmp_path / "kept"
    other.mkdir()
    (other / "k.md").write_text("# Kept\n\nThis one stays.\n")
    kept = add(str(other))
    walk(kept)
    book = SourceBook(kb)
    assert book.remove(source.id, with_documents=True) == 2 and book.remove(kept.id, with_documents=False) == 0
    assert names() == {"kept/k.md"} and book.every() == []


def test_the_clock_starts_what_is_due(
    context: Context, kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(syncing, "start_sync", lambda context, kb, source: started.append(source.address))
    book = SourceBook(kb)
    source = book.add(str(docs), SourceOptions(), every_minutes=10)
    book.add(str(docs / "rules"), SourceOptions())  # by hand alone
    assert [s.id for s in book.due()] == [source.id]
    assert start_due(context) == 1
    assert started == [source.address]
    book.finished(source.id, {}, None)
    assert book.due() == []
    assert [s.id for s in book.due(datetime.now(timezone.utc) + timedelta(minutes=11))] == [source.id]


@pytest.mark.parametrize(
    ("address", "kind", "local"),
    [
        ("https://example.org/guide/", "site", False),
        ("https://github.com/owner/name", "git", False),
        ("https://github.com/owner/name/wiki", "site", False),
        ("https://example.org/team/name.git", "git", False),
        ("git+https://example.org/name", "git", False),
        ("file:///srv/name.git", "git", True),
        ("git+file:///srv/name", "git", True),
        ("s3://bucket/folder", "s3", False),
        ("confluence:export.zip", "confluence", True),
    ],
)
def test_an_address_says_what_it_is(address: str, kind: str, local: bool) -> None:
    found = kind_of_address(address)
    assert (found.name, is_local(found, address)) == (kind, local)


@pytest.mark.parametrize(
    "address", ["ssh://h/x.git", "git@h:x.git", "ext::sh -c id", "ftp://h/x", "/no/such/folder", "http://"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(InputError):
        kind_of_address(address)


def test_keys_are_kept_apart_and_closed(context: Context) -> None:
    secrets = SourceSecrets(context.home)
    secrets.set("s3://b", ("name", "key"))
    assert secrets.get("s3://b") == ("name", "key") and secrets.get("s3://other") is None
    assert secrets.path.stat().st_mode & 0o077 == 0
    secrets.set("s3://b", None)
    assert secrets.get("s3://b") is None


def spoil(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def lose_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE chunks")
    connection.close()


@pytest.mark.parametrize("damage", [spoil, lose_a_table], ids=lambda d: d.__name__)
def test_a_repair_forgets_no_source(
    context: Context, kb: KnowledgeBase, add: Add, walk: Any, docs: Path, damage: Callable[[Path], None]
) -> None:
    source = SourceBook(kb).schedule(add(str(docs)).id, 60)
    walk(source)
    add("https://handbook.example/", pages=3)
    Library(context).let_go(kb.id)
    damage(kb.database.path)
    done = repair(context, kb.id)
    assert done.how == "restored" and done.job is not None
    JobStore(context).cancel(done.job.id)
    book = SourceBook(Library(context).open(kb.id))
    again, page = book.every()
    assert (again.address, again.prefix, again.every_minutes, again.kind) == (str(docs), "docs", 60, "folder")
    assert (page.address, page.options.pages) == ("https://handbook.example/", 3)
    assert {d.name for d in book.kb.documents()} == {"docs/a.md", "docs/rules/b.md"}
    assert len(book.items(again.id)) == (2 if damage is lose_a_table else 0)
