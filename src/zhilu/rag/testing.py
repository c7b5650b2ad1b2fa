"""For whoever adds a vector store or tests code that uses knowledge bases: a conformance suite and a tiny embedder.

A back end's test file has six lines::

    class TestMyStore(VectorStoreContract):
        @pytest.fixture
        def reopen(self, tmp_path):
            with Opener(MY_KIND, tmp_path, self.DIM) as reopen:
                yield reopen

Each call of ``reopen`` opens the same data anew, as another process would. ``write_until_killed`` proves that nothing
acknowledged is lost.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zhilu.rag.database import KbDatabase
from zhilu.rag.stores import Filter, StoreKind, StorePlace, VectorRow, VectorStore
from zhilu.text.terms import terms

__all__ = ["HASH", "HashEmbedder", "Opener", "VectorStoreContract", "check_store", "store_key", "write_until_killed"]

Reopen = Callable[[], VectorStore]
SQLITE = "zhilu.rag.stores.sqlite:SQLITE"


class Opener:
    """Opens the store of one folder again and again; closes all of them at the end. ``url``: of the server, where the store
    is on one."""

    def __init__(self, kind: StoreKind, folder: Path, dim: int, url: str | None = None) -> None:
        self.kind, self.folder, self.dim, self.url = kind, folder, dim, url
        self._opened: list[tuple[VectorStore, KbDatabase]] = []

    def __call__(self) -> VectorStore:
        database = KbDatabase(self.folder / "kb.db")
        try:
            store = self.kind.open(StorePlace(database, self.folder, self.dim, store_key(self.folder), self.url))
        except BaseException:
            database.close()
            raise
        self._opened.append((store, database))
        return store

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        for store, database in self._opened:
            store.close()
            database.close()


def store_key(folder: Path) -> str:
    """A key for the store of a folder, as a knowledge base has its id."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:12]


class HashEmbedder:
    """Signed hashing of words and Chinese character pairs (Weinberger et al. 2009): lexical, instant, deterministic."""

    name = "zhilu.rag.testing:HASH"
    dim = 256
    languages = ("en", "zh")

    def embed(self, texts: Sequence[str], kind: Literal["passage", "query"] = "passage") -> NDArray[np.float32]:
        out = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(out, texts, strict=True):
            for term in terms(text):
                digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
                row[int.from_bytes(digest[:4], "little") % self.dim] += 1.0 if digest[4] & 1 else -1.0
            row /= max(float(np.linalg.norm(row)), 1e-9)
        return out


HASH = HashEmbedder()


def _rows(n: int, dim: int, first: int = 1, seed: int = 0) -> list[VectorRow]:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [VectorRow(first + i, v, f"doc{i % 5}", "zh" if i % 2 else "en") for i, v in enumerate(vectors)]


class VectorStoreContract:
    """What every vector store must do; each check starts from an empty store."""

    DIM = 32

    def test_nearest_first_and_exact(self, reopen: Reopen) -> None:
        store, rows = reopen(), _rows(200, self.DIM)
        store.upsert(rows)
        query = rows[17].vector
        found = store.search(query, 10)
        expected = sorted(((float(r.vector @ query), r.id) for r in rows), reverse=True)[:10]
        assert found[0][0] == rows[17].id and abs(found[0][1] - 1.0) < 5e-3
        assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)
        if store.facts.exact:
            assert np.allclose([s for _, s in found], [s for s, _ in expected], atol=5e-3)

    def test_filter_comes_before_ranking(self, reopen: Reopen) -> None:
        """The rarest rows are found although hundreds of others are nearer."""
        store, rows = reopen(), _rows(300, self.DIM)
        far = VectorRow(9_999, -rows[0].vector, "rare", "en")
        store.upsert([*rows, far])
        query = rows[0].vector
        assert [i for i, _ in store.search(query, 5, Filter(doc_ids=["rare"]))] == [9_999]
        for where in (Filter(doc_ids=["doc1", "doc3"]), Filter(langs=["zh"]), Filter(ids=range(10, 40)),
                      Filter(doc_ids=["doc2"], langs=["en"])):  # fmt: skip
            accepted = {r.id for r in rows if where.accepts(r)}
            found = store.search(query, 12, where)
            assert len(found) == min(12, len(accepted)) and {i for i, _ in found} <= accepted
            assert store.count(where) == len(accepted)
        assert store.search(query, 5, Filter(doc_ids=[])) == []

    def test_upsert_replaces_and_can_be_repeated(self, reopen: Reopen) -> None:
        store, rows = reopen(), _rows(20, self.DIM)
        store.upsert(rows)
        store.upsert(rows)
        assert store.count() == 20
        moved = VectorRow(rows[0].id, rows[1].vector, "moved", "en")
        store.upsert([moved])
        assert store.count() == 20 and store.count(Filter(doc_ids=["moved"])) == 1
        assert {i for i, _ in store.search(rows[1].vector, 2)} == {rows[0].id, rows[1].id}

    def test_delete(self, reopen: Reopen) -> None:
        store, rows = reopen(), _rows(50, self.DIM)
        store.upsert(rows)
        assert store.delete(Filter(doc_ids=["doc0"])) == 10
        assert store.delete(Filter(doc_ids=["doc0"])) == 0
        assert store.delete(Filter(ids=[2, 3, 12_345])) == 2
        assert store.count() == 38
        assert not {1, 2, 3} & {i for i, _ in store.search(rows[1].vector, 50)}
        store.upsert(rows[:1])
        assert store.search(rows[0].vector, 1)[0][0] == rows[0].id

    def test_empty_store_and_k_beyond_its_size(self, reopen: Reopen) -> None:
        store, rows = reopen(), _rows(3, self.DIM)
        assert store.search(rows[0].vector, 5) == [] and store.count() == 0
        store.upsert(rows)
        assert len(store.search(rows[0].vector, 50)) == 3

    def test_wrong_dimension_is_refused(self, reopen: Reopen) -> None:
        store = reopen()
        try:
            store.upsert([VectorRow(1, np.ones(self.DIM + 1, np.float32), "d", "en")])
        except ValueError:
            assert store.count() == 0
        else:
            raise AssertionError("a vector of another dimension was taken")

    def test_what_was_written_is_there_after_opening_anew(self, reopen: Reopen) -> None:
        store, rows = reopen(), _rows(30, self.DIM)
        store.upsert(rows)
        store.delete(Filter(ids=[5]))
        store.close()
        again = reopen()
        assert again.count() == 29
        assert again.search(rows[7].vector, 1)[0][0] == rows[7].id

    def test_another_writer_is_seen(self, reopen: Reopen) -> None:
        store = reopen()
        if not store.facts.many_processes:
            return
        other, rows = reopen(), _rows(10, self.DIM)
        store.upsert(rows[:5])
        assert other.count() == 5
        other.upsert(rows[5:])
        assert store.search(rows[9].vector, 1)[0][0] == rows[9].id
        other.delete(Filter(ids=[rows[9].id]))
        assert rows[9].id not in {i for i, _ in store.search(rows[9].vector, 10)}

    def test_much_deleting_leaves_the_rest(self, reopen: Reopen) -> None:
        """A back end may tidy up while it deletes: what stays is what was kept, for those that look on, too."""
        store, rows = reopen(), _rows(900, self.DIM)
        onlooker = reopen() if store.facts.many_processes else store
        store.upsert(rows)
        assert onlooker.count() == 900
        for doc in ("doc0", "doc1", "doc2"):
            store.delete(Filter(doc_ids=[doc]))
        kept = [r for r in rows if r.doc_id in ("doc3", "doc4")]
        store.close()
        for one in (onlooker, reopen()):
            assert one.count() == len(kept) == 360
            assert one.search(kept[7].vector, 1)[0][0] == kept[7].id
            assert one.count(Filter(langs=["zh"])) == sum(r.lang == "zh" for r in kept)

    def test_a_reader_beside_a_writer_sees_whole_writes(self, reopen: Reopen) -> None:
        store, rows = reopen(), _rows(400, self.DIM)
        reader = reopen() if store.facts.many_processes else store
        seen: list[int] = []

        def write() -> None:
            for at in range(0, 400, 20):
                store.upsert(rows[at : at + 20])

        writing = threading.Thread(target=write)
        writing.start()
        while writing.is_alive():
            found = reader.search(rows[0].vector, 400)
            assert len({i for i, _ in found}) == len(found)
            seen.append(len(found))
        writing.join()
        assert all(n % 20 == 0 for n in seen) and seen == sorted(seen)
        assert reader.count() == 400

    def test_dropped_is_empty(self, reopen: Reopen) -> None:
        store, rows = reopen(), _rows(10, self.DIM)
        store.upsert(rows)
        store.drop()
        assert store.count() == 0 and store.search(rows[0].vector, 3) == []
        store.upsert(rows[:2])
        assert reopen().count() == 2


def check_store(fresh: Callable[[], Reopen]) -> int:
    """Run the suite without pytest, as gate 4.2 does; ``fresh`` gives ``reopen`` for an empty store. Checks passed.

    Raises:
        AssertionError: from the first check that fails.
    """
    contract = VectorStoreContract()
    checks = [getattr(contract, name) for name in dir(contract) if name.startswith("test_")]
    for check in checks:
        check(fresh())
    return len(checks)


def write_until_killed(
    folder: Path, dim: int = 32, after_s: float = 0.4, kind: str = SQLITE, url: str | None = None, first: int = 1
) -> list[int]:
    """A process writes vectors to a store in ``folder``, one a call with ids from ``first`` on, until signal 9 ends it in the
    middle of a write; the ids that it acknowledged before. ``kind`` is the ``module:ATTRIBUTE`` of a ``StoreKind``."""
    module, _, attribute = kind.partition(":")
    program = textwrap.dedent(
        f"""
        import os, signal, threading
        import numpy as np
        from pathlib import Path
        from zhilu.rag.database import KbDatabase
        from zhilu.rag.stores import StorePlace, VectorRow
        from {module} import {attribute} as kind
        folder = Path({str(folder)!r})
        store = kind.open(StorePlace(KbDatabase(folder / "kb.db"), folder, {dim}, {store_key(folder)!r}, {url!r}))
        store.count()
        threading.Timer({after_s}, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        n = {first}
        while True:
            store.upsert([VectorRow(n, np.full({dim}, n, np.float32) / 1000, "d", "en")])
            print(n, flush=True)
            n += 1
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode != -9:
        raise AssertionError(f"the writer was not killed: exit {done.returncode}, {done.stderr[-300:]}")
    return [int(line) for line in done.stdout.split("\n") if line.strip()]
