"""A run's curves as files that TensorBoard, MLflow and trackio read. None of the three has to be installed to write them.

What is written: TensorBoard's event file (TFRecord of ``Event`` messages), MLflow's file store (``mlruns``: one text file a metric),
and the table that ``trackio.import_csv`` takes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from zhilu.errors import ConflictError, InputError
from zhilu.home import atomic_write, storage_error
from zhilu.messages import T
from zhilu.tuning.runs import RunFolder, RunInfo

__all__ = ["CURVES", "NEXT", "CurveFormat", "write_curves"]

CurveFormat = Literal["tensorboard", "mlflow", "trackio"]
_EXPERIMENT = "zhilu"


def write_curves(run: RunFolder, form: CurveFormat, to: Path) -> Path:
    """Write what a run has measured so far below ``to``, beside those of other runs; returns what its program is pointed at.

    Raises:
        InputError: nothing has been measured yet. ConflictError: this run's are there already.
        DamagedError: the run's note cannot be read. InputError: the folder cannot be written.
    """
    info, points = run.info(), list(_points(run))
    if not points:
        raise InputError(
            T(f"The run {info.name!r} has measured nothing yet.", f"训练 {info.name!r} 还没有任何记录。"),
            param="name",
            fix=f"zhilu tune show {info.name}",
        )
    try:
        return CURVES[form](info, points, to)
    except OSError as error:
        said = error.strerror or str(error)
        raise storage_error(error, to) or InputError(
            T(f"{str(to)!r} cannot be written: {said}.", f"无法写入 {str(to)!r}：{said}。"),
            param="folder",
            fix=f"zhilu tune export-log {info.name} --to {form} ANOTHER-FOLDER",
        ) from error


def _points(run: RunFolder) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Of each step: its number, the seconds since 1970 at which it was trained, and its figures.

    The note holds when the run was made, and a step how many tokens a second were trained: the time of a step is the first and
    the time that training alone has taken.
    """
    begun, tokens = run.info().created_at.timestamp(), 0.0
    for values in run.measured():
        figures = {
            key: float(value) for key, value in values.items() if isinstance(value, (int, float)) and key != "step"
        }
        tokens += figures.get("tokens", 0.0)
        speed = figures.get("tokens_per_second", 0.0)
        yield int(values["step"]), begun + (tokens / speed if speed else 0.0), figures


def _refuse_there(path: Path, name: str, form: CurveFormat) -> None:
    if path.exists():
        raise ConflictError(
            T(
                f"The curves of {name!r} are in {str(path.parent)!r} already.",
                f"{name!r} 的曲线已在 {str(path.parent)!r} 中。",
            ),
            param="folder",
            fix=f"zhilu tune export-log {name} --to {form} ANOTHER-FOLDER",
        )


def _tensorboard(info: RunInfo, points: list[tuple[int, float, dict[str, float]]], to: Path) -> Path:
    folder = to / info.name
    _refuse_there(folder, info.name, "tensorboard")
    folder.mkdir(parents=True)
    first = points[0][1]
    records = [_record(_double(1, first) + _text(3, "brain.Event:2"))]
    for step, at, figures in points:
        values = b"".join(_message(1, _text(1, _tag(key)) + _float(2, value)) for key, value in figures.items())
        records.append(_record(_double(1, at) + _integer(2, step) + _message(5, values)))
    atomic_write(folder / f"events.out.tfevents.{int(first)}.zhilu", b"".join(records))
    return to


def _tag(key: str) -> str:
    """Figures of the same kind beside each other: ``train/loss``, ``held_out/loss``."""
    return {"loss": "train/loss", "held_out": "held_out/loss"}.get(key, f"train/{key.removeprefix('train_')}")


def _mlflow(info: RunInfo, points: list[tuple[int, float, dict[str, float]]], to: Path) -> Path:
    number = hashlib.sha256(f"{info.name} {info.created_at.isoformat()}".encode()).hexdigest()[:32]
    experiment = str(int(hashlib.sha256(_EXPERIMENT.encode()).hexdigest()[:15], 16))
    folder = to / experiment / number
    _refuse_there(folder, info.name, "mlflow")
    first, last = (round(points[at][1] * 1000) for at in (0, -1))
    if not (to / experiment / "meta.yaml").exists():
        (to / experiment).mkdir(parents=True, exist_ok=True)
        about = {
            "artifact_location": (to / experiment).absolute().as_uri(), "creation_time": first, "experiment_id": experiment,
            "last_update_time": first, "lifecycle_stage": "active", "name": _EXPERIMENT,
        }  # fmt: skip
        atomic_write(to / experiment / "meta.yaml", _yaml(about))
    for name in ("metrics", "params", "tags", "artifacts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {}
    for step, at, figures in points:
        for key, value in figures.items():
            lines.setdefault(key, []).append(f"{round(at * 1000)} {value!r} {step}\n")
    for key, its in lines.items():
        atomic_write(folder / "metrics" / key, "".join(its))
    params = {**info.config.model_dump(exclude_none=True), **info.chosen}
    for key, value in params.items():
        atomic_write(folder / "params" / key, str(value))
    atomic_write(folder / "tags" / "mlflow.runName", info.name)
    note: dict[str, Any] = {
        "artifact_uri": (folder / "artifacts").absolute().as_uri(), "end_time": last if info.outcome else None,
        "entry_point_name": "", "experiment_id": experiment, "lifecycle_stage": "active", "run_id": number,
        "run_name": info.name, "run_uuid": number, "source_name": "", "source_type": 4, "source_version": "",
        "start_time": first, "status": 3 if info.outcome else 1, "tags": [], "user_id": "",
    }  # fmt: skip
    atomic_write(folder / "meta.yaml", _yaml(note))  # last: a run without its note is none
    return to


def _yaml(values: dict[str, Any]) -> str:
    """JSON scalars are YAML."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in sorted(values.items()))


def _trackio(info: RunInfo, points: list[tuple[int, float, dict[str, float]]], to: Path) -> Path:
    from datetime import datetime, timezone

    file = to / f"{info.name}.csv"
    _refuse_there(file, info.name, "trackio")
    to.mkdir(parents=True, exist_ok=True)
    keys = list(dict.fromkeys(key for _, _, figures in points for key in figures))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["step", "timestamp", *keys])
    for step, at, figures in points:
        moment = datetime.fromtimestamp(at, timezone.utc).isoformat()
        writer.writerow([step, moment, *(repr(figures[key]) if key in figures else "" for key in keys)])
    atomic_write(file, out.getvalue())
    return file


CURVES: dict[CurveFormat, Callable[[RunInfo, list[tuple[int, float, dict[str, float]]], Path], Path]] = {
    "tensorboard": _tensorboard, "mlflow": _mlflow, "trackio": _trackio,
}  # fmt: skip


NEXT: dict[CurveFormat, str] = {  # commands that show what was written
    "tensorboard": "tensorboard --logdir {path}",
    "mlflow": "MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {path}",
    "trackio": "python -c \"import trackio; trackio.import_csv('{path}', project='zhilu', name='{name}')\" && trackio show",
}


# TFRecord, and what of protocol buffers an Event needs: https://protobuf.dev/programming-guides/encoding
def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return bytes([field << 3 | 5]) + struct.pack("<f", value)


def _integer(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _message(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _table() -> list[int]:
    """Of CRC-32C (Castagnoli), a byte at a time."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def _masked(data: bytes) -> int:
    """TensorFlow's checksum of a record."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
