"""Every vector store passes the same suite, also when it is killed while it writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from zhilu.errors import ConflictError, MissingComponentError
from zhilu.rag.database import KbDatabase
from zhilu.rag.stores import STORES, Filter, StorePlace, VectorRow
from zhilu.rag.stores.faiss import FAISS, FaissStore
from zhilu.rag.stores.sqlite import SQLITE
from zhilu.rag.testing import Opener, Reopen, VectorStoreContract, write_until_killed


class TestSqlite(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        with Opener(SQLITE, tmp_path, self.DIM) as opener:
            yield opener


class TestFaiss(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Reopen]:
        pytest.importorskip("faiss")
        with Opener(FAISS, tmp_path, self.DIM) as opener:
            yield opener


@pytest.mark.parametrize("kind", ["zhilu.rag.stores.sqlite:SQLITE", "zhilu.rag.stores.faiss:FAISS"])
def test_rows_acknowledged_before_a_kill_are_there(tmp_path: Path, kind: str) -> None:
    if kind.endswith("FAISS"):
        pytest.importorskip("faiss")
    for _ in range(2):  # the second writer goes on after what the first one left cut off
        acknowledged = write_until_killed(tmp_path, kind=kind)
        assert len(acknowledged) > 5
        with Opener(SQLITE if kind.endswith("SQLITE") else FAISS, tmp_path, 32) as reopen:
            store = reopen()
            there = [i for i, _ in store.search(np.ones(32, np.float32), 10**6)]
            assert len(there) == len(set(there)) == store.count()
            assert set(there) >= set(acknowledged)


def rows(first: int, n: int = 3) -> list[VectorRow]:
    return [VectorRow(first + i, np.eye(4, dtype=np.float32)[i], "d", "en") for i in range(n)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[StorePlace]:
    database = KbDatabase(tmp_path / "kb.db")
    yield StorePlace(database, tmp_path, 4)
    database.close()


@pytest.mark.parametrize("cut", [1, 7, 19, 20, 60, 100])
def test_a_record_that_was_cut_off_is_not_there_and_is_written_over(place: StorePlace, cut: int) -> None:
    pytest.importorskip("faiss")
    file = place.folder / "vectors.faiss"
    FaissStore(place).upsert(rows(1))
    whole = len(file.read_bytes())
    FaissStore(place).upsert(rows(10))
    file.write_bytes(file.read_bytes()[: whole + cut])
    assert {i for i, _ in FaissStore(place).search(rows(1)[0].vector, 9)} == {1, 2, 3}
    FaissStore(place).upsert(rows(20))
    assert {i for i, _ in FaissStore(place).search(rows(1)[0].vector, 9)} == {1, 2, 3, 20, 21, 22}


def test_damage_before_the_end_is_said_and_nothing_is_cut_away(place: StorePlace) -> None:
    pytest.importorskip("faiss")
    file = place.folder / "vectors.faiss"
    FaissStore(place).upsert(rows(1))
    FaissStore(place).upsert(rows(10))
    damaged = bytearray(file.read_bytes())
    damaged[60] ^= 0xFF
    file.write_bytes(damaged)
    for act in (lambda s: s.count(), lambda s: s.upsert(rows(20)), lambda s: s.delete(Filter(ids=[1]))):
        with pytest.raises(ConflictError, match="damaged"):
            act(FaissStore(place))
    assert file.read_bytes() == bytes(damaged)


def test_what_was_deleted_leaves_the_file(place: StorePlace) -> None:
    pytest.importorskip("faiss")
    store = FaissStore(place)
    vectors = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    store.upsert([VectorRow(i, v, "d", "en") for i, v in enumerate(vectors)])
    large = (place.folder / "vectors.faiss").stat().st_size
    store.delete(Filter(ids=range(900)))
    assert (place.folder / "vectors.faiss").stat().st_size < large / 5
    assert store.search(vectors[950], 1)[0][0] == FaissStore(place).search(vectors[950], 1)[0][0]


def test_a_store_whose_library_is_missing_says_how_to_get_it(
    place: StorePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(MissingComponentError, match="not installed") as caught:
        STORES.get("faiss").open(place)
    assert caught.value.fix == "pip install faiss-cpu"
