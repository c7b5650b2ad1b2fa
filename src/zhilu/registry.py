"""Named things found through entry points: built-ins register in the same way as those of another package.

A value is the thing itself or a ``"module:attribute"`` string, which is imported when it is first asked for, so that listing
names imports nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from zhilu.errors import NotFoundError, nearest
from zhilu.messages import T

__all__ = ["Registry"]

V = TypeVar("V")


@cache
def _installed(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


class Registry(Generic[V]):
    """Names to values of one kind. Not thread-safe for writing; reading is."""

    def __init__(self, kind: T) -> None:
        self.kind = kind
        self._entries: dict[str, V | str] = {}

    @classmethod
    def from_entry_points(cls, group: str, kind: T | None = None) -> Registry[V]:
        """All entry points of ``group``, sorted by name so that lists are stable."""
        registry = cls(kind or T(group, group))
        for entry in sorted(_installed(group), key=lambda e: e.name):
            registry._entries[entry.name] = entry.value
        return registry

    def add(self, name: str, value: V | str) -> None:
        """Register ``value`` (or ``"module:attribute"``); a later one of the same name wins."""
        self._entries[name] = value

    def get(self, name: str) -> V:
        """The value called ``name``.

        Raises:
            NotFoundError: names what there is, and the nearest.
        """
        if name not in self._entries:
            close = nearest(name, self._entries)
            there = ", ".join(self._entries) or "-"
            raise NotFoundError(
                T(
                    f"No {self.kind.en} called {name!r}."
                    + (f" Did you mean {close!r}?" if close else f" There are: {there}."),
                    f"没有名为 {name!r} 的{self.kind.zh}。" + (f"是不是 {close!r}？" if close else f"现有：{there}。"),
                )
            )
        value = self._entries[name]
        if isinstance(value, str):
            value = cast(V, _load(value))
            self._entries[name] = value
        return value

    def names(self) -> list[str]:
        return list(self._entries)

    def items(self) -> Iterator[tuple[str, V]]:
        for name in self._entries:
            yield name, self.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)


def _load(target: str) -> Any:
    module_name, _, attribute = target.partition(":")
    value: Any = importlib.import_module(module_name)
    for part in attribute.split(".") if attribute else ():
        value = getattr(value, part)
    return value
