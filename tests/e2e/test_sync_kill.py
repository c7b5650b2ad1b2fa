"""kill -9 anywhere in the sync of a source: what is in the folder is in the knowledge base, once, and nothing else.

The worker of the sync or of the reading is killed at random moments, while the folder changes. ``ZHILU_KILLS`` says how often
(20 by default).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.test_ingest_kill import kill_a_worker

from zhilu.context import Context, open_context
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.rag.index.ingest import requeue_stranded, start_ingestion
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.sources.base import SourceOptions
from zhilu.rag.sources.book import SourceBook
from zhilu.rag.sources.sync import start_sync
from zhilu.rag.testing import HASH

KILLS = int(os.environ.get("ZHILU_KILLS", "20"))


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context()
    yield opened
    for job in JobStore(opened).list():
        kill_marked(job.id)
    opened.close()


def go_on(context: Context, kb: KnowledgeBase) -> bool:
    """What a restart of the product does, and a person who tries again what failed; whether anything is still to do."""
    store = JobStore(context)
    store.recover()
    for job in store.list(status="failed"):
        store.retry(job.id)  # a job whose worker died often waits for a person's "retry"
    requeue_stranded(context, kb)
    # Where a job's failing was seen before its retry began, its documents carry its error and wait for a person.
    failed = [d for d in kb.documents() if d.status == "failed" and (d.error or {}).get("code") == "ingest_failed"]
    if failed:
        start_ingestion(context, kb, [kb.requeue(d.id) for d in failed])
    store.dispatch()
    return any(not job.ended for job in store.list()) or bool(kb.waiting())


def change(folder: Path, rng: random.Random, turn: int) -> None:
    """Some files are new, some change, one goes."""
    for number in rng.sample(range(40), 6):
        (folder / f"{number}.md").write_text(f"# Sheet {number}\n\n" + f"Turn {turn} of sheet {number}.\n\n" * 120)
    there = sorted(folder.glob("*.md"))
    if len(there) > 12:
        rng.choice(there).unlink()


@pytest.mark.slow
@pytest.mark.timeout(120 + 20 * KILLS)
def test_a_folder_is_taken_whole_and_once(context: Context, tmp_path: Path) -> None:
    rng = random.Random(KILLS)
    folder = tmp_path / "docs"
    folder.mkdir()
    kb = Library(context).create("k", embedder=HASH.name)
    source = SourceBook(kb).add(str(folder), SourceOptions())
    kills = turn = 0
    while kills < KILLS:
        change(folder, rng, turn)
        turn += 1
        start_sync(context, kb, source)
        for _ in range(rng.randrange(1, 4)):
            time.sleep(rng.uniform(0.0, 1.5))
            kills += kill_a_worker(context)
            go_on(context, kb)
        assert turn < 20 * KILLS, "no worker could be killed"

    deadline = time.monotonic() + 100
    while go_on(context, kb) and time.monotonic() < deadline:
        time.sleep(0.2)
    start_sync(context, kb, source)  # one walk that nobody disturbs
    while go_on(context, kb) and time.monotonic() < deadline:
        time.sleep(0.2)

    documents = kb.documents()
    assert sorted(d.name for d in documents) == sorted(f"docs/{p.name}" for p in folder.glob("*.md"))
    for document in documents:
        assert document.status == "ready" and document.answering == document.version, document
        path = folder / document.name.removeprefix("docs/")
        assert kb.original(document.id).read_bytes() == path.read_bytes()
    found = kb.database.rows(
        "SELECT doc_id, ordinal, COUNT(*) FROM chunks GROUP BY doc_id, ordinal HAVING COUNT(*) > 1"
    )
    assert not found
    num = kb.database.value("SELECT COUNT(*) FROM chunks")
    assert num == kb.database.value("SELECT COUNT(*) FROM lexical") == kb.store.count()
    assert len(SourceBook(kb).items(source.id)) == len(documents)
