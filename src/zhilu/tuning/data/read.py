"""A dataset file to examples: what training reads, and what the check looks at."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tuning.data.formats import FORMATS, METADATA, Format, RowError, format_of
from zhilu.tuning.data.records import ERROR, WARNING, Example, Problem
from zhilu.tuning.data.source import Source, open_source

__all__ = ["Dataset", "parse_mapping", "read_dataset"]

_EACH = 500  # rows between two calls of ``progress``


@dataclass
class Dataset:
    """What a file holds.

    Attributes:
        rows: rows that were read, usable or not.
        formats: names of the formats found, with their numbers of rows.
    """

    path: Path
    examples: list[Example] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    @property
    def format(self) -> Format | None:
        """The format of most rows."""
        name = self.formats.most_common(1)[0][0] if self.formats else ""
        return next((form for form in FORMATS if form.name == name), None)


def parse_mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    """``("prompt=question", "completion=answer")`` to our key by the file's column.

    Raises:
        InputError: not KEY=COLUMN, or a key that no format has.
    """
    known = sorted({key for form in FORMATS for key in form.keys})
    mapping = {}
    for pair in pairs:
        key, equals, column = pair.partition("=")
        if not equals or not column:
            raise InputError(
                T(f"{pair!r} is not KEY=COLUMN.", f"{pair!r} 不是 KEY=COLUMN 的形式。"),
                param="map",
                fix="--map prompt=question --map completion=answer",
            )
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise InputError(
                T(
                    f"No format has a key {key!r}; there are {', '.join(known)}.",
                    f"没有格式包含键 {key!r}；可用 {', '.join(known)}。",
                ),
                param="map",
                fix=f"--map {near[0] if near else 'prompt'}={column}",
            )
        mapping[column] = key
    return mapping


def read_dataset(
    path: Path, mapping: Mapping[str, str] | None = None, progress: Callable[[int], None] = lambda rows: None
) -> Dataset:
    """Read the whole file. What is wrong with a row is a problem of the dataset, not an exception.

    Args:
        mapping: our key by the file's column, as ``parse_mapping`` makes it.
        progress: called with the number of rows read so far.

    Raises:
        NotFoundError, InputError, TooLargeError, MissingComponentError: the file cannot be opened at all.
    """
    source = open_source(path)
    found = Dataset(path)
    ids: dict[str, int] = {}
    first: dict[str, int] = {}  # format: its first line
    for row in source:
        found.rows += 1
        if found.rows % _EACH == 0:
            progress(found.rows)
        data = _renamed(source, row.line, row.data, mapping or {})
        form = format_of(data)
        if form is None:
            found.problems.append(_no_format(row.line, data, source))
            continue
        found.formats[form.name] += 1
        first.setdefault(form.name, row.line)
        found.problems += _unread(row.line, data, form)
        _note_id(found, ids, row.line, data.get("id"))
        try:
            found.examples.append(form.convert(data, row.line))
        except RowError as error:
            found.problems.append(Problem(row.line, error.code, error.message))
    found.problems += source.problems
    found.rows += len({problem.line for problem in source.problems if problem.severity == ERROR})
    found.problems += _mixed(found, first)
    if not found.rows and not found.problems:
        found.problems.append(Problem(1, "no_rows", T("there is no row in the file", "文件中没有任何行")))
    return found


def _renamed(source: Source, line: int, data: dict[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    if not mapping:
        return data
    missing = [column for column in mapping if column not in data] if line <= 2 else []
    for column in missing:
        source.note(line, "no_column", f"there is no column {column!r}; there are {', '.join(map(repr, data))}",
                    f"没有列 {column!r}；现有 {', '.join(map(repr, data))}")  # fmt: skip
    return {mapping.get(key, key): value for key, value in data.items()}


def _no_format(line: int, data: dict[str, Any], source: Source) -> Problem:
    keys = ", ".join(map(repr, list(data)[:8])) or "-"
    fix = (
        "zhilu data check FILE --map prompt=COLUMN --map completion=COLUMN" if source.is_table else "zhilu data formats"
    )
    for key in data:
        near = difflib.get_close_matches(str(key), {k for form in FORMATS for k in form.required}, 1, 0.8)
        if near and near[0] != key:
            message = T(
                f"no format has these keys: {keys} (is {key!r} meant to be {near[0]!r}?)",
                f"没有格式包含这些键：{keys}（{key!r} 是否应为 {near[0]!r}？）",
            )
            return Problem(line, "unknown_format", message, fix=fix)
    return Problem(
        line, "unknown_format", T(f"no format has these keys: {keys}", f"没有格式包含这些键：{keys}"), fix=fix
    )


def _unread(line: int, data: dict[str, Any], form: Format) -> list[Problem]:
    """Keys that would be passed over. One that is nearly a key of the format is a slip of the hand, which is an error."""
    problems = []
    for key in data.keys() - form.keys:
        near = [k for k in difflib.get_close_matches(key, form.keys, 1, 0.8) if k not in data]
        if near:
            message = T(
                f"the key {key!r} is not read; is {near[0]!r} meant?", f"键 {key!r} 不会被读取；是否应为 {near[0]!r}？"
            )
            problems.append(Problem(line, "unknown_key", message, ERROR))
        elif key.lower() not in METADATA and not key.startswith("_"):
            message = T(f"the key {key!r} is not read in the format {form.name}", f"格式 {form.name} 不读取键 {key!r}")
            problems.append(Problem(line, "unread_key", message, WARNING))
    return problems


def _note_id(found: Dataset, ids: dict[str, int], line: int, stated: Any) -> None:
    if stated is None or isinstance(stated, (dict, list)):
        return
    earlier = ids.setdefault(str(stated), line)
    if earlier != line:
        message = T(f"the id {stated!r} stands in line {earlier} too", f"id {stated!r} 在第 {earlier} 行也出现")
        found.problems.append(Problem(line, "duplicate_id", message))


def _mixed(found: Dataset, first: Mapping[str, int]) -> list[Problem]:
    if len(found.formats) < 2:
        return []
    main, *others = [name for name, _ in found.formats.most_common()]
    return [
        Problem(
            first[name],
            "mixed_formats",
            T(
                f"{found.formats[name]} rows are in the format {name}, {found.formats[main]} in {main}: is this two files in one?",
                f"{found.formats[name]} 行是 {name} 格式，{found.formats[main]} 行是 {main} 格式：是否把两个文件合在了一起？",
            ),
        )
        for name in others
    ]
