"""One knowledge base: its documents, chunks and traces. Ingestion and retrieval are built on it, in folders beside it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from zhilu.errors import ConflictError, NotFoundError, ZhiluError, error_body
from zhilu.messages import T
from zhilu.rag.board.tables import forget
from zhilu.rag.card import note_name, write_card
from zhilu.rag.database import KbDatabase
from zhilu.rag.index.publish import clear_leftovers, withdraw
from zhilu.rag.load import Limits, check_size, safe_path
from zhilu.rag.load.sniff import sniff
from zhilu.rag.records import Document, DocumentText, KbInfo, utc_now
from zhilu.rag.stores import DEFAULT, STORES, StoreFacts, StorePlace, VectorStore
from zhilu.rag.stores.offers import url_of
from zhilu.settings import Settings

__all__ = ["KnowledgeBase"]

_DOCUMENT = (  # no text
    "d.id, d.name, d.mime, d.size_bytes, d.status, d.error, d.num_chunks, d.num_chars, d.num_pages, d.lang, d.added_at,"
    " d.job_id, d.version, s.num_versions, s.answering FROM documents d JOIN (SELECT series, MAX(version) AS num_versions,"
    " MAX(CASE WHEN status = 'ready' THEN version END) AS answering, MIN(added_at) AS first_at"
    " FROM documents GROUP BY series) s ON s.series = d.series"
)
_ON_CARD = ("id", "name", "description", "embedder", "dim", "store", "created_at")


class KnowledgeBase:
    """Safe to share between threads. Other processes may write to the same files at the same time."""

    def __init__(self, database: KbDatabase, folder: Path, settings: Settings | None = None) -> None:
        self.database = database
        self.folder = folder
        self.settings = settings
        self.id = database.meta("id") or folder.name
        self.embedder = database.meta("embedder") or "none"
        self.dim = int(database.meta("dim") or 0)
        self._stores: dict[str, VectorStore] = {}
        self._opening = threading.Lock()

    @property
    def store(self) -> VectorStore:
        """Where its vectors are; opened on first use, and anew after they were moved (see ``index.move``).

        Raises:
            MissingComponentError: a library that it needs is not installed here. NotFoundError: no such store here.
            UnreachableError: its server does not answer. ConflictError: that server has none of its vectors.
        """
        name = self.store_name
        if (known := self._stores.get(name)) is not None:
            return known
        with self._opening:
            if name not in self._stores:
                store = STORES.get(name).open(self.place(name))
                if store.facts.elsewhere and self._is_elsewhere_empty(store):
                    store.close()
                    raise self._vectors_gone(store.facts)
                self._stores[name] = store  # one that it was moved from stays open for who reads there now
            return self._stores[name]

    def place(self, store: str) -> StorePlace:
        """What a store of that name is opened with for this knowledge base."""
        url = url_of(STORES.get(store), self.settings)
        return StorePlace(self.database, self.folder, self.dim, self.id, url)

    def _is_elsewhere_empty(self, store: VectorStore) -> bool:
        """Whether a server has nothing of what it should have: it is another one than before, or was emptied."""
        expected = self.database.value(
            "SELECT 1 FROM chunks c JOIN documents d ON d.id = c.doc_id JOIN embeddings e ON e.text_sha = c.text_sha"
            " WHERE d.status = 'ready' LIMIT 1"
        )
        return expected is not None and store.count() == 0

    def _vectors_gone(self, facts: StoreFacts) -> ConflictError:
        return ConflictError(
            T(
                f"The vectors of {self.name!r} are not on the server that is set for {facts.title.en}. Set its address, or take"
                " them from the knowledge base's own file.",
                f"知识库 {self.name!r} 的向量不在为 {facts.title.zh} 设置的服务器上。请改正地址，或用知识库自身文件中的向量重建。",
            ),
            code="vectors_elsewhere",
            fix=f"zhilu kb move {self.id} --store {DEFAULT}",
        )

    @property
    def store_name(self) -> str:
        return self.database.meta("store") or DEFAULT

    @property
    def store_facts(self) -> StoreFacts:
        """What its store can do, known without opening it."""
        return STORES.get(self.store_name).facts

    @property
    def ingest_lock(self) -> Path:
        """Held by the one process that publishes documents."""
        return self.folder / "ingest.lock"

    @property
    def name(self) -> str:
        return self.database.meta("name") or self.id

    def info(self) -> KbInfo:
        row = self.database.row(
            "SELECT COUNT(DISTINCT series), COALESCE(SUM(num_chunks) FILTER (WHERE status <> 'replaced'), 0),"
            " COALESCE(SUM(size_bytes), 0), MAX(updated_at) FROM documents"
        )
        assert row is not None
        meta = {r["key"]: r["value"] for r in self.database.rows("SELECT key, value FROM meta")}
        size = sum(f.stat().st_size for f in self.folder.glob("kb.db*"))
        return KbInfo(
            id=self.id, name=meta["name"], description=meta["description"], embedder=self.embedder, dim=self.dim, store=self.store_name,
            num_documents=row[0], num_chunks=row[1], size_bytes=row[2] + size, created_at=meta["created_at"],
            updated_at=max(meta["updated_at"], row[3] or ""),
        )  # fmt: skip

    # Documents -------------------------------------------------------------------------------------------------------

    def add(self, stream: IO[bytes], name: str, *, max_mb: int) -> tuple[Document, bool]:
        """Store an uploaded file and queue it: ``(document, is_new)``; the same bytes under the same name are there already.

        A name that is here already, folders included, gets a new version: it takes the old one's place once it is read. Two
        names are two documents, whatever they hold: one may change or go and the other stays.
        When this returns, file and row are on the disk. A document that failed before is queued again.

        Raises:
            InputError: the name or the content is refused; nothing is kept. TooLargeError: over ``max_mb`` MiB.
        """
        name = safe_path(name)
        incoming = self.folder / "files" / f".incoming-{secrets.token_hex(6)}"
        incoming.parent.mkdir(exist_ok=True)
        try:
            sha256, size = _receive(stream, incoming, max_mb)
            if (known := self._same(name, sha256)) is not None:
                return self._again(known)
            sniff(incoming, name, Limits())
            doc_id = secrets.token_hex(6)
            home = self.folder / "files" / doc_id
            home.mkdir()
            os.replace(incoming, home / "original")
            _sync_folder(home)
            _sync_folder(home.parent)
            now = utc_now()
            with self.database.write() as connection:
                known = self._same(name, sha256)  # another upload of the same bytes may have been faster
                if known is None:
                    series, version = self._next_version(name) or (doc_id, 1)
                    note_name(home / "original", name, series, version)
                    connection.execute(
                        "INSERT INTO documents (id, sha256, name, size_bytes, status, added_at, updated_at, series, version)"
                        " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?)",
                        (doc_id, sha256, name, size, now, now, series, version),
                    )
            if known is not None:
                shutil.rmtree(home, ignore_errors=True)
                return self._again(known)
            return self.document(doc_id), True
        finally:
            incoming.unlink(missing_ok=True)

    def documents(self) -> list[Document]:
        """All documents, each as its newest version, in the order they were first added."""
        return self._documents("d.version = s.num_versions", order="s.first_at, d.rowid")

    def waiting(self) -> list[Document]:
        """Every version that is not read yet, in the order they were added."""
        return self._documents("d.status IN ('queued', 'ingesting')")

    def versions(self, doc_id: str) -> list[Document]:
        """All versions of a document, the newest first; ``doc_id`` of any of them.

        Raises:
            NotFoundError: no such document here.
        """
        self.document(doc_id)
        return self._documents(
            "d.series = (SELECT series FROM documents WHERE id = ?)", (doc_id,), order="d.version DESC"
        )

    def _documents(self, where: str, args: Sequence[Any] = (), order: str = "d.added_at, d.rowid") -> list[Document]:
        rows = self.database.rows(f"SELECT {_DOCUMENT} WHERE {where} ORDER BY {order}", args)
        return [_document(r) for r in rows]

    def _same(self, name: str, sha256: str) -> Document | None:
        """The document that an upload of these bytes under this name is: the newest of that name, if it has them."""
        heads = self._documents(
            "d.version = s.num_versions AND d.name = ?", (name,), order="d.added_at DESC, d.rowid DESC"
        )
        if not heads:
            return None
        same = self.database.value("SELECT sha256 FROM documents WHERE id = ?", (heads[0].id,)) == sha256
        return heads[0] if same else None

    def _next_version(self, name: str) -> tuple[str, int] | None:
        """``(series, version)`` of a new version of the document called ``name``; None if there is none."""
        row = self.database.row(
            "SELECT series, version FROM documents WHERE name = ? ORDER BY added_at DESC, rowid DESC LIMIT 1", (name,)
        )
        return (row[0], row[1] + 1) if row is not None else None

    def _again(self, known: Document) -> tuple[Document, bool]:
        return (self.requeue(known.id) if known.status == "failed" else known), False

    def document(self, doc_id: str) -> Document:
        """
        Raises:
            NotFoundError: no such document here.
        """
        row = self.database.row(f"SELECT {_DOCUMENT} WHERE d.id = ?", (doc_id,))
        if row is None:
            raise NotFoundError(
                T(
                    en=f"There is no document {doc_id!r} in {self.name!r}.",
                    zh=f"知识库 {self.name!r} 里没有文档 {doc_id!r}。",
                ),
                fix=f"zhilu kb show {self.id}",
            )
        return _document(row)

    def read(self, doc_id: str) -> DocumentText:
        """A document with its text, pages and outline (empty before it was read)."""
        document = self.document(doc_id)
        row = self.database.row("SELECT text, pages, outline FROM texts WHERE doc_id = ?", (doc_id,))
        text, pages, outline = (row[0], json.loads(row[1]), json.loads(row[2])) if row is not None else ("", [], [])
        return DocumentText(**document.model_dump(), text=text, pages=pages, outline=outline)

    def original(self, doc_id: str) -> Path:
        """The file as it was uploaded; also of a version that was replaced."""
        return self.folder / "files" / self.document(doc_id).id / "original"

    def remove(self, doc_id: str) -> None:
        """Delete a document with all of its versions from every index at once, then their files; ``doc_id`` of any of them."""
        ids = [d.id for d in self.versions(doc_id)]
        with self.database.write() as connection:
            for version in ids:
                withdraw(self, version)
                # a question's trace holds the passages it was answered from: their text, the prompt, the answer
                connection.execute("DELETE FROM traces WHERE instr(data, ?)", (json.dumps(version),))
            forget(self.database, self.folder, ids)
            connection.executemany("DELETE FROM documents WHERE id = ?", [(i,) for i in ids])
            # vectors of text that no document holds any more are that text's data, too
            connection.execute("DELETE FROM embeddings WHERE text_sha NOT IN (SELECT text_sha FROM chunks)")
            self.touch()
        clear_leftovers(self)
        for version in ids:
            shutil.rmtree(self.folder / "files" / version, ignore_errors=True)
        for copy in self.folder.glob("kb.db.damaged-*"):  # set aside by a repair; its text is in there, too
            copy.unlink(missing_ok=True)
        self.database.scrub()

    def requeue(self, doc_id: str) -> Document:
        """Put a document back to the beginning of its ingestion."""
        with self.database.write():
            withdraw(self, doc_id)
            self.mark([doc_id], "queued")
        clear_leftovers(self)
        return self.document(doc_id)

    def mark(self, doc_ids: Iterable[str], status: str, error: ZhiluError | None = None) -> None:
        """Set the status of documents; ``error`` says why where it is ``failed``."""
        body = json.dumps(error_body(error)["error"], ensure_ascii=False) if error is not None else None
        with self.database.write() as connection:
            connection.executemany(
                "UPDATE documents SET status = ?, error = ?, updated_at = ? WHERE id = ?",
                [(status, body, utc_now(), doc_id) for doc_id in doc_ids],
            )

    def touch(self) -> None:
        self.database.set_meta(updated_at=utc_now())

    def write_card(self) -> None:
        """Note beside the database what it was made with (see ``card``)."""
        meta = {r["key"]: r["value"] for r in self.database.rows("SELECT key, value FROM meta")}
        write_card(self.folder, {key: value for key, value in meta.items() if key in _ON_CARD})

    def sweep(self) -> None:
        """Delete files that belong to no document: uploads that a kill cut off, and deletions it did. Note on the card what an
        older version did not."""
        self.write_card()
        rows = self.database.rows("SELECT id, name, series, version FROM documents")
        for row in rows:
            if (folder := self.folder / "files" / row["id"]).is_dir():
                note_name(folder / "original", row["name"], row["series"], row["version"])
        known = {row["id"] for row in rows}
        for path in (self.folder / "files").glob("*"):
            if path.name in known or time.time() - path.stat().st_mtime < 3600:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        for store in self._stores.values():
            store.close()
        self.database.close()

    # Chunks and traces -----------------------------------------------------------------------------------------------

    def chunks(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Chunks of ready documents by id, each with its document's name."""
        rows = self.database.rows(
            "SELECT c.id, c.doc_id, d.name AS doc_name, c.ordinal, c.start, c.end, c.page, c.heading, c.lang, c.text"
            " FROM chunks c JOIN documents d ON d.id = c.doc_id"
            " WHERE d.status = 'ready' AND c.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        return {r["id"]: dict(r) for r in rows}

    def passages(self) -> list[dict[str, Any]]:
        """All chunks of ready documents (doc_id, start, text), in an order that depends on their content alone."""
        rows = self.database.rows(
            "SELECT c.doc_id, c.start, c.text FROM chunks c JOIN documents d ON d.id = c.doc_id"
            " WHERE d.status = 'ready' ORDER BY d.sha256, c.ordinal"
        )
        return [dict(r) for r in rows]

    def num_copies(self) -> int:
        """How many ready documents, at most, have the same bytes."""
        found: int = self.database.value(
            "SELECT COALESCE(MAX(n), 1) FROM (SELECT COUNT(*) AS n FROM documents WHERE status = 'ready' GROUP BY sha256)"
        )
        return found

    def status_of(self, doc_id: str) -> str | None:
        """A document's status; None if it is not there (any more)."""
        found: str | None = self.database.value("SELECT status FROM documents WHERE id = ?", (doc_id,))
        return found

    def assign(self, doc_ids: Iterable[str], job_id: str) -> None:
        """Note which job reads these documents."""
        with self.database.write() as connection:
            connection.executemany("UPDATE documents SET job_id = ? WHERE id = ?", [(job_id, d) for d in doc_ids])

    def add_trace(self, trace: dict[str, Any]) -> None:
        """Keep a question's trace (see ``pipeline``); the last 10,000 stay."""
        with self.database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    trace["id"], trace["question"], trace["answer"], int(trace["refused"]), trace["created_at"],
                    trace["seconds"], json.dumps(trace, ensure_ascii=False),
                ),
            )  # fmt: skip
            connection.execute(
                "DELETE FROM traces WHERE rowid <= (SELECT MAX(rowid) FROM traces) - 10000",
            )

    def traces(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest questions: id, question, answer, refused, created_at, seconds."""
        rows = self.database.rows(
            "SELECT id, question, answer, refused, created_at, seconds FROM traces ORDER BY rowid DESC LIMIT ?",
            (limit,),
        )
        return [{**dict(r), "refused": bool(r["refused"])} for r in rows]

    def trace(self, trace_id: str) -> dict[str, Any]:
        """
        Raises:
            NotFoundError: no such trace.
        """
        data = self.database.value("SELECT data FROM traces WHERE id = ?", (trace_id,))
        if data is None:
            raise NotFoundError(T(en=f"There is no trace {trace_id!r}.", zh=f"没有编号为 {trace_id!r} 的记录。"))
        loaded: dict[str, Any] = json.loads(data)
        return loaded


def _document(row: Any) -> Document:
    values = dict(row)
    values["error"] = json.loads(values["error"]) if values["error"] else None
    return Document(**values)


def _receive(stream: IO[bytes], path: Path, max_mb: int) -> tuple[str, int]:
    """Copy an upload to ``path`` and sync it: its SHA-256 and size in bytes; stops as soon as it is too large."""
    if _can_seek(stream):  # say how large it is, not how far we read
        check_size(stream.seek(0, os.SEEK_END), max_mb)
        stream.seek(0)
    digest = hashlib.sha256()
    size = 0
    with path.open("xb") as file:
        while block := stream.read(1 << 20):
            size += len(block)
            check_size(size, max_mb)
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _can_seek(stream: IO[bytes]) -> bool:
    """An upload is a ``SpooledTemporaryFile``, which can, and before Python 3.11 has no method that says so."""
    return not hasattr(stream, "seekable") or stream.seekable()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
