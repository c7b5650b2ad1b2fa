"""Where reports get their figures: a table file or a database, copied into the data home and only ever read.

``<home>/apps/report/sources/<id>/`` holds ``data.db`` (SQLite) and ``source.json``.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from zhilu.apps.report.data.columns import Columns, typed
from zhilu.apps.report.data.samples import SAMPLES, make_sample
from zhilu.apps.report.data.schema import DatabaseSchema, quoted, read_schema
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError, nearest
from zhilu.home import atomic_write
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.rag.load.admission import check_archive, safe_name
from zhilu.rag.load.base import Limits
from zhilu.rag.load.decode import clean, decode
from zhilu.rag.load.tables.delimited import delimiter_of

__all__ = ["KINDS", "ReportSource", "Sources"]

KINDS = (".csv", ".tsv", ".xlsx", ".xlsm", ".xlsb", ".ods", ".db", ".sqlite", ".sqlite3")
_BOOKS = (".xlsx", ".xlsm", ".xlsb", ".ods")
_MAX_ROWS = 1_000_000
_SQLITE = b"SQLite format 3\x00"


class ReportSource(BaseModel):
    """``origin``: the file's name, or ``sample:NAME``. ``notes``: what reading it changed."""

    id: str
    name: str
    origin: str
    created_at: datetime
    notes: list[Text] = []


class Sources:
    """The sources of one data home."""

    def __init__(self, context: Context) -> None:
        self.folder = context.home.path / "apps" / "report" / "sources"

    def every(self) -> list[ReportSource]:
        found = [s for p in self.folder.glob("*/source.json") if (s := _read(p)) is not None]
        return sorted(found, key=lambda s: s.created_at)

    def get(self, name: str) -> ReportSource:
        """By id or name.

        Raises:
            NotFoundError: with the nearest name.
        """
        sources = self.every()
        for source in sources:
            if name in (source.id, source.name):
                return source
        near = nearest(name, [s.name for s in sources])
        raise NotFoundError(
            T(
                f"There is no source {name!r}." + (f" Did you mean {near!r}?" if near else ""),
                f"没有名为 {name!r} 的数据源。" + (f"是不是 {near!r}？" if near else ""),
            ),
            param="source",
            fix="zhilu report sources",
        )

    def database(self, source: ReportSource) -> Path:
        return self.folder / source.id / "data.db"

    def schema(self, source: ReportSource) -> DatabaseSchema:
        return read_schema(self.database(source))

    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / self.get(name).id)

    def add_sample(self, sample: str) -> ReportSource:
        """Raises: NotFoundError, ConflictError: it is there already."""
        if sample not in SAMPLES:
            raise NotFoundError(
                T(
                    f"There is no sample {sample!r}: {', '.join(SAMPLES)}.",
                    f"没有示例 {sample!r}：{'、'.join(SAMPLES)}。",
                ),
                param="sample",
                fix=f"zhilu report add --sample {nearest(sample, SAMPLES) or 'shop'}",
            )

        def fill(database: Path) -> list[T]:
            make_sample(sample, database)
            return []

        return self._add(sample, f"sample:{sample}", fill)

    def add_file(self, path: Path, file_name: str, name: str | None = None) -> ReportSource:
        """Read a table file or copy a database.

        Raises:
            InputError: it is neither, or holds nothing. ConflictError: the name is taken.
        """
        shown = safe_name(file_name)
        suffix = Path(shown).suffix.lower()
        if suffix not in KINDS:
            raise InputError(
                T(
                    f"{shown!r} is no table that can be read: {', '.join(KINDS)}.",
                    f"{shown!r} 不是可读取的表格：{'、'.join(KINDS)}。",
                ),
                param="file",
                fix="zhilu report add FILE.csv",
            )
        wanted = (name or Path(shown).stem).strip()[:80] or "data"

        def fill(database: Path) -> list[T]:
            if suffix in _BOOKS:
                check_archive(path, Limits())
                return _store(database, _sheets(path, shown))
            if suffix in (".csv", ".tsv"):
                return _store(database, [(wanted, _delimited(path, shown))])
            return _copy(path, shown, database)

        return self._add(wanted, shown, fill)

    def _add(self, name: str, origin: str, fill: Callable[[Path], list[T]]) -> ReportSource:
        if any(s.name == name for s in self.every()):
            raise ConflictError(
                T(f"A source {name!r} is there already.", f"数据源 {name!r} 已经存在。"),
                param="name",
                fix=f"zhilu report remove {name}",
            )
        source = ReportSource(id=uuid.uuid4().hex[:12], name=name, origin=origin, created_at=datetime.now(timezone.utc))
        folder = self.folder / source.id
        folder.mkdir(parents=True, mode=0o700)
        try:
            source.notes = list(fill(folder / "data.db"))
            if not self.schema(source).tables:
                raise InputError(T(f"{origin!r} holds no table.", f"{origin!r} 里没有表。"), param="file")
            atomic_write(folder / "source.json", source.model_dump_json(indent=1))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return source


def _read(path: Path) -> ReportSource | None:
    try:
        return ReportSource.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None  # half made when the power went: not there


def _delimited(path: Path, shown: str) -> Columns:
    text = clean(decode(path.read_bytes())[0])
    delimiter = delimiter_of(text) or ","
    csv.field_size_limit(1_000_000)
    try:
        rows = [
            row for row, _ in zip(csv.reader(io.StringIO(text), delimiter=delimiter), range(_MAX_ROWS), strict=False)
        ]
    except csv.Error as error:
        raise InputError(
            T(f"{shown!r} cannot be read as a table: {error}.", f"{shown!r} 无法按表格读取：{error}。"), param="file"
        ) from error
    return typed(rows, shown)


def _sheets(path: Path, shown: str) -> Iterator[tuple[str, Columns]]:
    import python_calamine as calamine

    try:
        with calamine.CalamineWorkbook.from_path(str(path)) as book:
            for sheet_name in book.sheet_names:
                sheet = book.get_sheet_by_name(sheet_name)
                if sheet.height * sheet.width > 5_000_000:
                    raise InputError(
                        T(f"The sheet {sheet_name!r} is too large.", f"工作表 {sheet_name!r} 太大。"), param="file"
                    )
                rows = [[_text(v) for v in row] for row in sheet.to_python(skip_empty_area=True)]
                if sum(any(c.strip() for c in row) for row in rows) >= 2:
                    yield sheet_name, typed(rows, sheet_name)
    except calamine.CalamineError as error:
        raise InputError(
            T(
                f"The spreadsheet {shown!r} cannot be opened ({type(error).__name__}). Save it again, or save it as CSV.",
                f"电子表格 {shown!r} 无法打开（{type(error).__name__}）。请重新保存，或另存为 CSV。",
            ),
            param="file",
        ) from error


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _store(database: Path, tables: Iterable[tuple[str, Columns]]) -> list[T]:
    notes: list[T] = []
    with closing(sqlite3.connect(database)) as connection, connection:
        taken: set[str] = set()
        for given, table in tables:
            name = re.sub(r"\W+", "_", given).strip("_")[:60] or "data"
            name = name if name.lower() not in taken else f"{name}_{len(taken) + 1}"
            taken.add(name.lower())
            columns = ", ".join(f"{quoted(n)} {k}" for n, k in zip(table.names, table.kinds, strict=True))
            connection.execute(f"CREATE TABLE {quoted(name)} ({columns})")
            marks = ", ".join("?" * len(table.names))
            connection.executemany(f"INSERT INTO {quoted(name)} VALUES ({marks})", table.rows)
            notes.extend(table.notes)
    return notes


def _copy(path: Path, shown: str, database: Path) -> list[T]:
    """A consistent copy of a database, also of one that another program has open (SQLite's backup)."""
    with path.open("rb") as file:
        if file.read(16) != _SQLITE:
            raise InputError(
                T(f"{shown!r} is not an SQLite database.", f"{shown!r} 不是 SQLite 数据库。"), param="file"
            )
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as given,
            closing(sqlite3.connect(database)) as ours,
        ):
            given.backup(ours)
    except sqlite3.DatabaseError as error:
        raise InputError(T(f"{shown!r} is damaged: {error}.", f"{shown!r} 已损坏：{error}。"), param="file") from error
    return []
