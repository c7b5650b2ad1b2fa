"""Every vector store passes the same suite; SQLite is its first row."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from zhilu.rag.database import KbDatabase
from zhilu.rag.stores import SqliteVectorStore
from zhilu.rag.testing import Reopen, VectorStoreContract


class TestSqlite(VectorStoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return lambda: SqliteVectorStore(KbDatabase(tmp_path / "kb.db"), self.DIM)


def test_rows_acknowledged_before_a_kill_are_there(tmp_path: Path) -> None:
    """A process writes rows, says which are durable, and is killed with signal 9 in the middle of the next write."""
    program = textwrap.dedent(
        f"""
        import os, signal, threading, time
        import numpy as np
        from pathlib import Path
        from zhilu.rag.database import KbDatabase
        from zhilu.rag.stores import SqliteVectorStore, VectorRow
        store = SqliteVectorStore(KbDatabase(Path({str(tmp_path)!r}) / "kb.db"), 32)
        threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        n = 0
        while True:
            n += 1
            store.upsert([VectorRow(n, np.full(32, n, np.float32) / 1000, "d", "en")])
            print(n, flush=True)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    acknowledged = [int(line) for line in done.stdout.split("\n") if line.strip()]
    store = SqliteVectorStore(KbDatabase(tmp_path / "kb.db"), 32)
    assert done.returncode == -9 and len(acknowledged) > 5
    assert store.count() in (len(acknowledged), len(acknowledged) + 1)
    assert {i for i, _ in store.search(np.ones(32, np.float32), 10**6)} >= set(acknowledged)
