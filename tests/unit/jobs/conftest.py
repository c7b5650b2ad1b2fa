from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from zhilu.context import Context, open_context
from zhilu.jobs import Job, JobStore
from zhilu.jobs.process import kill_marked
from zhilu.messages import T
from zhilu.process import Birth
from zhilu.tables import JobRow


class Bench:
    """A store on a home of its own, and short ways to say what the tests do."""

    def __init__(self, context: Context, folder: Path) -> None:
        self.context = context
        self.folder = folder
        self.store = JobStore(context)

    def count(self, n: int, name: str = "numbers", kind: str = "COUNT", **options: object) -> Job:
        params = {"n": n, "file": str(self.folder / name), **options}
        return self.store.submit(f"zhilu.jobs.testing:{kind}", params, T("Counting", "计数"))

    def lines(self, name: str = "numbers") -> list[int]:
        path = self.folder / name
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def worker(self, job_id: str) -> Birth | None:
        with self.context.database.session() as session:
            row = session.get(JobRow, job_id)
            assert row is not None
            return Birth(row.pid, row.pid_started) if row.pid and row.pid_started is not None else None

    def reasons(self, job_id: str) -> list[str]:
        return [event.data["reason"] for event in self.store.events(job_id) if event.type == "status"]


@pytest.fixture
def bench(tmp_path: Path, own_home: Path) -> Iterator[Bench]:
    context = open_context()
    made = Bench(context, tmp_path)
    yield made
    for job in made.store.list():
        kill_marked(job.id)
    context.close()
