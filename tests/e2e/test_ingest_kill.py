"""kill -9 anywhere in an ingestion: no document is lost and none is doubled.

Two processes are killed in turn at random moments: the one that uploads, and the job's worker. ``ZHILU_KILLS`` says how
often (5 by default).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhilu.context import Context, open_context
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.rag.index.ingest import requeue_stranded
from zhilu.rag.index.publish import clear_leftovers, nearest
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.stores import Filter
from zhilu.rag.testing import HASH
from zhilu.tables import JobRow

KILLS = int(os.environ.get("ZHILU_KILLS", "5"))
NUM_DOCUMENTS = 12

UPLOAD = """
import io, sys
from zhilu.context import open_context
from zhilu.rag.index.ingest import start_ingestion
from zhilu.rag.library import Library
from zhilu.rag.stores import Filter
context = open_context()
kb = Library(context).open(sys.argv[1])
print("ready", flush=True)
for number in map(int, sys.argv[2:]):
    text = f"# Document {number}\\n\\n" + "".join(
        f"Sentence {s} of document {number} tells of item{number}x{s}.\\n\\n" for s in range(400)
    )
    document, is_new = kb.add(io.BytesIO(text.encode()), f"{number}.md", max_mb=10)
    start_ingestion(context, kb, [document])
    print(number, document.id, flush=True)
"""


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context()
    yield opened
    for job in JobStore(opened).list():
        kill_marked(job.id)
    opened.close()


def kill_a_worker(context: Context) -> bool:
    with context.database.session() as session:
        row = session.query(JobRow).filter(JobRow.status == "running", JobRow.pid.isnot(None)).first()
        pid = row.pid if row is not None else None
    if pid is None or pid == os.getpid():
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def go_on(context: Context, kb: KnowledgeBase) -> None:
    """What a restart of the product does: find dead workers, give forgotten documents a job, retry what gave up."""
    store = JobStore(context)
    store.recover()
    for job in store.list(kind="ingest", status="failed"):
        store.retry(job.id)  # a job whose worker died MAX_DEATHS times waits for a person's "retry"
    requeue_stranded(context, kb)
    store.dispatch()


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * KILLS)
@pytest.mark.parametrize("store", ["sqlite", "faiss"])
def test_nothing_lost_nothing_doubled(context: Context, tmp_path: Path, store: str) -> None:
    if store == "faiss":
        pytest.importorskip("faiss")
    rng = random.Random(KILLS)
    kb = Library(context).create("k", embedder=HASH.name, store=store)
    acknowledged: dict[int, str] = {}
    kills, patience = 0, 1.0
    while kills < KILLS or len(acknowledged) < NUM_DOCUMENTS // 3:
        todo = [n for n in range(NUM_DOCUMENTS) if n not in acknowledged] or rng.sample(range(NUM_DOCUMENTS), 4)
        uploader = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(UPLOAD), kb.id, *map(str, todo)], stdout=subprocess.PIPE, text=True
        )
        assert uploader.stdout is not None
        assert (
            uploader.stdout.readline() == "ready\n"
        )  # what a busy machine takes to start it is no moment of an upload
        time.sleep(rng.uniform(0.0, 2.2) * patience)
        if kills % 2:
            kills += kill_a_worker(context)
            time.sleep(rng.uniform(0.0, 0.5))
        kills += uploader.poll() is None
        uploader.kill()
        before = len(acknowledged)
        for line in uploader.stdout.read().splitlines():
            number, doc_id = line.split()
            assert acknowledged.setdefault(int(number), doc_id) == doc_id  # the same bytes, the same document
        patience *= (
            2 if todo and len(acknowledged) == before == 0 else 1
        )  # too slow a machine for any upload in that time
        uploader.wait()
        uploader.stdout.close()
        go_on(context, kb)
        if not any(d.status in ("queued", "ingesting") for d in kb.documents()) and len(acknowledged) == NUM_DOCUMENTS:
            victim = rng.choice(kb.documents())  # all done early: make work again
            kb.remove(victim.id)
            acknowledged = {n: i for n, i in acknowledged.items() if i != victim.id}
    finish(context, kb)
    assert_whole(kb, acknowledged)


def finish(context: Context, kb: KnowledgeBase) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        go_on(context, kb)
        if not any(d.status in ("queued", "ingesting") for d in kb.documents()):
            return
        time.sleep(0.3)
    raise AssertionError([(d.name, d.status, d.job_id) for d in kb.documents()])


def assert_whole(kb: KnowledgeBase, acknowledged: dict[int, str]) -> None:
    clear_leftovers(kb)
    documents = kb.documents()
    names = [d.name for d in documents]
    assert len(names) == len(set(names))
    assert {d.id for d in documents} >= set(acknowledged.values())
    assert {d.status for d in documents} == {"ready"}, [(d.name, d.error) for d in documents]
    for document in documents:
        text = kb.read(document.id).text
        rows = kb.database.rows(
            "SELECT id, start, end, text FROM chunks WHERE doc_id = ? ORDER BY ordinal", (document.id,)
        )
        assert len(rows) == document.num_chunks > 10
        assert all(text[r["start"] : r["end"]] == r["text"] for r in rows)
        assert kb.store.count(Filter(doc_ids=[document.id])) == len(rows)
        shown = [i for i, _ in nearest(kb, HASH.embed([text])[0], 1000, Filter(doc_ids=[document.id]))]
        assert sorted(shown) == [r["id"] for r in rows]
        assert kb.original(document.id).read_text().strip() == text
        number = document.name.split(".")[0]
        hits = retrieve(kb, f"item{number}x399", HASH, weight=0.0).hits
        assert hits and hits[0].doc_id == document.id
    indexed = kb.database.value("SELECT COUNT(*) FROM lexical")
    assert indexed == kb.database.value("SELECT COUNT(*) FROM chunks") == kb.store.count()
