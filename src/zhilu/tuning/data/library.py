"""A person's datasets: files under ``datasets/NAME/``, copied whole or not at all, and the last check of each."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pydantic import BaseModel

from zhilu.errors import ConflictError, InputError, NotFoundError, TooLargeError, nearest
from zhilu.gate import Artefact
from zhilu.home import atomic_write
from zhilu.messages import T
from zhilu.tuning.data.check import DataReport
from zhilu.tuning.data.example import HELD_OUT, NAME, make_example
from zhilu.tuning.data.source import ENDINGS

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["DatasetInfo", "DatasetLibrary"]

_NAME = re.compile(r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff._-]{0,99}")
_NOTE, _REPORT = "dataset.json", "report.json"
_BLOCK = 1 << 20
List = list


class DatasetInfo(BaseModel):
    """One dataset; ``report`` is of its last check, None before the first."""

    name: str
    file: str
    size_bytes: int
    sha256: str
    added_at: datetime
    report: DataReport | None = None


class DatasetLibrary:
    def __init__(self, context: Context) -> None:
        self.context, self.folder = context, context.home.datasets

    def list(self) -> List[DatasetInfo]:
        """The newest first; a folder without a note is a copy that was never finished, and no dataset."""
        found = [self.get(path.parent.name) for path in self.folder.glob(f"*/{_NOTE}")]
        return sorted(found, key=lambda info: info.added_at, reverse=True)

    def get(self, name: str) -> DatasetInfo:
        """
        Raises:
            NotFoundError: there is none of this name.
        """
        try:
            info = DatasetInfo.model_validate_json((self.folder / name / _NOTE).read_bytes())
        except (OSError, ValueError):
            names = [path.parent.name for path in self.folder.glob(f"*/{_NOTE}")]
            close = nearest(name, names)
            raise NotFoundError(
                T(f"There is no dataset {name!r}." + (f" Did you mean {close!r}?" if close else ""),
                  f"没有数据集 {name!r}。" + (f"是不是 {close!r}？" if close else "")),
                param="name",
                fix="zhilu data list",
            ) from None  # fmt: skip
        try:
            info.report = DataReport.model_validate_json((self.folder / name / _REPORT).read_bytes())
        except (OSError, ValueError):
            info.report = None  # not checked yet, or by another version
        return info

    def path_of(self, name: str) -> Path:
        """The file of a dataset (see ``get`` for errors)."""
        return self.folder / name / self.get(name).file

    def add(self, source: IO[bytes], file: str, name: str | None = None, max_mb: int | None = None) -> DatasetInfo:
        """Copy a file into the home.

        Args:
            file: what it is called; its ending says how it is read.
            name: of the dataset; the file's without its ending where None.

        Raises:
            InputError: a name that cannot be one, or an ending that is not read.
            ConflictError: the name is taken.
            TooLargeError: more than ``max_mb``.
        """
        ending = Path(file).suffix.lower()
        if ending not in ENDINGS:
            raise InputError(
                T(f"{file!r} ends in {ending!r}; {', '.join(ENDINGS)} are read.", f"{file!r} 的扩展名是 {ending!r}；可读取 {', '.join(ENDINGS)}。"),
                param="file",
                code="unknown_file_type",
            )  # fmt: skip
        name = name or _name_of(file)
        if not _NAME.fullmatch(name):
            raise InputError(
                T(
                    f"{name!r} cannot be a name: letters, digits, . _ - (up to 100).",
                    f"{name!r} 不能作为名称：可用字母、数字、汉字和 . _ -，最多 100 个。",
                ),
                param="name",
            )  # fmt: skip
        folder = self.folder / name
        if (folder / _NOTE).exists():
            raise ConflictError(
                T(f"There is a dataset {name!r} already.", f"已经有数据集 {name!r}。"),
                param="name",
                fix=f"zhilu data remove {name}",
            )
        folder.mkdir(parents=True, exist_ok=True)
        kept = f"data{ending}"
        digest, size, limit = hashlib.sha256(), 0, None if max_mb is None else max_mb << 20
        with (folder / f".{kept}").open("wb") as out:
            while block := source.read(_BLOCK):
                size += len(block)
                if limit is not None and size > limit:
                    break
                digest.update(block)
                out.write(block)
        if limit is not None and size > limit:
            shutil.rmtree(folder)
            raise TooLargeError(
                T(f"{file!r} has more than {max_mb} MB.", f"{file!r} 超过 {max_mb} MB。"),
                param="file",
                fix="zhilu settings set max_upload_mb 2000",
            )
        (folder / f".{kept}").replace(folder / kept)
        info = DatasetInfo(
            name=name, file=kept, size_bytes=size, sha256=digest.hexdigest(), added_at=datetime.now(timezone.utc)
        )
        atomic_write(folder / _NOTE, json.dumps(info.model_dump(mode="json", exclude={"report"}), indent=1))
        return info

    def keep(self, path: Path) -> DatasetInfo:
        """The dataset of these very bytes; a copy of the file where there is none (see ``add`` for errors)."""
        digest = Artefact.of(path).sha256
        if found := next((info for info in self.list() if info.sha256 == digest), None):
            return found
        taken = {info.name for info in self.list()}
        stem = _name_of(path.name)
        name = next(name for n in range(1, 10_000) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)
        with path.open("rb") as file:
            return self.add(file, path.name, name)

    def keep_example(self) -> List[DatasetInfo]:
        """The set to begin with, and its held-out rows, each made where it is not there yet (see ``add`` for errors)."""
        kept = []
        for name, rows in zip((NAME, HELD_OUT), make_example(), strict=True):
            if not (self.folder / name / _NOTE).exists():
                text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                self.add(io.BytesIO(text.encode()), f"{name}.jsonl", name)
            kept.append(self.get(name))
        return kept

    def keep_report(self, name: str, report: DataReport) -> None:
        """Remember the last check; it goes with the dataset."""
        atomic_write(self.folder / self.get(name).name / _REPORT, report.model_dump_json())

    def remove(self, name: str) -> None:
        """Delete it, the file included (see ``get`` for errors)."""
        folder = self.folder / self.get(name).name
        (folder / _NOTE).unlink()  # no dataset from here on, whatever happens to the rest
        shutil.rmtree(folder)


def _name_of(file: str) -> str:
    """A dataset's name from a file's: without its ending, and without what a name cannot hold."""
    return re.sub(r"[^A-Za-z0-9\u4e00-\u9fff._-]+", "-", Path(file).stem).strip("-.") or "dataset"
