"""What knowledge bases return: plain records, the same in Python, in ``--json`` and over HTTP.

``start`` and ``end`` count Unicode code points of the document's text (in JavaScript: of ``Array.from(text)``).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Literal

from pydantic import BaseModel

__all__ = ["Citation", "Document", "DocumentText", "Hit", "KbInfo", "OutlineEntry", "PageSpan", "utc_now"]

DocumentStatus = Literal["queued", "ingesting", "ready", "failed", "replaced"]


class KbInfo(BaseModel):
    """A knowledge base at a glance; ``embedder`` is ``none`` where retrieval is by words alone (``dim`` 0);
    ``store`` is where its vectors are.

    ``error``: why it cannot be opened (damaged, of a newer version, locked), the inside of ``errors.error_body``; the counts
    are then 0, and the rest is what its card says.
    """

    id: str
    name: str
    description: str
    embedder: str
    dim: int
    store: str
    num_documents: int
    num_chunks: int
    size_bytes: int
    created_at: str
    updated_at: str
    error: dict[str, Any] | None = None


class Document(BaseModel):
    """A version of a file of a knowledge base; ``error`` is the inside of ``errors.error_body`` where ``status`` is failed, or
    where it is ready and pages of it were not read.

    ``name`` keeps the folders it came with (``guide/install.md``). ``version`` counts from 1 up to ``num_versions``;
    ``answering`` is the version that is searched now, None before the first is ready: while a new one is read, the old
    one answers. ``status`` is replaced where a later version answers.
    """

    id: str
    name: str
    mime: str
    size_bytes: int
    status: DocumentStatus
    error: dict[str, Any] | None
    num_chunks: int
    num_chars: int
    num_pages: int | None
    lang: str | None
    added_at: str
    job_id: str | None
    version: int = 1
    num_versions: int = 1
    answering: int | None = None


class PageSpan(BaseModel):
    page: int
    start: int
    end: int


class OutlineEntry(BaseModel):
    level: int
    title: str
    start: int


class DocumentText(Document):
    """A document with what was read from it."""

    text: str
    pages: list[PageSpan]
    outline: list[OutlineEntry]


class Hit(BaseModel):
    """A passage found; ``score`` 0 to 1 is the fused one, ``lexical`` (BM25, higher is better) and ``dense`` (cosine)
    are what it was made from, None where that list did not hold the passage."""

    kb_id: str
    doc_id: str
    doc_name: str
    chunk_id: int
    start: int
    end: int
    page: int | None
    heading: str
    text: str
    lang: str
    score: float
    lexical: float | None = None
    dense: float | None = None


class Citation(BaseModel):
    """A numbered passage of an answer; ``cited`` if the answer rests on it; ``quote_*`` mark the answer's own words."""

    n: int
    kb_id: str
    doc_id: str
    doc_name: str
    chunk_id: int
    start: int
    end: int
    page: int | None
    heading: str
    text: str
    score: float
    cited: bool = False
    quote_start: int | None = None
    quote_end: int | None = None


def utc_now() -> str:
    """Now, as the wire writes times."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
