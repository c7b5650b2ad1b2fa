"""What an ingestion writes before a document is findable: its text, its chunks, and the vectors of their texts.

No search sees any of it. Each function is one transaction, so a killed ingestion continues at the step it was in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from zhilu.errors import ZhiluError, error_body
from zhilu.prompts import language_of
from zhilu.rag.index.split import Chunk
from zhilu.rag.load import Loaded

if TYPE_CHECKING:
    from zhilu.rag.kb import KnowledgeBase
    from zhilu.rag.stores import Vector

__all__ = ["Unembedded", "has_chunks", "keep_vectors", "stage_chunks", "without_vector"]


@dataclass(frozen=True)
class Unembedded:
    """A text that has no vector yet; ``sha`` is its key."""

    sha: bytes
    text: str


def has_chunks(kb: KnowledgeBase, doc_id: str) -> bool:
    return kb.database.value("SELECT 1 FROM chunks WHERE doc_id = ? LIMIT 1", (doc_id,)) is not None


def stage_chunks(
    kb: KnowledgeBase, doc_id: str, loaded: Loaded, chunks: Sequence[Chunk], unread: ZhiluError | None = None
) -> None:
    """Write a document's text and chunks; no index knows them yet. ``unread``: what is to be said of pages that were not read."""
    rows = []
    for ordinal, chunk in enumerate(chunks):
        text = loaded.text[chunk.start : chunk.end]
        sha = hashlib.sha256(to_embed(chunk.heading, text).encode()).digest()
        rows.append((doc_id, ordinal, chunk.start, chunk.end, chunk.page, chunk.heading, language_of(text), text, sha))
    pages, outline = ([asdict(x) for x in xs] for xs in (loaded.pages, loaded.outline))
    with kb.database.write() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO texts VALUES (?, ?, ?, ?)",
            (doc_id, loaded.text, json.dumps(pages), json.dumps(outline, ensure_ascii=False)),
        )
        connection.executemany(
            "INSERT INTO chunks (doc_id, ordinal, start, end, page, heading, lang, text, text_sha)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        connection.execute(
            "UPDATE documents SET mime = ?, lang = ?, num_chars = ?, num_pages = ?, num_chunks = ?, error = ? WHERE id = ?",
            (
                loaded.mime, language_of(loaded.text[:50_000]), len(loaded.text), len(loaded.pages) or None,
                len(rows), json.dumps(error_body(unread)["error"], ensure_ascii=False) if unread is not None else None, doc_id,
            ),
        )  # fmt: skip


def without_vector(kb: KnowledgeBase, doc_ids: Collection[str], langs: Sequence[str]) -> list[Unembedded]:
    """The texts of these documents' chunks in ``langs`` that have no vector yet, each once, the shortest first: a batch
    costs what its longest text costs."""
    rows = kb.database.rows(
        "SELECT DISTINCT text_sha, heading, text FROM chunks WHERE doc_id IN (SELECT value FROM json_each(?))"
        " AND lang IN (SELECT value FROM json_each(?))"
        " AND text_sha NOT IN (SELECT text_sha FROM embeddings) ORDER BY LENGTH(text)",
        (json.dumps(list(doc_ids)), json.dumps(langs)),
    )
    return [Unembedded(r["text_sha"], to_embed(r["heading"], r["text"])) for r in rows]


def keep_vectors(kb: KnowledgeBase, texts: Iterable[Unembedded], vectors: Iterable[Vector]) -> None:
    """Keep what the embedder gave under the hash of its text: no text is embedded twice."""
    with kb.database.write() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO embeddings VALUES (?, ?)",
            [(t.sha, v.astype(np.float16).tobytes()) for t, v in zip(texts, vectors, strict=True)],
        )


def to_embed(heading: str, text: str) -> str:
    """A chunk is embedded under its headings: "Requirements" alone does not say of what."""
    return f"{heading}\n{text}" if heading else text
