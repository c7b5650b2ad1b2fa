"""A knowledge base written as one file, piece by piece, so that a download begins at once and nothing is kept in memory."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any

from zhilu import __version__
from zhilu.errors import NotFoundError
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.openai.attached import Attachments
from zhilu.rag.records import Document
from zhilu.rag.share.format import ABOUT, Manifest, SharedDocument

__all__ = ["pack"]

_BLOCK = 1 << 20
_PACKED = {".pdf", ".docx", ".pptx", ".xlsx", ".zip", ".epub", ".png", ".jpg", ".jpeg", ".webp"}  # compressed already


def pack(kb: KnowledgeBase) -> Iterator[bytes]:
    """The file's bytes. Of each document the version that answers, else the newest as it came; one that is deleted meanwhile is
    left out."""
    out = _Outlet()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        documents = kb.documents()
        about = Manifest(
            format=1, name=kb.name, description=kb.info().description, embedder=kb.embedder, dim=kb.dim,
            num_documents=len(documents), made_with=__version__,
        )  # fmt: skip
        archive.writestr(ABOUT, about.model_dump_json())
        for number, head in enumerate(documents):
            yield from _document(archive, out, kb, head, number)
            yield out.take()
    yield out.take()


def _document(
    archive: zipfile.ZipFile, out: _Outlet, kb: KnowledgeBase, head: Document, number: int
) -> Iterator[bytes]:
    try:
        document = next((v for v in kb.versions(head.id) if v.status == "ready"), head)
        original = kb.original(document.id).open("rb")
    except (NotFoundError, FileNotFoundError):
        return
    with original:
        shared, vectors = _read(kb, document)
        archive.writestr(f"documents/{number}.json", shared.model_dump_json())
        archive.writestr(f"vectors/{number}.f16", vectors, zipfile.ZIP_STORED)  # numbers like these do not compress
        entry = zipfile.ZipInfo(f"originals/{number}")
        ending = "." + document.name.rpartition(".")[2].lower()
        entry.compress_type = zipfile.ZIP_STORED if ending in _PACKED else zipfile.ZIP_DEFLATED
        with archive.open(entry, "w", force_zip64=True) as member:
            while block := original.read(_BLOCK):
                member.write(block)
                yield out.take()


def _read(kb: KnowledgeBase, document: Document) -> tuple[SharedDocument, bytes]:
    file = Attachments(kb).of_documents([document.id]).get(document.id)
    if document.status != "ready":
        return SharedDocument(name=document.name, file=file), b""
    row = kb.database.row("SELECT text, pages, outline FROM texts WHERE doc_id = ?", (document.id,))
    chunks = kb.database.rows(
        "SELECT c.start, c.end, c.heading, c.page, e.vector FROM chunks c LEFT JOIN embeddings e ON e.text_sha = c.text_sha"
        " WHERE c.doc_id = ? ORDER BY c.ordinal",
        (document.id,),
    )
    read: dict[str, Any] = {
        "text": row["text"] if row else "", "mime": document.mime, "pages": json.loads(row["pages"]) if row else [],
        "outline": json.loads(row["outline"]) if row else [], "scanned": [],
    }  # fmt: skip
    shared = SharedDocument(
        name=document.name, read=read, file=file,
        chunks=[(c["start"], c["end"], c["heading"], c["page"], c["vector"] is not None) for c in chunks],
    )  # fmt: skip
    return shared, b"".join(c["vector"] for c in chunks if c["vector"] is not None)


class _Outlet:
    """A file that is only written to; what was written is taken from time to time."""

    def __init__(self) -> None:
        self._parts = bytearray()

    def write(self, data: bytes, /) -> int:
        self._parts += data
        return len(data)

    def flush(self) -> None:
        """What was written is held until it is taken."""

    def close(self) -> None:
        """It holds nothing open."""

    def take(self) -> bytes:
        parts, self._parts = bytes(self._parts), bytearray()
        return parts
