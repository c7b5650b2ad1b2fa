"""The curves of a run, as files that the three programs' own libraries read back."""

from __future__ import annotations

import csv
import os
import struct
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import open_context
from zhilu.errors import ConflictError, InputError, StorageError
from zhilu.tuning.after.curves import _masked, write_curves
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.runs import RunFolder, RunInfo, RunLibrary

LOSSES = [5.5, 4.25, 3.125, 3.0]


@pytest.fixture
def run(own_home: Path) -> Any:
    context = open_context({})
    config = TuneConfig(model="tiny", data="chat", learning_rate=0.01)
    info = RunInfo(name="my-run", created_at=datetime(2026, 11, 30, 8, tzinfo=timezone.utc), config=config)
    made = RunLibrary(context).add(info)
    made.measure(step=0, held_out=6.0)
    for step, loss in enumerate(LOSSES, start=1):
        more = {"held_out": loss + 0.5} if step % 2 == 0 else {}
        made.measure(step=step, loss=loss, tokens=100, tokens_per_second=50.0, train_margin=step / 8, **more)
    yield made
    context.close()


def test_the_checksum_is_the_published_one() -> None:
    """RFC 3720, appendix B.4: 32 bytes of zeros have the CRC-32C 8a9136aa."""
    crc = 0x8A9136AA
    assert _masked(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_run_without_figures_and_one_that_is_there_are_refused(run: RunFolder, tmp_path: Path) -> None:
    for form in ("tensorboard", "mlflow", "trackio"):
        write_curves(run, form, tmp_path / form)  # type: ignore[arg-type]
        with pytest.raises(ConflictError) as raised:
            write_curves(run, form, tmp_path / form)  # type: ignore[arg-type]
        assert raised.value.fix == f"zhilu tune export-log my-run --to {form} ANOTHER-FOLDER"  # as it can be typed
        (tmp_path / "file").write_text("")
        with pytest.raises((InputError, StorageError)) as refused:
            write_curves(run, form, tmp_path / "file" / "folder")  # type: ignore[arg-type]
        assert "file" in refused.value.message.en
    run.metrics.unlink()
    with pytest.raises(InputError):
        write_curves(run, "trackio", tmp_path / "more")


def test_the_table(run: RunFolder, tmp_path: Path) -> None:
    file = write_curves(run, "trackio", tmp_path)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [float(row["loss"]) for row in rows[1:]] == LOSSES
    assert rows[0]["loss"] == "" and rows[0]["held_out"] == "6.0"
    assert rows[1]["timestamp"] == "2026-11-30T08:00:02+00:00"  # 100 tokens at 50 a second


def test_every_record_of_the_event_file_is_whole(run: RunFolder, tmp_path: Path) -> None:
    write_curves(run, "tensorboard", tmp_path)
    data = next((tmp_path / "my-run").glob("events.out.tfevents.*")).read_bytes()
    at = count = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == _masked(data[at : at + 8])
        body = data[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == _masked(body)
        at, count = at + 16 + length, count + 1
    assert count == 6 and b"held_out/loss" in data


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_it(run: RunFolder, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed here")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_curves(run, "tensorboard", tmp_path)
    seen = EventAccumulator(str(tmp_path / "my-run"))
    seen.Reload()
    assert [(e.step, e.value) for e in seen.Scalars("train/loss")] == list(enumerate(LOSSES, start=1))
    assert [e.step for e in seen.Scalars("held_out/loss")] == [0, 2, 4]
    first = seen.Scalars("train/loss")[0]
    assert first.wall_time == pytest.approx(run.info().created_at.timestamp() + 2)


@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_it(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed here")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=write_curves(run, "mlflow", tmp_path).as_uri())
    experiment = client.get_experiment_by_name("zhilu")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "my-run" and found.data.params["learning_rate"] == "0.01"
    history = client.get_metric_history(found.info.run_id, "loss")
    assert [(m.step, m.value) for m in history] == list(enumerate(LOSSES, start=1))


@pytest.mark.filterwarnings("ignore")
def test_trackio_reads_it(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio", reason="trackio is not installed here")
    pytest.importorskip("pandas", reason="trackio reads tables with pandas")
    file = write_curves(run, "trackio", tmp_path)
    trackio.import_csv(str(file), project="zhilu", name="my-run")
    from trackio.sqlite_storage import SQLiteStorage

    logs = SQLiteStorage.get_logs("zhilu", "my-run")
    assert [row["loss"] for row in logs if row.get("loss") is not None] == LOSSES
    assert os.environ["TRACKIO_DIR"].startswith(str(tmp_path))
