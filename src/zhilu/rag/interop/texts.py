"""Texts of other frameworks in a knowledge base: each with an id of its owner's and metadata, each a document of its own.

A text is found by its passages and given back whole. The same id again replaces it. Few texts are read at once, many by the job
that reads documents.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.home import file_lock
from zhilu.jobs import Job
from zhilu.rag.index.embedding import TextEmbedder, embedder_of
from zhilu.rag.index.ingest import ingest_document, start_ingestion
from zhilu.rag.index.publish import clear_leftovers
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.load import Loaded
from zhilu.rag.openai.attached import Attachments
from zhilu.rag.openai.filters import FilterComparison, FilterCompound, fits
from zhilu.rag.records import Document, Hit, utc_now
from zhilu.rag.retrieve.search import retrieve

__all__ = ["FoundText", "KeptText", "TextShelf"]

_AT_ONCE = 32_000  # characters read within the request: about two seconds of a small embedder
_PREFIX = "text-"  # of the file id, which keeps them apart from OpenAI's files
_NO_LETTER = re.compile(r"[^\w.-]+")


class KeptText(BaseModel):
    id: str
    text: str
    metadata: dict[str, Any]


class FoundText(KeptText):
    """``score`` 0 to 1 is the fused one. A passage of a document that is no such text has the id ``document:passage``, and its
    metadata say where it stands."""

    score: float


class TextShelf:
    def __init__(self, context: Context, kb: KnowledgeBase) -> None:
        self.context = context
        self.kb = kb
        self.attachments = Attachments(kb)

    def put(self, texts: Sequence[KeptText]) -> Job | None:
        """Keep texts; the job that reads them, None where they can be found already.

        Raises:
            InputError: a text is empty; those before it are kept. TooLargeError: one is over ``max_upload_mb``.
        """
        waiting: list[tuple[Document, str]] = []
        for item in texts:
            document, _ = self.kb.add(
                io.BytesIO(item.text.encode()), _name(item.id), max_mb=self.context.settings.max_upload_mb
            )
            with self.kb.database.write() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO attached_files VALUES (?, ?, ?, ?, NULL, NULL, ?)",
                    (_PREFIX + item.id, document.name, document.id, json.dumps(item.metadata, ensure_ascii=False), utc_now()),
                )  # fmt: skip
            if document.status == "queued":
                waiting.append((document, item.text))
        if sum(len(text) for _, text in waiting) > _AT_ONCE or not self._read(waiting):
            return start_ingestion(self.context, self.kb, [document for document, _ in waiting])
        return None

    def get(self, ids: Sequence[str]) -> list[KeptText]:
        """Those that are there, in the order asked for."""
        rows = self.kb.database.rows(
            "SELECT file_id, doc_id, attributes FROM attached_files WHERE file_id IN (SELECT value FROM json_each(?))",
            (json.dumps([_PREFIX + i for i in ids]),),
        )
        there = {r["file_id"].removeprefix(_PREFIX): r for r in rows if r["doc_id"] is not None}
        return [
            KeptText(id=i, text=self._whole(there[i]["doc_id"]), metadata=json.loads(there[i]["attributes"]))
            for i in dict.fromkeys(ids)
            if i in there
        ]

    def ids_where(self, wanted: FilterComparison | FilterCompound) -> list[str]:
        rows = self.kb.database.rows(
            "SELECT file_id, attributes FROM attached_files WHERE doc_id IS NOT NULL AND substr(file_id, 1, 5) = ?",
            (_PREFIX,),
        )
        return [r["file_id"].removeprefix(_PREFIX) for r in rows if fits(wanted, json.loads(r["attributes"]))]

    def remove(self, ids: Sequence[str]) -> int:
        """How many of these there were."""
        gone = [f"{_PREFIX}{i}" for i in dict.fromkeys(ids) if self.get([i])]
        for file_id in gone:
            self.attachments.remove(file_id)
        return len(gone)

    def search(
        self, query: str, k: int, wanted: FilterComparison | FilterCompound | None = None, weight: float | None = None
    ) -> list[FoundText]:
        """The ``k`` texts whose passages fit best; ``wanted`` looks at their metadata."""
        among = self.attachments.ready_where(lambda has: fits(wanted, has)) if wanted is not None else None
        embedder = embedder_of(self.context, self.kb.embedder)
        hits = retrieve(self.kb, query, embedder, k=min(3 * k, 50), doc_ids=among, weight=weight).hits
        files = self.attachments.of_documents({hit.doc_id for hit in hits})
        found: dict[str, FoundText] = {}
        for hit in hits:
            file_id, _, metadata = files.get(hit.doc_id) or ("", "", {})
            if file_id.startswith(_PREFIX):
                text_id = file_id.removeprefix(_PREFIX)
                if text_id not in found:
                    found[text_id] = FoundText(
                        id=text_id, text=self._whole(hit.doc_id), metadata=metadata, score=hit.score
                    )
            else:
                found[f"{hit.doc_id}:{hit.chunk_id}"] = _passage(hit, metadata)
        return list(found.values())[:k]

    def _whole(self, doc_id: str) -> str:
        return self.kb.original(self.kb.versions(doc_id)[0].id).read_text(encoding="utf-8")

    def _read(self, waiting: Sequence[tuple[Document, str]]) -> bool:
        """Read them here and now; False where a job reads documents of this knowledge base at the moment."""
        with file_lock(self.kb.ingest_lock, blocking=False) as held:
            if not held:
                return False
            embedder = embedder_of(self.context, self.kb.embedder)
            for document, text in waiting:
                self._read_one(document, text, embedder)
            clear_leftovers(self.kb, is_locked=True)
        return True

    def _read_one(self, document: Document, text: str, embedder: TextEmbedder | None) -> None:
        try:
            ingest_document(self.kb, document.id, embedder, lambda *_: None, Loaded(text, "text/plain"))
        except ZhiluError as error:
            self.kb.mark([document.id], "failed", error)
            raise


def _name(text_id: str) -> str:
    """A name that says the id as far as a name can, and is no other's."""
    shown = _NO_LETTER.sub("-", text_id)[:60].strip("-.")
    return f"texts/{shown}-{hashlib.sha256(text_id.encode()).hexdigest()[:8]}.txt"


def _passage(hit: Hit, attributes: dict[str, Any]) -> FoundText:
    place = {
        "source": hit.doc_name, "document_id": hit.doc_id, "page": hit.page, "heading": hit.heading, "start": hit.start,
        "end": hit.end,
    }  # fmt: skip
    return FoundText(
        id=f"{hit.doc_id}:{hit.chunk_id}", text=hit.text, metadata={**attributes, **place}, score=hit.score
    )
