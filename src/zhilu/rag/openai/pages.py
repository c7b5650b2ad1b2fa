"""OpenAI's lists: ``limit``, ``order``, ``after`` and ``before`` over what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic import BaseModel

__all__ = ["Paging", "page_of"]


class _Paging(BaseModel):
    limit: int
    order: Literal["asc", "desc"]
    after: str | None
    before: str | None


def _paging(
    limit: Annotated[int, Query(ge=1, le=10_000)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
    before: str | None = None,
) -> _Paging:
    return _Paging(limit=limit, order=order, after=after, before=before)


Paging = Annotated[_Paging, Depends(_paging)]


def page_of(objects: Sequence[dict[str, Any]], wanted: _Paging) -> dict[str, Any]:
    """``objects`` by age, the oldest first, as one page of a list; a cursor that is not there begins at the beginning."""
    there = list(objects) if wanted.order == "asc" else list(reversed(objects))
    ids = [o["id"] for o in there]
    first = ids.index(wanted.after) + 1 if wanted.after in ids else 0
    last = ids.index(wanted.before) if wanted.before in ids else len(ids)
    if wanted.before in ids and wanted.after not in ids:
        first = max(first, last - wanted.limit)
    shown = there[first : min(last, first + wanted.limit)]
    return {
        "object": "list", "data": shown, "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None, "has_more": first + len(shown) < last,
    }  # fmt: skip
