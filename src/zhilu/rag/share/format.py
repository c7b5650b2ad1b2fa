"""What stands in the file: a ZIP with ``zhilu-kb.json``, and for each document ``documents/<n>.json``, ``originals/<n>`` and
``vectors/<n>.f16``. ``n`` counts from 0. No SQLite file is in it: one made by a stranger would have to be trusted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ABOUT", "Manifest", "SharedDocument"]

ABOUT = "zhilu-kb.json"
PageNumber = Annotated[int, Field(ge=0, le=2**31)]
Name = Annotated[str, Field(min_length=1, max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a later version may say more


class Manifest(_Part):
    """``embedder`` and ``dim`` (0: none) are what the vectors were made with; ``made_with``: the version of Zhilu."""

    format: Literal[1]
    name: Annotated[str, Field(min_length=1, max_length=400)]
    description: Annotated[str, Field(max_length=2000)] = ""
    embedder: Annotated[str, Field(min_length=1, max_length=100)]
    dim: Annotated[int, Field(ge=0, le=10_000)]
    num_documents: Annotated[int, Field(ge=0, le=200_000)]
    made_with: str = ""


class SharedDocument(_Part):
    """``read``: what a loader gave (``Loaded.data``), None where it was not read yet. ``chunks``: start, end, heading, page and
    whether ``vectors`` holds a vector for it, half precision, in their order. ``file``: id, name and attributes it has
    as a file of a vector store."""

    name: Name
    read: dict[str, Any] | None = None
    chunks: Annotated[list[tuple[int, int, str, PageNumber | None, bool]], Field(max_length=500_000)] = []
    file: tuple[str, str, dict[str, Any]] | None = None
