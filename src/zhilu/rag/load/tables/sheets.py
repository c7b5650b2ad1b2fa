"""Spreadsheets (XLSX, XLSM, XLSB, ODS) by python-calamine: each sheet is a heading and a page, its cells a table."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.rag.load.base import Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean
from zhilu.rag.load.tables import table_blocks

__all__ = ["LOADER", "SheetsLoader"]

_MAX_CELLS = 5_000_000  # a sheet's corner may be a million rows and sixteen thousand columns away


class SheetsLoader:
    facts = LoaderFacts(
        "sheets",
        T(en="Spreadsheet", zh="电子表格"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        (".xlsx", ".xlsm", ".xlsb", ".ods"),
        ("python_calamine",),
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        import python_calamine as calamine

        out = TextBuilder()
        try:
            with calamine.CalamineWorkbook.from_path(str(path)) as book:
                for number, name in enumerate(book.sheet_names, start=1):
                    self._sheet(book.get_sheet_by_name(name), name, number, out, limits)
        except calamine.PasswordError as error:
            said = T(en="This spreadsheet is locked with a password.", zh="这个电子表格有密码保护。")
            raise InputError(said, code="encrypted") from error
        except calamine.CalamineError as error:
            raise InputError(
                T(
                    en=f"This spreadsheet is damaged and cannot be opened ({type(error).__name__}). Open it in a spreadsheet"
                    " program and save it again.",
                    zh=f"这个电子表格已损坏，无法打开（{type(error).__name__}）。请用表格软件打开后重新保存。",
                ),
                code="sheet_broken",
            ) from error
        if not out.pages:
            raise nothing_to_read(("spreadsheet", "电子表格"))
        return out.loaded(self.facts.mime)

    def _sheet(self, sheet: Any, name: str, number: int, out: TextBuilder, limits: Limits) -> None:
        if sheet.height * sheet.width > _MAX_CELLS:
            raise TooLargeError(
                T(
                    en=f"The sheet {name!r} spans {sheet.height:,} rows and {sheet.width:,} columns; at most {_MAX_CELLS:,} cells are"
                    " read. Delete what lies far outside, or split it.",
                    zh=f"工作表 {name!r} 跨 {sheet.height:,} 行 {sheet.width:,} 列；最多读取 {_MAX_CELLS:,} 个单元格。请删除远处的内容或拆分。",
                ),
                code="sheet_too_large",
            )
        blocks = list(table_blocks(_rows(sheet)))
        if not blocks:
            return
        start = out.length + 2 if out.length else 0
        out.add(clean(name), level=1)
        for block in blocks:
            out.add(block)
        out.end_page(number, start)


def _rows(sheet: Any) -> Iterator[list[str]]:
    """The rows as text, without the columns that are empty everywhere."""
    rows = [[_text(value) for value in row] for row in sheet.to_python(skip_empty_area=True)]
    used = [any(row[i] for row in rows) for i in range(max(map(len, rows), default=0))]
    for row in rows:
        yield [cell for cell, keep in zip(row, used, strict=False) if keep]


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return clean(str(value)).strip()


LOADER = SheetsLoader()
