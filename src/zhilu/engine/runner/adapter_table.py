"""Which adapters a running engine has, by name, and which requests still use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zhilu.engine.model.adapters import Adapter
from zhilu.engine.runner.base import Runner
from zhilu.errors import ConflictError, NotFoundError, nearest
from zhilu.messages import T

__all__ = ["AdapterTable"]


@dataclass
class _Entry:
    adapter: Adapter
    number: int  # in chunks and as the root of its prefix cache: never used twice
    num_requests: int = 0
    is_leaving: bool = False


class AdapterTable:
    """The adapters of a running engine by name. Belongs to the engine's thread."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._entries: dict[str, _Entry] = {}
        self._last_number = 0

    def __iter__(self) -> Iterator[Adapter]:
        return iter([entry.adapter for entry in self._entries.values() if not entry.is_leaving])

    def add(self, adapter: Adapter) -> None:
        """ConflictError if the name is taken (also by one that is leaving but still in use)."""
        if adapter.name in self._entries:
            raise ConflictError(
                T(
                    f"the adapter {adapter.name!r} is loaded already, from {str(self._entries[adapter.name].adapter.path)!r}",
                    f"适配器 {adapter.name!r} 已加载，来自 {str(self._entries[adapter.name].adapter.path)!r}",
                ),
                param="lora_name",
                code="adapter_exists",
            )
        self._last_number += 1
        self._runner.add_adapter(self._last_number, adapter)
        self._entries[adapter.name] = _Entry(adapter, self._last_number)

    def remove(self, name: str) -> bool:
        """Take no new requests for it; True once it is gone, False while requests that run still need it.

        NotFoundError for a name that is not loaded.
        """
        entry = self._entry(name)
        entry.is_leaving = True
        return self._drop_if_unused(entry)

    def acquire(self, name: str) -> int:
        """The number to compute with, counted as in use until ``release``; NotFoundError."""
        entry = self._entry(name)
        if entry.is_leaving:
            raise self._unknown(name)
        entry.num_requests += 1
        return entry.number

    def release(self, name: str) -> None:
        entry = self._entry(name)
        entry.num_requests -= 1
        if entry.is_leaving:
            self._drop_if_unused(entry)

    def _drop_if_unused(self, entry: _Entry) -> bool:
        if entry.num_requests == 0:
            del self._entries[entry.adapter.name]
            self._runner.remove_adapter(entry.number)
        return entry.num_requests == 0

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise self._unknown(name)
        return self._entries[name]

    def _unknown(self, name: str) -> NotFoundError:
        loaded = [adapter.name for adapter in self]
        meant = nearest(name, loaded)
        return NotFoundError(
            T(
                f"no adapter {name!r} is loaded; there are: {', '.join(loaded) or '(none)'}",
                f"没有加载适配器 {name!r}；已有：{'、'.join(loaded) or '（无）'}",
            ),
            param="lora_name",
            fix=meant,
        )
