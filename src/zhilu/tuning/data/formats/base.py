"""What a dataset format is, and what a row that breaks it raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zhilu.messages import T
from zhilu.tuning.data.records import Example, Kind

__all__ = ["METADATA", "Format", "RowError"]

# Keys that many datasets carry beside what is learned; they are left alone.
METADATA = frozenset({
    "id", "idx", "index", "source", "dataset", "category", "topic", "task", "type", "lang", "language", "tags",
    "tag", "meta", "metadata", "score", "rating", "split", "url", "license", "difficulty", "domain", "created",
    "created_at", "author",
})  # fmt: skip


class RowError(Exception):
    """A row cannot be used. ``code`` is stable, ``message`` says what is wrong with it."""

    def __init__(self, code: str, en: str, zh: str) -> None:
        super().__init__(en)
        self.code, self.message = code, T(en, zh)


@dataclass(frozen=True)
class Format:
    """One way of writing a dataset.

    Attributes:
        keys: all that it reads.
        required: a row that has them all is of this format, whatever else it holds.
        convert: ``(row, line)`` to an example; RowError says what is wrong.
    """

    name: str
    title: T
    kind: Kind
    keys: frozenset[str]
    required: frozenset[str]
    convert: Callable[[dict[str, Any], int], Example]

    def matches(self, row: dict[str, Any]) -> bool:
        return row.keys() >= self.required
