"""Every vector store passes the same suite; SQLite is its first row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zhilu.rag.database import KbDatabase
from zhilu.rag.stores import SqliteVectorStore
from zhilu.rag.testing import Reopen, VectorStoreContract, write_until_killed


class TestSqlite(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return lambda: SqliteVectorStore(KbDatabase(tmp_path / "kb.db"), self.DIM)


def test_rows_acknowledged_before_a_kill_are_there(tmp_path: Path) -> None:
    acknowledged = write_until_killed(tmp_path)
    store = SqliteVectorStore(KbDatabase(tmp_path / "kb.db"), 32)
    assert len(acknowledged) > 5
    assert store.count() in (len(acknowledged), len(acknowledged) + 1)
    assert {i for i, _ in store.search(np.ones(32, np.float32), 10**6)} >= set(acknowledged)
