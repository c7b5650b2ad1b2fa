"""Models as Anthropic's API lists them (``GET /v1/models`` of a client that sends ``anthropic-version``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["anthropic_model", "anthropic_page"]

_MOST = 1000


def anthropic_model(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of our list. When it was made nobody knows, for which the API has the epoch."""
    length = entry.get("max_model_len")
    return {
        "type": "model",
        "id": entry["id"],
        "display_name": entry["id"],
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": length,
        "max_tokens": length,
    }


def anthropic_page(entries: Sequence[Mapping[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of them; ``query`` may have ``limit`` (20 unless it says so), ``after_id`` and ``before_id``.

    Raises:
        InputError: a limit that is none, or an id that is not in the list.
    """
    limit = query.get("limit", "20")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 1 <= int(limit) <= _MOST):
        raise InputError(
            T(
                f"limit must be 1 to {_MOST}, given {limit[:60]!r}",
                f"limit 只能是 1 到 {_MOST}，给出的是 {limit[:60]!r}",
            ),
            param="limit",
        )
    ids = [str(entry["id"]) for entry in entries]
    start, end = 0, len(ids)
    if "after_id" in query:
        start = _at(ids, "after_id", query["after_id"]) + 1
    if "before_id" in query:
        end = _at(ids, "before_id", query["before_id"])
        start = max(start, end - int(limit))
    page = [anthropic_model(entry) for entry in entries[start : min(end, start + int(limit))]]
    is_backward = "before_id" in query and "after_id" not in query
    has_more = start > 0 if is_backward else start + len(page) < end
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return {"data": page, "has_more": has_more, "first_id": first, "last_id": last}


def _at(ids: Sequence[str], name: str, id: str) -> int:
    if id not in ids:
        raise InputError(T(f"{name}: there is no model {id[:80]!r}", f"{name}：没有模型 {id[:80]!r}"), param=name)
    return ids.index(id)
