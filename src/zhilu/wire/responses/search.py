"""The tool ``file_search``: what a request may ask of it, and what the answer says of it.

The search is made once for each request, with the last question, before the model is asked: a small model does not decide well
whether to search. Passages that the answer cites as ``[n]`` become ``file_citation`` annotations.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from zhilu.wire.requests.base import Strict

__all__ = ["RESULTS", "FileSearchTool", "citations", "search_item"]

RESULTS = "file_search_call.results"  # asked for by ``include``
_CITED = re.compile(r"\[(\d{1,2})\]")


class FileSearchTool(Strict):
    """``filters`` and ``ranking_options`` are checked by who searches."""

    type: Literal["file_search"]
    vector_store_ids: Annotated[list[str], Field(min_length=1, max_length=10)]
    max_num_results: Annotated[int, Field(ge=1, le=50)] | None = None
    filters: dict[str, Any] | None = None
    ranking_options: dict[str, Any] | None = None


def search_item(question: str, found: Sequence[Mapping[str, Any]], with_results: bool) -> dict[str, Any]:
    """The output item ``file_search_call``; ``found``: file_id, filename, text, score and attributes of each passage."""
    return {
        "type": "file_search_call", "id": f"fs_{uuid.uuid4().hex}", "status": "completed", "queries": [question],
        "results": [dict(f) for f in found] if with_results else None,
    }  # fmt: skip


def citations(text: str, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """An annotation for each ``[n]`` that names a passage; ``index`` is where it stands, in characters."""
    return [
        {"type": "file_citation", "file_id": found[n - 1]["file_id"], "filename": found[n - 1]["filename"], "index": m.start()}
        for m in _CITED.finditer(text)
        if 1 <= (n := int(m[1])) <= len(found)
    ]  # fmt: skip
