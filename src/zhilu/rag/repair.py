"""Repairs a damaged knowledge base: keeps what SQLite can still read, else rebuilds it from the originals.

The new database is written beside the old one and replaces it in one step, so a kill leaves one of the two. The old file stays as
``kb.db.damaged-<time>`` until the knowledge base, or one of its documents, is deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from zhilu.errors import StorageError, error_body
from zhilu.home import file_lock
from zhilu.jobs import Job
from zhilu.messages import T
from zhilu.rag.board.tables import QUESTION_COLUMNS, prepare
from zhilu.rag.card import read_card, read_name
from zhilu.rag.database import KbDatabase
from zhilu.rag.index.ingest import start_ingestion
from zhilu.rag.library import Library
from zhilu.rag.openai.attached import FILE_COLUMNS, make_tables
from zhilu.rag.records import KbInfo, utc_now
from zhilu.rag.sources.book import SourceBook, noted_sources

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Repaired", "repair"]


class Repaired(BaseModel):
    """What became of it.

    ``how``: ``recovered`` whole, or ``restored`` from the originals, which ``job`` reads again. ``lost``: documents whose
    original is gone too; ``num_traces``: past questions that could be kept. ``damaged_file``: where the old database is.
    """

    kb: KbInfo
    how: Literal["recovered", "restored"]
    num_documents: int
    num_traces: int
    lost: list[str]
    damaged_file: str | None
    job: Job | None


def repair(context: Context, name_or_id: str) -> Repaired:
    """Repair a knowledge base; one that is whole is written anew and stays as it is.

    Raises:
        NotFoundError: no such knowledge base.
    """
    library = Library(context)
    kb_id = library.locate(name_or_id)
    folder = library.folder / kb_id
    (folder / "files").mkdir(exist_ok=True)
    library.let_go(kb_id)
    with file_lock(folder / "ingest.lock"):
        path, draft = folder / "kb.db", folder / ".kb.db.repairing"
        _clear(draft)
        is_whole = path.exists() and _recover(path, draft)
        if not is_whole:
            _clear(draft)
            _restore(folder, path, draft)
        aside = _swap(path, draft)
    kb = library.open(kb_id)
    kb.write_card()
    if not is_whole:
        kb.store.drop()  # a store of its own still holds the old passages' vectors
    documents = kb.documents()
    job = None if is_whole else start_ingestion(context, kb, kb.waiting())
    return Repaired(
        kb=kb.info(), how="recovered" if is_whole else "restored", num_documents=len(documents),
        num_traces=len(kb.traces(10_000)), job=job, damaged_file=str(aside) if aside else None,
        lost=[d.name for d in documents if d.error and d.error.get("code") == "original_gone"],
    )  # fmt: skip


def _recover(path: Path, draft: Path) -> bool:
    """Write a whole copy of a file whose rows can all be read; False if they cannot."""
    with suppress(sqlite3.Error, OSError, StorageError):
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("REINDEX")  # a broken index is made again from its table
            if connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                return False
            connection.execute("INSERT INTO lexical(lexical) VALUES ('rebuild')")
            connection.execute("VACUUM INTO ?", (str(draft),))
        finally:
            connection.close()
        copy = KbDatabase(draft)
        try:
            if copy.value("PRAGMA integrity_check(1)") != "ok" or not copy.meta("name"):
                return False
            copy.value("SELECT (SELECT COUNT(*) FROM traces), (SELECT COUNT(*) FROM embeddings)")  # they are there
            # every document that is said to be ready must have its text and all of its passages
            lost = copy.value(
                "SELECT COUNT(*) FROM documents d WHERE status = 'ready' AND (id NOT IN (SELECT doc_id FROM texts)"
                " OR num_chunks <> (SELECT COUNT(*) FROM chunks c WHERE c.doc_id = d.id))"
            )
            return bool(lost == 0)
        finally:
            copy.close()
    return False


def _restore(folder: Path, path: Path, draft: Path) -> None:
    """A new database with what can be read of the old one; its documents wait to be read again from their originals."""
    from zhilu.database import salvage

    card = read_card(folder)
    known = {str(row.get("key")): str(row.get("value")) for row in salvage(path, "meta")}
    now = utc_now()
    meta = {
        "id": folder.name, "name": folder.name, "description": "", "embedder": "none", "dim": "0",
        "created_at": now, **card, **{k: v for k, v in known.items() if k in card or k in ("store", "name")}, "updated_at": now,
    }  # fmt: skip
    fresh = KbDatabase(draft)
    try:
        fresh.set_meta(**meta)
        rows = {str(row["id"]): row for row in salvage(path, "documents") if row.get("id")}
        originals = {p.parent.name: p for p in (folder / "files").glob("*/original")}
        with fresh.write() as connection:
            taken: set[tuple[str, int]] = set()
            for doc_id in {**rows, **originals}:
                place = _place(doc_id, rows.get(doc_id, {}), originals.get(doc_id))
                if place in taken:  # a row of garbage; two documents are better than one lost
                    place = (doc_id, 1)
                taken.add(place)
                connection.execute(
                    "INSERT OR IGNORE INTO documents"
                    " (id, sha256, name, size_bytes, status, error, added_at, updated_at, series, version)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*_document(doc_id, rows.get(doc_id, {}), originals.get(doc_id), now), *place),
                )
            _keep(connection, path, "traces", ("id", "question", "answer", "refused", "created_at", "seconds", "data"))
            _keep(connection, path, "embeddings", ("text_sha", "vector"))
            prepare(fresh)
            _keep(connection, path, "board_questions", QUESTION_COLUMNS)
            noted = noted_sources(folder)  # where the file itself says nothing any more
            SourceBook.restore(
                fresh, [*salvage(path, "sources"), *noted], salvage(path, "source_items"), set(originals)
            )
            make_tables(fresh)
            _keep(connection, path, "attached_files", FILE_COLUMNS)
            size = 2 * int(meta["dim"])  # half precision; a vector of another length is no vector of this embedder
            connection.execute("DELETE FROM embeddings WHERE LENGTH(vector) <> ?", (size,))
    finally:
        fresh.close()


def _document(doc_id: str, row: dict[str, Any], original: Path | None, now: str) -> tuple[Any, ...]:
    """The row of a document: what the old one said, else what its original says."""
    noted = read_name(original) if original is not None else None
    name = str(row.get("name") or (noted[0] if noted else doc_id))
    status = "replaced" if row.get("status") == "replaced" else "queued"
    added = str(row.get("added_at") or now)
    if original is None:
        return doc_id, str(row.get("sha256") or doc_id), name, 0, "failed", json.dumps(_gone(name)), added, now
    if not row.get("added_at"):
        added = datetime.fromtimestamp(original.stat().st_mtime, timezone.utc).isoformat(timespec="milliseconds")
    digest = hashlib.sha256()
    with original.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return doc_id, digest.hexdigest(), name, original.stat().st_size, status, None, added.replace("+00:00", "Z"), now


def _place(doc_id: str, row: dict[str, Any], original: Path | None) -> tuple[str, int]:
    """``(series, version)``: of which document it is which version."""
    if row.get("series") and isinstance(row.get("version"), int):
        return str(row["series"]), row["version"]
    noted = read_name(original) if original is not None else None
    return noted[1:] if noted else (doc_id, 1)


def _gone(name: str) -> dict[str, Any]:
    problem = StorageError(
        T(
            f"The original of {name!r} is gone. Add the file again.",
            f"{name!r} 的原始文件已丢失。请重新添加这个文件。",
        ),
        code="original_gone",
    )
    found: dict[str, Any] = error_body(problem)["error"]
    return found


def _keep(connection: sqlite3.Connection, path: Path, table: str, columns: tuple[str, ...]) -> None:
    from zhilu.database import salvage

    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"
    for row in salvage(path, table):
        if set(columns) <= set(row):
            with suppress(sqlite3.Error):  # a row of garbage takes no other with it
                connection.execute(insert, tuple(row[c] for c in columns))


def _swap(path: Path, draft: Path) -> Path | None:
    """Put the new file in the old one's place; where the old one went, None if there was none."""
    aside = None
    if path.exists():
        aside = path.with_name(f"kb.db.damaged-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}")
        # its log goes with it: SQLite would apply it to the new file
        for ending in ("-wal", "-shm", ""):
            if Path(f"{path}{ending}").exists():
                os.replace(f"{path}{ending}", f"{aside}{ending}")
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    os.replace(draft, path)
    return aside


def _clear(draft: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{draft}{ending}").unlink(missing_ok=True)
