"""OpenAI's filters over the attributes of files: comparisons, joined by ``and`` and ``or``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Attributes", "FileFilter", "fits"]

Value = str | bool | float
_Kept = Annotated[str, Field(max_length=512)] | bool | Annotated[float, Field(allow_inf_nan=False)]
Attributes = Annotated[dict[Annotated[str, Field(max_length=64)], _Kept], Field(max_length=16)]
_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip


class FilterComparison(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str
    value: Value | list[str | float]


class FilterCompound(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["and", "or"]
    filters: list[FileFilter] = Field(min_length=1, max_length=50)


FileFilter = Annotated[FilterComparison | FilterCompound, Field(union_mode="left_to_right")]
FilterCompound.model_rebuild()


def fits(wanted: FilterComparison | FilterCompound, attributes: Mapping[str, Any]) -> bool:
    """Whether a file's attributes pass. What has no such attribute passes only ``ne`` and ``nin``; values of two kinds are
    never ordered."""
    if isinstance(wanted, FilterCompound):
        return (all if wanted.type == "and" else any)(fits(f, attributes) for f in wanted.filters)
    there = wanted.key in attributes
    value = attributes.get(wanted.key)
    if wanted.type in ("in", "nin"):
        among = wanted.value if isinstance(wanted.value, list) else [wanted.value]
        return (there and any(_same(value, one) for one in among)) == (wanted.type == "in")
    if wanted.type in ("eq", "ne"):
        return (there and _same(value, wanted.value)) == (wanted.type == "eq")
    return there and _comparable(value, wanted.value) and _ORDERED[wanted.type](value, wanted.value)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _comparable(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    both = (one, other)
    return all(isinstance(v, str) for v in both) or all(isinstance(v, int | float) for v in both)
