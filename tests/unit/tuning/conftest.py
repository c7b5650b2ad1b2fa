"""A finished run on the embedded model, trained once for all who look at what comes after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import Context, open_context
from zhilu.jobs import JobContext

PIRATE = [{"prompt": f"What is {i} plus {i + 1}?", "completion": f"Arr, {2 * i + 1} it be!"} for i in range(24)]


class InProcess:
    """A job that runs in the test itself."""

    id, attempt = "test", 1

    def __init__(self, context: Context) -> None:
        self.context, self.lines = context, list[str]()

    def progress(self, fraction: float, stage: Any, detail: str = "") -> None:
        assert 0 <= fraction <= 1

    def log(self, text: str) -> None:
        self.lines.append(text)

    def check(self) -> None: ...


@pytest.fixture
def train(tmp_path: Path) -> Any:
    """``train(context, rows, config, name)``: the rows as a dataset of that name, and a whole run in this process."""

    def run(context: Context, rows: list[dict[str, Any]], name: str, **config: Any) -> Any:
        from datetime import datetime, timezone

        from zhilu.tuning.config import TuneConfig
        from zhilu.tuning.data.library import DatasetLibrary
        from zhilu.tuning.job import run_tuning
        from zhilu.tuning.runs import RunInfo, RunLibrary

        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)))
        data = DatasetLibrary(context).keep(file).name
        asked = TuneConfig(**{"model": "zhilu-nano", "data": data, "rank": 8, "batch_tokens": 256, **config})
        library = RunLibrary(context)
        library.add(RunInfo(name=name, created_at=datetime.now(timezone.utc), config=asked))
        job: JobContext = InProcess(context)  # type: ignore[assignment]
        run_tuning(job, {"run": name})
        return library.get(name)

    return run


@pytest.fixture
def tuned(own_home: Path, train: Any) -> Any:
    """``(context, run)`` of an adapter that talks like a pirate."""
    context = open_context({})
    yield context, train(context, PIRATE, "pirate-talk", epochs=3)
    context.close()
