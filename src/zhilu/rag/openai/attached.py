"""Which documents of a knowledge base came as files of a vector store, with their attributes and batches: tables of its own file.

A document that came another way (the page, a source) is a file as well, ``file-<document id>``; it lives in its knowledge base
alone. Two files of one name are two documents: the second is called ``name (2)``.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Any, Literal

from pydantic import BaseModel

from zhilu.errors import NotFoundError, ZhiluError, error_body
from zhilu.rag.database import KbDatabase
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.openai.files import StoredFile, no_such_file
from zhilu.rag.records import Document, utc_now

__all__ = ["FILE_COLUMNS", "AttachedFile", "Attachments", "FileStatus", "counts", "make_tables", "seconds"]

FileStatus = Literal["in_progress", "completed", "cancelled", "failed"]
_STATUS: dict[str, FileStatus] = {
    "queued": "in_progress", "ingesting": "in_progress", "ready": "completed", "replaced": "completed", "failed": "failed",
}  # fmt: skip
_TABLES = (
    """CREATE TABLE IF NOT EXISTS attached_files (
  file_id TEXT PRIMARY KEY, filename TEXT NOT NULL, doc_id TEXT REFERENCES documents(id) ON DELETE CASCADE,
  attributes TEXT NOT NULL DEFAULT '{}', batch_id TEXT, error TEXT, created_at TEXT NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS attached_documents ON attached_files(doc_id)",
    "CREATE TABLE IF NOT EXISTS attached_batches (id TEXT PRIMARY KEY, created_at TEXT NOT NULL)",
)


FILE_COLUMNS = ("file_id", "filename", "doc_id", "attributes", "batch_id", "error", "created_at")


class AttachedFile(BaseModel):
    """``doc``: its document as it is now; None where none was made (``error`` says why) or its batch was cancelled.
    ``error`` is the inside of ``errors.error_body``."""

    id: str
    filename: str
    doc: Document | None
    attributes: dict[str, Any]
    batch_id: str | None
    error: dict[str, Any] | None
    created_at: str

    @property
    def status(self) -> FileStatus:
        if self.doc is not None:
            return _STATUS[self.doc.status]
        return "failed" if self.error is not None else "cancelled"


class Attachments:
    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self.database = kb.database
        make_tables(self.database)

    def every(self) -> list[AttachedFile]:
        """All documents and what could not become one, the oldest first."""
        documents = {d.id: d for d in self.kb.documents()}
        newest = {r["id"]: r["head"] for r in self.database.rows(_HEADS)}
        rows = {r["file_id"]: r for r in self.database.rows("SELECT * FROM attached_files")}
        found, taken = [], set()
        for file_id, row in rows.items():
            doc = documents.get(newest.get(row["doc_id"], ""))
            if row["doc_id"] is not None and doc is None:
                continue  # it was deleted in the page
            taken.add(doc.id if doc is not None else None)
            found.append(_attached(file_id, row, doc))
        found += [_of_document(d) for d in documents.values() if d.id not in taken]
        return sorted(found, key=lambda f: (f.created_at, f.id))

    def get(self, file_id: str) -> AttachedFile:
        """
        Raises:
            NotFoundError: no such file in this vector store.
        """
        row = self.database.row("SELECT * FROM attached_files WHERE file_id = ?", (file_id,))
        try:
            if row is not None:
                doc = self.kb.versions(row["doc_id"])[0] if row["doc_id"] is not None else None
                return _attached(file_id, row, doc)
            return _of_document(self.kb.versions(file_id.removeprefix("file-"))[0])
        except NotFoundError:
            raise no_such_file(file_id) from None

    def has(self, file_id: str) -> bool:
        """Whether it was put in as a file, and its document was not deleted since."""
        if self.database.value("SELECT 1 FROM attached_files WHERE file_id = ?", (file_id,)) is None:
            return False
        try:
            return bool(self.get(file_id))
        except NotFoundError:
            return False

    def of_documents(self, doc_ids: Iterable[str]) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """``(file id, file name, attributes)`` of those of these documents (of any version) that have them."""
        rows = self.database.rows(
            "SELECT v.id, a.file_id, a.filename, a.attributes FROM documents v JOIN documents d ON d.series = v.series"
            " JOIN attached_files a ON a.doc_id = d.id WHERE v.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(doc_ids)),),
        )
        return {r["id"]: (r["file_id"], r["filename"], json.loads(r["attributes"])) for r in rows}

    def ready_where(self, passes: Callable[[dict[str, Any]], bool]) -> list[str]:
        """The documents that are searched and whose attributes pass; most have none, which is an empty object."""
        ready = [r[0] for r in self.database.rows("SELECT id FROM documents WHERE status = 'ready'")]
        known = self.of_documents(ready)
        return [i for i in ready if passes(known[i][2] if i in known else {})]

    def add(
        self, file: StoredFile, stream: IO[bytes], attributes: dict[str, Any], *, max_mb: int, batch: str | None = None
    ) -> AttachedFile:
        """Put a file in. A file that is in already stays as it is; one that no reader takes is kept with the reason."""
        # One transaction: of two who put it in at once the second finds it there, two files of one name do not become versions of
        # each other, and a kill leaves no document that is nobody's file.
        with self.database.write() as connection:
            if (there := self._there(file.id)) is not None:
                return there
            doc_id, why = None, None
            try:
                doc_id = self.kb.add(stream, self._free_name(file.filename), max_mb=max_mb)[0].id
            except ZhiluError as error:
                why = json.dumps(error_body(error)["error"], ensure_ascii=False)
            connection.execute(
                "INSERT OR REPLACE INTO attached_files VALUES (?, ?, ?, ?, ?, ?, ?)",
                (file.id, file.filename, doc_id, json.dumps(attributes, ensure_ascii=False), batch, why, utc_now()),
            )
        return self.get(file.id)

    def set_attributes(self, file_id: str, attributes: dict[str, Any]) -> AttachedFile:
        file = self.get(file_id)
        said = json.dumps(attributes, ensure_ascii=False)
        with self.database.write() as connection:
            connection.execute(
                "INSERT INTO attached_files VALUES (?, ?, ?, ?, NULL, NULL, ?)"
                " ON CONFLICT (file_id) DO UPDATE SET attributes = excluded.attributes",
                (file.id, file.filename, file.doc.id if file.doc else None, said, file.created_at),
            )
        return self.get(file_id)

    def remove(self, file_id: str) -> None:
        file = self.get(file_id)
        with self.database.write() as connection:
            connection.execute("DELETE FROM attached_files WHERE file_id = ?", (file.id,))
        if file.doc is not None:
            self.kb.remove(file.doc.id)

    # Batches ---------------------------------------------------------------------------------------------------------

    def new_batch(self) -> str:
        batch = f"vsfb_{secrets.token_hex(12)}"
        with self.database.write() as connection:
            connection.execute("INSERT INTO attached_batches VALUES (?, ?)", (batch, utc_now()))
        return batch

    def batch_created(self, batch: str) -> str | None:
        found: str | None = self.database.value("SELECT created_at FROM attached_batches WHERE id = ?", (batch,))
        return found

    def of_batch(self, batch: str) -> list[AttachedFile]:
        return [f for f in self.every() if f.batch_id == batch]

    def cancel(self, batch: str) -> None:
        """Take out what was not read yet."""
        for file in self.of_batch(batch):
            if file.doc is None or file.doc.status != "queued":
                continue
            with self.database.write() as connection:
                connection.execute("UPDATE attached_files SET doc_id = NULL WHERE file_id = ?", (file.id,))
            self.kb.remove(file.doc.id)

    def _there(self, file_id: str) -> AttachedFile | None:
        """The file, where it is in and need not be put in again."""
        if self.database.value("SELECT 1 FROM attached_files WHERE file_id = ? AND error IS NULL", (file_id,)) is None:
            return None
        try:
            there = self.get(file_id)
        except NotFoundError:
            return None  # its document was deleted meanwhile
        return there if there.status != "cancelled" else None

    def _free_name(self, name: str) -> str:
        path, number, free = PurePosixPath(name), 1, name
        while self.database.value("SELECT 1 FROM documents WHERE name = ? LIMIT 1", (free,)):
            number += 1
            free = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        return free


def make_tables(database: KbDatabase) -> None:
    """Where they are not there yet; an older version of the program passes them over."""
    if database.value("SELECT 1 FROM sqlite_master WHERE name = 'attached_batches'") is None:
        with database.write() as connection:
            for statement in _TABLES:
                connection.execute(statement)


def counts(files: list[AttachedFile]) -> dict[str, int]:
    found = Counter(f.status for f in files)
    names: tuple[FileStatus, ...] = ("in_progress", "completed", "failed", "cancelled")
    return {**{name: found[name] for name in names}, "total": len(files)}


def seconds(when: str) -> int:
    """Unix seconds of a time as the records write it."""
    return int(datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp())


# every version of a document with the id of its newest
_HEADS = (
    "SELECT d.id, h.id AS head FROM documents d JOIN documents h ON h.series = d.series"
    " AND h.version = (SELECT MAX(version) FROM documents WHERE series = d.series)"
)


def _attached(file_id: str, row: Any, doc: Document | None) -> AttachedFile:
    return AttachedFile(
        id=file_id, filename=row["filename"], doc=doc, attributes=json.loads(row["attributes"]), batch_id=row["batch_id"],
        error=(doc.error if doc is not None else None) or (json.loads(row["error"]) if row["error"] else None),
        created_at=row["created_at"],
    )  # fmt: skip


def _of_document(doc: Document) -> AttachedFile:
    return AttachedFile(
        id=f"file-{doc.id}", filename=doc.name, doc=doc, attributes={}, batch_id=None, error=doc.error,
        created_at=doc.added_at,
    )  # fmt: skip
