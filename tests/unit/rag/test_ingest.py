"""Documents in: nothing doubled, nothing lost, failures said, everything taken out again."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import CancelledByUser, ConflictError, InputError, NotFoundError, TooLargeError
from zhilu.jobs import JobStore
from zhilu.messages import T
from zhilu.rag.index import ingest
from zhilu.rag.index.ingest import ingest_document, run_ingest, start_ingestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.testing import HASH

GUIDE = "# Guide\n\n## Install\n\nRun the installer with administrator rights.\n\n## 年假\n\n入职满一年的员工每年有十五天年假。\n"


class InProcess:
    """The job protocol without a job: what ``run_ingest`` needs, and a way to cancel it."""

    id, attempt = "job", 1

    def __init__(self, context: Context, stop_after: int | None = None) -> None:
        self.context, self.stages, self.stop_after = context, [], stop_after

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self.stages.append((fraction, stage.en, detail))
        if self.stop_after is not None and len(self.stages) > self.stop_after:
            raise CancelledByUser(T("cancelled", "已取消"))

    def log(self, text: str) -> None:
        pass

    def check(self) -> None:
        pass


def counts(kb: KnowledgeBase) -> dict[str, int]:
    tables = ("documents", "texts", "chunks", "embeddings", "lexical", "vectors")
    return {t: kb.database.value(f"SELECT COUNT(*) FROM {t}") for t in tables}


def add(kb: KnowledgeBase, text: str | bytes, name: str = "a.md") -> tuple[Any, bool]:
    return kb.add(io.BytesIO(text.encode() if isinstance(text, str) else text), name, max_mb=1)


def test_chunks_point_into_the_text(fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"guide.md": GUIDE})
    document = kb.read(kb.documents()[0].id)
    assert (document.status, document.num_chunks, document.lang) == ("ready", 2, "zh")
    assert [o.title for o in document.outline] == ["Guide", "Install", "年假"]
    for hit in retrieve(kb, "年假有几天", HASH).hits:
        assert document.text[hit.start : hit.end] == hit.text
    assert retrieve(kb, "年假有几天", HASH).hits[0].heading == "Guide › 年假"


def test_the_same_bytes_under_the_same_name_are_one_document(fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"guide.md": GUIDE})
    document, is_new = add(kb, GUIDE, "guide.md")
    assert not is_new and document.name == "guide.md" and len(kb.documents()) == 1


def test_a_second_ingestion_changes_nothing(fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"guide.md": GUIDE})
    before = counts(kb)
    ingest_document(kb, kb.documents()[0].id, HASH, lambda share, stage: None)
    assert counts(kb) == before


def test_removal_leaves_nothing(fill: Callable[..., KnowledgeBase]) -> None:
    kb = fill({"guide.md": GUIDE, "other.md": "# Other\n\nUnrelated words about penguins."})
    first, second = kb.documents()
    kb.remove(first.id)
    assert counts(kb) == dict.fromkeys(counts(kb), 1)
    assert not (kb.folder / "files" / first.id).exists()
    assert [h.doc_id for h in retrieve(kb, "installer penguins", HASH).hits] == [second.id]
    kb.remove(second.id)
    assert set(counts(kb).values()) == {0} and retrieve(kb, "penguins", HASH).hits == []


def test_a_language_the_embedder_does_not_know_gets_no_vectors(context: Context) -> None:
    class English(type(HASH)):
        name, languages = "english", ("en",)

    kb = Library(context).create("k", embedder=HASH.name)
    document, _ = add(kb, GUIDE)
    ingest_document(kb, document.id, English(), lambda share, stage: None)
    assert (counts(kb)["chunks"], counts(kb)["vectors"]) == (2, 1)
    found = retrieve(kb, "年假有几天", English())
    assert found.weight == 0.0 and found.hits[0].lang == "zh"


def test_job_goes_on_after_a_bad_document(context: Context) -> None:
    kb = Library(context).create("k", embedder=HASH.name)
    bad, _ = add(kb, b"%PDF-1.4 broken " * 9, "bad.pdf")
    good, _ = add(kb, GUIDE)
    job = InProcess(context)
    assert run_ingest(job, {"kb": kb.id, "documents": [bad.id, good.id]})["failed"] == 1
    assert kb.document(good.id).status == "ready"
    failed = kb.document(bad.id)
    assert (
        failed.status == "failed"
        and failed.error
        and failed.error["code"] == "pdf_broken"
        and failed.error["messages"]["zh"]
    )
    assert [f for f, _, _ in job.stages] == sorted(f for f, _, _ in job.stages)
    again, is_new = add(kb, b"%PDF-1.4 broken " * 9, "bad.pdf")
    assert (again.status, is_new) == ("queued", False)


@pytest.mark.parametrize("stop_after", [0, 1, 2, 3])
def test_cancel_and_retry(context: Context, stop_after: int) -> None:
    kb = Library(context).create("k", embedder=HASH.name)
    document, _ = add(kb, GUIDE)
    with pytest.raises(CancelledByUser):
        run_ingest(InProcess(context, stop_after), {"kb": kb.id, "documents": [document.id]})
    assert kb.document(document.id).status == "failed" and retrieve(kb, "installer", HASH).hits == []
    kb.requeue(document.id)
    assert run_ingest(InProcess(context), {"kb": kb.id, "documents": [document.id]})["ready"] == 1
    assert counts(kb)["chunks"] == 2


def test_uploads_that_are_refused_leave_nothing(context: Context) -> None:
    kb = Library(context).create("k", embedder="none")
    for data, name, kind in (
        (b"", "a.txt", InputError), (b"{\\rtf1 x", "a.md", InputError), (b"x" * (2 << 20), "a.txt", TooLargeError),
        (b"text", "../..", InputError),
    ):  # fmt: skip
        with pytest.raises(kind):
            add(kb, data, name)
    assert kb.documents() == [] and list((kb.folder / "files").iterdir()) == []


def test_a_large_file_is_refused_with_its_own_size(context: Context) -> None:
    kb = Library(context).create("k", embedder="none")
    with pytest.raises(TooLargeError, match=r"has 3\.0 MB; the limit is 1 MB"):
        add(kb, b"x" * (3 << 20), "a.txt")


def test_names_never_become_paths(context: Context) -> None:
    kb = Library(context).create("k", embedder="none")
    document, _ = add(kb, "hello there", "../../../etc/cron.d/evil.txt")
    assert document.name == "evil.txt"
    assert kb.original(document.id).resolve().is_relative_to(kb.folder.resolve())


def test_uploads_at_the_same_time_are_one_document(context: Context) -> None:
    kb = Library(context).create("k", embedder="none")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(add(kb, GUIDE)[0].id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and len(kb.documents()) == 1
    assert len(list((kb.folder / "files").iterdir())) == 1


def test_library(context: Context) -> None:
    library = Library(context)
    kb = library.create("  Hand   book ", embedder="none")
    assert kb.name == "Hand book" and library.open("Hand book").id == library.open(kb.id).id == kb.id
    with pytest.raises(ConflictError):
        library.create("Hand book", embedder="none")
    with pytest.raises(InputError):
        library.create(" ")
    with pytest.raises(NotFoundError, match="Did you mean 'Hand book'"):
        library.open("Handbook")
    library.rename(kb, "手册")
    assert [i.name for i in library.list()] == ["手册"]
    library.remove("手册")
    assert library.list() == [] and list(context.home.kbs.iterdir()) == []
    with pytest.raises(NotFoundError):
        library.open("../../etc")


def test_sweep_removes_what_a_kill_left(context: Context, tmp_path: Path) -> None:
    import os

    library = Library(context)
    kb = library.create("k", embedder="none")
    document, _ = add(kb, GUIDE)
    orphan, part = kb.folder / "files" / "0123456789ab", kb.folder / "files" / ".incoming-x"
    orphan.mkdir()
    part.write_bytes(b"half")
    (context.home.kbs / ".deleted-x").mkdir()
    library.sweep()
    assert orphan.exists() and part.exists()  # an upload may be under way
    for path in (orphan, part):
        os.utime(path, (0, 0))
    library.sweep()
    assert not orphan.exists() and not part.exists() and not (context.home.kbs / ".deleted-x").exists()
    assert kb.original(document.id).exists()


class Counting(type(HASH)):
    """The hashing embedder, which notes how many texts it was given at a time."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, texts: Any, kind: Any = "passage") -> Any:
        self.batches.append(len(texts))
        return super().embed(texts, kind)


def test_small_documents_share_a_batch(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = Library(context).create("k", embedder=HASH.name)
    ids = [add(kb, f"# Note {n}\n\nItem number {n} is kept in room {n * 7}.", f"{n}.md")[0].id for n in range(40)]
    embedder = Counting()
    monkeypatch.setattr(ingest, "embedder_of", lambda context, name: embedder)
    job = InProcess(context)
    assert run_ingest(job, {"kb": kb.id, "documents": ids})["ready"] == 40
    assert sum(embedder.batches) == 40 and len(embedder.batches) <= 3
    assert [f for f, _, _ in job.stages] == sorted(f for f, _, _ in job.stages)
    assert retrieve(kb, "room of item number 23", HASH).hits[0].doc_name == "23.md"


def test_uploads_while_a_job_waits_or_runs_are_read_by_it(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobStore, "dispatch", lambda self: 0)  # no process: the job is run here, below
    kb = Library(context).create("k", embedder=HASH.name)
    job = start_ingestion(context, kb, [add(kb, GUIDE, "a.md")[0]])
    assert job is not None
    again = start_ingestion(context, kb, [add(kb, GUIDE + "b", "b.md")[0]])
    assert again is not None and again.id == job.id

    class Uploading(InProcess):
        id = job.id

        def log(self, text: str) -> None:  # a third file comes while the first ones are read
            if len(kb.documents()) == 2:
                found = start_ingestion(context, kb, [add(kb, GUIDE + "c", "c.md")[0]])
                assert found is not None and found.id == job.id

    assert run_ingest(Uploading(context), job.params)["ready"] == 3
    assert {d.status for d in kb.documents()} == {"ready"}
    later = start_ingestion(context, kb, [add(kb, GUIDE + "d", "d.md")[0]])
    assert later is not None and later.id != job.id
