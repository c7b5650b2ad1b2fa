"""Files to rows, each with the line on which it begins: JSON Lines, JSON arrays, CSV and TSV, Excel workbooks.

A training file is UTF-8. Where it is not, the line and the probable encoding are named instead of being guessed at: wrong
letters in training data are learned like right ones.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zhilu.errors import InputError, MissingComponentError, NotFoundError, TooLargeError
from zhilu.messages import T
from zhilu.tuning.data.records import ERROR, WARNING, Problem, Row

__all__ = ["ENDINGS", "LONGEST_LINE", "Source", "open_source"]

LONGEST_LINE = 400_000  # bytes of one row; no context holds so many
_LARGEST_ARRAY = 500_000_000  # bytes of a JSON array or a table, which are read whole
_DEEPEST = 60  # levels of nesting
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_GUESSES = ("gb18030", "big5", "shift_jis", "euc_kr", "cp1252")


@dataclass
class Source:
    """An open file of rows. Iterate once; ``problems`` then holds the lines that could not be read."""

    path: Path
    read: Callable[[Source], Iterator[Row]]
    problems: list[Problem] = field(default_factory=list)
    is_table: bool = False

    def __iter__(self) -> Iterator[Row]:
        return self.read(self)

    def note(self, line: int, code: str, en: str, zh: str, fix: str | None = None, severity: str = ERROR) -> None:
        self.problems.append(Problem(line, code, T(en, zh), severity, fix))  # type: ignore[arg-type]


def open_source(path: Path) -> Source:
    """Choose the reader by the file's ending.

    Raises:
        NotFoundError: no such file.
        InputError: an ending that is not read, or an empty file.
    """
    if not path.is_file():
        raise NotFoundError(T(f"There is no file {str(path)!r}.", f"没有文件 {str(path)!r}。"), param="file", fix="ls")
    if path.stat().st_size == 0:
        raise InputError(T(f"{str(path)!r} is empty.", f"{str(path)!r} 是空文件。"), param="file", code="empty_file")
    reader = ENDINGS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(ENDINGS)
        raise InputError(
            T(f"{path.name!r} ends in {path.suffix!r}; {known} are read.", f"{path.name!r} 的扩展名是 {path.suffix!r}；可读取 {known}。"),
            param="file",
            code="unknown_file_type",
        )  # fmt: skip
    return Source(path, reader, is_table=reader is not _json)


def _json(source: Source) -> Iterator[Row]:
    """JSON Lines, or one array of objects; told apart by the first character."""
    with source.path.open("rb") as file:
        head = file.read(64)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        source.note(1, "not_utf8", "the file is UTF-16; training files are UTF-8", "文件是 UTF-16；训练文件应为 UTF-8",
                    f"iconv -f UTF-16 -t UTF-8 {source.path.name} > utf8.jsonl")  # fmt: skip
        return
    if head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"[":
        yield from _array(source)
    else:
        yield from _lines(source)


def _lines(source: Source) -> Iterator[Row]:
    with source.path.open("rb") as file:
        number = 0
        while raw := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(raw) > LONGEST_LINE and not raw.endswith(b"\n"):
                size = len(raw)
                while rest := file.readline(1 << 20):
                    size += len(rest)
                    if rest.endswith(b"\n"):
                        break
                _too_long(source, number, size)
                continue
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            if not raw.strip():
                continue
            text = _utf8(source, number, raw)
            row = None if text is None else _parse(source, number, text)
            if row is not None:
                yield Row(number, row)


def _array(source: Source) -> Iterator[Row]:
    raw = _whole(source).removeprefix(codecs.BOM_UTF8)
    text = _utf8(source, 1, raw)
    if text is None:
        return
    text = text.rstrip()  # a file that is cut off ends in the line of its last character, not in the empty one after it
    decoder, at, line, counted = json.JSONDecoder(object_pairs_hook=_pairs), text.index("[") + 1, 1, 0
    while True:
        at = _skip(text, at, ", \t\r\n")
        line, counted = line + text.count("\n", counted, at), at
        if at >= len(text):
            source.note(line, "bad_json", "the array is not closed: the file was cut", "数组没有结束：文件被截断")
            return
        if text[at] == "]":
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            _bad_json(source, line, error)
            return
        if end - at > LONGEST_LINE:
            _too_long(source, line, end - at)
        elif (row := _object(source, line, value)) is not None:
            yield Row(line, row)
        at = end


def _skip(text: str, at: int, what: str) -> int:
    while at < len(text) and text[at] in what:
        at += 1
    return at


def _parse(source: Source, line: int, text: str) -> dict[str, Any] | None:
    try:
        return _object(source, line, json.loads(text, object_pairs_hook=_pairs))
    except (ValueError, RecursionError) as error:
        _bad_json(source, line, error)
        return None


class _Twice(ValueError):
    """A key stands twice in one object: json would keep the last and say nothing."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for key in keys if keys.count(key) > 1))
    return found


def _bad_json(source: Source, line: int, error: Exception) -> None:
    if isinstance(error, _Twice):
        key = str(error)
        source.note(
            line, "bad_json", f"the key {key!r} stands twice in one object", f"同一个对象里键 {key!r} 出现了两次"
        )
        return
    why = getattr(error, "msg", None) or "nested too deeply"
    column = getattr(error, "colno", None)
    place = (f" (column {column})", f"（第 {column} 列）") if column else ("", "")
    source.note(line, "bad_json", f"not JSON: {why}{place[0]}", f"不是 JSON：{why}{place[1]}")


def _object(source: Source, line: int, value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        kind = type(value).__name__
        source.note(
            line, "not_an_object", f"a row is an object {{…}}; this is {kind}", f"每行应是一个对象 {{…}}；这里是 {kind}"
        )
        return None
    if (where := _strange(value)) is not None:
        source.note(line, "lone_surrogate", f"half a character ({where}): it was cut in the middle of an escape such as \\ud83d",
                    f"半个字符（{where}）：在 \\ud83d 这样的转义中间被截断")  # fmt: skip
        return None
    return value


def _strange(value: Any, depth: int = 0) -> str | None:
    """A lone surrogate somewhere in the value, as it would be escaped; no text file can hold it."""
    if isinstance(value, str):
        half = None if value.isascii() else _SURROGATE.search(value)
        return f"\\u{ord(half[0]):04x}" if half else None
    if depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        items = [*value, *value.values()]
    else:
        items = value if isinstance(value, list) else []
    return next((found for item in items if (found := _strange(item, depth + 1))), None)


def _utf8(source: Source, line: int, raw: bytes) -> str | None:
    if (strange := _CONTROL.search(raw)) is not None:
        byte = strange[0][0]
        source.note(
            line,
            "not_utf8",
            f"a control character (byte 0x{byte:02x}): this is no text",
            f"含有控制字符（字节 0x{byte:02x}）：这不是文本",
        )
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        guess = next((name for name in _GUESSES if _decodes(raw[:LONGEST_LINE], name)), None)
        looks = (f"; it looks like {guess}", f"；看起来是 {guess}") if guess else ("", "")
        fix = f"iconv -f {guess} -t UTF-8 {source.path.name} > utf8{source.path.suffix}" if guess else None
        source.note(line, "not_utf8", f"not UTF-8 (byte 0x{raw[error.start]:02x}){looks[0]}",
                    f"不是 UTF-8（字节 0x{raw[error.start]:02x}）{looks[1]}", fix)  # fmt: skip
        return None


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _too_long(source: Source, line: int, size: int) -> None:
    source.note(line, "line_too_long", f"the row has {size:,} bytes; {LONGEST_LINE:,} are read, and no context holds so many",
                f"这一行有 {size:,} 字节；最多读取 {LONGEST_LINE:,}，任何上下文都装不下")  # fmt: skip


def _whole(source: Source) -> bytes:
    size = source.path.stat().st_size
    if size > _LARGEST_ARRAY:
        raise TooLargeError(
            T(
                f"{source.path.name!r} has {size / 1e6:,.0f} MB; a file of this kind is read whole, up to "
                f"{_LARGEST_ARRAY / 1e6:.0f} MB. JSON Lines files may be of any size.",
                f"{source.path.name!r} 有 {size / 1e6:,.0f} MB；这类文件需整体读入，最多 {_LARGEST_ARRAY / 1e6:.0f} MB。"
                "JSON Lines 文件不限大小。",
            ),
            param="file",
            fix=f"jq -c '.[]' {source.path.name} > rows.jsonl",
        )
    return source.path.read_bytes()


def _delimited(source: Source) -> Iterator[Row]:
    text = _utf8(source, 1, _whole(source).removeprefix(codecs.BOM_UTF8))
    if text is None:
        return
    csv.field_size_limit(LONGEST_LINE)
    delimiter = "\t" if source.path.suffix.lower() == ".tsv" else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: list[str] | None = None
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            source.note(line, "bad_csv", f"not CSV: {error}", f"不是 CSV：{error}")
            line = reader.line_num + 1
            continue
        if cells is None:
            return
        begins, line = line, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = [cell.strip() for cell in cells]
            if not _usable(source, columns):
                return
        elif (row := _cells(source, begins, columns, cells)) is not None:
            yield Row(begins, row)


def _delimiter(text: str) -> str:
    """The separator of a CSV file, by its first line: Excel writes semicolons in half of Europe."""
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _usable(source: Source, columns: list[str]) -> bool:
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        named = ", ".join(map(repr, doubled))
        source.note(1, "bad_columns", f"two columns are called {named}", f"有两列同名：{named}")
    return not doubled


def _cells(source: Source, line: int, columns: list[str], cells: list[str]) -> dict[str, Any] | None:
    if len(cells) > len(columns):
        source.note(line, "bad_columns", f"{len(cells)} cells under {len(columns)} columns: is a quotation mark missing?",
                    f"{len(columns)} 列下有 {len(cells)} 个单元格：是否少了引号？")  # fmt: skip
        return None
    return {name: cell for name, cell in zip(columns, cells, strict=False) if name and cell != ""}


def _workbook(source: Source) -> Iterator[Row]:
    """The first sheet that has rows; its first row names the columns."""
    try:
        import python_calamine
    except ImportError:
        raise MissingComponentError(
            T("Excel workbooks are read by python-calamine, which is not installed.", "读取 Excel 工作簿需要 python-calamine，尚未安装。"),
            fix="pip install python-calamine",
        ) from None  # fmt: skip
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(_whole(source)))
        sheets = [(name, book.get_sheet_by_name(name).to_python()) for name in book.sheet_names]
    except Exception as error:  # the Rust library has several of its own
        source.note(1, "bad_workbook", f"not a workbook: {error}", f"不是工作簿：{error}")
        return
    name, rows = next(((name, rows) for name, rows in sheets if len(rows) > 1), ("", []))
    others = [other for other, found in sheets if found and other != name]
    if others:
        listed = ", ".join(map(repr, others))
        source.note(1, "other_sheets", f"only the sheet {name!r} is read; there are also {listed}",
                    f"只读取工作表 {name!r}；另有 {listed}", severity=WARNING)  # fmt: skip
    if not rows:
        source.note(
            1, "no_rows", "no sheet has a row of column names and a row of data", "没有任何工作表含有列名行和数据行"
        )
        return
    columns = [str(cell).strip() for cell in rows[0]]
    if not _usable(source, columns):
        return
    for number, cells in enumerate(rows[1:], start=2):
        if any(cell not in ("", None) for cell in cells):
            row = _cells(source, number, columns, [_spoken(cell) for cell in cells])
            if row is not None:
                yield Row(number, row)


def _spoken(cell: Any) -> str:
    """A cell as a person reads it: 3 and not 3.0."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else "" if cell is None else str(cell)


ENDINGS: dict[str, Callable[[Source], Iterator[Row]]] = {
    ".jsonl": _json,
    ".ndjson": _json,
    ".json": _json,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".xlsx": _workbook,
    ".xls": _workbook,
    ".ods": _workbook,
}
