"""Which sources a knowledge base is kept in step with, and what was taken from each: tables of its own file, so that they are
copied, moved and deleted with it. Keys of stores are not here but in ``sources.json`` of the data home (see ``secrets``)."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from zhilu.errors import NotFoundError, ZhiluError, error_body
from zhilu.home import atomic_write
from zhilu.messages import T
from zhilu.rag.database import KbDatabase
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import utc_now
from zhilu.rag.sources.base import SourceOptions
from zhilu.rag.sources.kinds import KINDS, kind_of_address

__all__ = ["KbSource", "SourceBook", "SourceItem", "noted_sources"]

_TABLES = (
    """CREATE TABLE IF NOT EXISTS sources (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, address TEXT NOT NULL, prefix TEXT NOT NULL UNIQUE, options TEXT NOT NULL,
  every_minutes INTEGER, created_at TEXT NOT NULL, synced_at TEXT, job_id TEXT, report TEXT, error TEXT
)""",
    """CREATE TABLE IF NOT EXISTS source_items (
  source_id TEXT NOT NULL REFERENCES sources(id) ON DELETE CASCADE, key TEXT NOT NULL, stamp TEXT NOT NULL, doc_id TEXT,
  error TEXT, changed_at TEXT NOT NULL, walk TEXT NOT NULL, PRIMARY KEY (source_id, key)
)""",
)


_SOURCE = (
    "id", "kind", "address", "prefix", "options", "every_minutes", "created_at", "synced_at", "job_id", "report", "error",
)  # fmt: skip
_NOTED = ("id", "kind", "address", "prefix", "options", "every_minutes", "created_at")
_NOTE = "sources.json"  # of addresses and options; keys are elsewhere
_ITEM = ("source_id", "key", "stamp", "doc_id", "error", "changed_at", "walk")


class KbSource(BaseModel):
    """A source of a knowledge base.

    Attributes:
        prefix: the folder under which its documents go.
        every_minutes: it is read again by itself, while the workbench runs; None: when somebody asks for it.
        report: what the last walk did: added, changed, removed, same, refused (with up to 20 reasons).
        error: why the last walk ended early, the inside of ``errors.error_body``.
    """

    id: str
    kind: str
    address: str
    prefix: str
    options: SourceOptions
    every_minutes: int | None
    created_at: str
    synced_at: str | None
    job_id: str | None
    report: dict[str, Any] | None
    error: dict[str, Any] | None


class SourceItem(BaseModel):
    """One thing of a source. ``doc_id`` is the version of the document that was made of it; None: ``error`` says why not."""

    key: str
    stamp: str
    doc_id: str | None
    changed_at: str


class SourceBook:
    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self.database = kb.database
        _prepare(self.database)

    @staticmethod
    def restore(
        database: KbDatabase,
        sources: Iterable[Mapping[str, Any]],
        items: Iterable[Mapping[str, Any]],
        there: Collection[str],
    ) -> None:
        """Put back what a damaged file still says of its sources; what cannot be is left out.

        ``there``: documents whose original is there. What was taken as another document is forgotten, so that the next walk
        takes it again.
        """
        _prepare(database)
        with database.write() as connection:
            for row in sources:
                with suppress(sqlite3.Error, ValueError, KeyError, TypeError):
                    source = _source({name: row[name] for name in _SOURCE})
                    if source.kind in KINDS and not source.prefix.startswith(("/", ".")):
                        connection.execute(
                            f"INSERT OR IGNORE INTO sources VALUES ({', '.join('?' * len(_SOURCE))})",
                            tuple(row[name] for name in _SOURCE),
                        )
            for row in items:
                with suppress(sqlite3.Error, KeyError):
                    if row["doc_id"] in there:
                        connection.execute(
                            "INSERT OR IGNORE INTO source_items VALUES (?, ?, ?, ?, ?, ?, ?)",
                            tuple(row[name] for name in _ITEM),
                        )

    def add(self, address: str, options: SourceOptions, every_minutes: int | None = None) -> KbSource:
        """Note a source; the same address again is that source, with the options of now.

        Raises:
            InputError: no kind takes this address.
        """
        address = address.strip()
        kind = kind_of_address(address)
        if kind is KINDS["folder"]:
            address = str(Path(address).expanduser().resolve())
        now = utc_now()
        with self.database.write() as connection:
            row = connection.execute("SELECT id FROM sources WHERE address = ?", (address,)).fetchone()
            if row is not None:
                connection.execute(
                    "UPDATE sources SET options = ?, every_minutes = ? WHERE id = ?",
                    (options.model_dump_json(), every_minutes, row[0]),
                )
                return self.get(row[0])
            taken = {r[0] for r in connection.execute("SELECT prefix FROM sources")}
            prefix = wanted = kind.prefix(address)
            number = 1
            while prefix in taken:  # two folders called docs never replace each other's files
                number += 1
                prefix = f"{wanted}-{number}"
            source_id = secrets.token_hex(6)
            connection.execute(
                "INSERT INTO sources (id, kind, address, prefix, options, every_minutes, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (source_id, kind.name, address, prefix, options.model_dump_json(), every_minutes, now),
            )
        self._note_beside()
        return self.get(source_id)

    def _note_beside(self) -> None:
        """Which there are, beside the file, in case that is damaged. A note that cannot be written stops nothing."""
        known = [
            {name: row[name] for name in _NOTED}
            for row in self.database.rows("SELECT * FROM sources ORDER BY created_at, rowid")
        ]
        with suppress(OSError):
            atomic_write(self.kb.folder / _NOTE, json.dumps(known, ensure_ascii=False, indent=1))

    def every(self) -> list[KbSource]:
        return [_source(r) for r in self.database.rows("SELECT * FROM sources ORDER BY created_at, rowid")]

    def get(self, id_or_address: str) -> KbSource:
        """
        Raises:
            NotFoundError: no such source here.
        """
        row = self.database.row("SELECT * FROM sources WHERE id = ? OR address = ? OR prefix = ?", (id_or_address,) * 3)
        if row is None:
            raise NotFoundError(
                T(f"{self.kb.name!r} has no source {id_or_address!r}.", f"知识库 {self.kb.name!r} 没有来源 {id_or_address!r}。"),
                fix=f"zhilu kb sources {self.kb.id}",
            )  # fmt: skip
        return _source(row)

    def schedule(self, source_id: str, every_minutes: int | None) -> KbSource:
        self._set(source_id, every_minutes=every_minutes)
        self._note_beside()
        return self.get(source_id)

    def remove(self, source_id: str, *, with_documents: bool) -> int:
        """Forget a source; how many documents went with it."""
        source = self.get(source_id)
        gone = [i.doc_id for i in self.items(source.id) if i.doc_id is not None] if with_documents else []
        with self.database.write() as connection:
            connection.execute("DELETE FROM source_items WHERE source_id = ?", (source.id,))
            connection.execute("DELETE FROM sources WHERE id = ?", (source.id,))
        self._note_beside()
        return sum(self._remove_document(doc_id) for doc_id in gone)

    def note(self, source_id: str, *, job_id: str) -> None:
        self._set(source_id, job_id=job_id)

    def finished(self, source_id: str, report: dict[str, Any], error: ZhiluError | None) -> None:
        why = json.dumps(error_body(error)["error"], ensure_ascii=False) if error is not None else None
        self._set(source_id, synced_at=utc_now(), report=json.dumps(report, ensure_ascii=False), error=why)
        self._note_beside()

    def due(self, now: datetime | None = None) -> list[KbSource]:
        """Those whose time has come; missed times are made up for once."""
        now = now or datetime.now(timezone.utc)
        return [
            s
            for s in self.every()
            if s.every_minutes
            and (
                s.synced_at is None
                or now - datetime.fromisoformat(s.synced_at.replace("Z", "+00:00"))
                >= timedelta(minutes=s.every_minutes)
            )
        ]

    # What was taken ----------------------------------------------------------------------------------------------------

    def items(self, source_id: str) -> list[SourceItem]:
        rows = self.database.rows(
            "SELECT key, stamp, doc_id, changed_at FROM source_items WHERE source_id = ? ORDER BY key", (source_id,)
        )
        return [SourceItem(**dict(r)) for r in rows]

    def take(
        self, source_id: str, key: str, stamp: str, walk: str, doc_id: str | None, error: ZhiluError | None
    ) -> None:
        why = json.dumps(error_body(error)["error"], ensure_ascii=False) if error is not None else None
        with self.database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO source_items VALUES (?, ?, ?, ?, ?, ?, ?)",
                (source_id, key, stamp, doc_id, why, utc_now(), walk),
            )

    def seen(self, source_id: str, key: str, walk: str) -> None:
        with self.database.write() as connection:
            connection.execute(
                "UPDATE source_items SET walk = ? WHERE source_id = ? AND key = ?", (walk, source_id, key)
            )

    def drop_unseen(self, source_id: str, walk: str, check: Callable[[], None]) -> int:
        """Delete the documents of what was not named in this walk; how many."""
        rows = self.database.rows(
            "SELECT key, doc_id FROM source_items WHERE source_id = ? AND walk <> ?", (source_id, walk)
        )
        gone = 0
        for row in rows:
            check()
            if row["doc_id"] is not None:
                gone += self._remove_document(row["doc_id"])
            with self.database.write() as connection:
                connection.execute("DELETE FROM source_items WHERE source_id = ? AND key = ?", (source_id, row["key"]))
        return gone

    def _remove_document(self, doc_id: str) -> bool:
        try:
            self.kb.remove(doc_id)
        except NotFoundError:
            return False  # somebody was faster
        return True

    def _set(self, source_id: str, **values: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        with self.database.write() as connection:
            connection.execute(f"UPDATE sources SET {names} WHERE id = ?", (*values.values(), source_id))


def noted_sources(folder: Path) -> list[dict[str, Any]]:
    """Rows of ``sources`` as they were noted beside the file of the knowledge base in ``folder``; empty where nothing is."""
    try:
        rows = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        return [{**dict.fromkeys(_SOURCE), **{name: row[name] for name in _NOTED}} for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _prepare(database: KbDatabase) -> None:
    """Make the tables where they are not there yet; an older version of the program passes them over."""
    if database.value("SELECT 1 FROM sqlite_master WHERE name = 'source_items'") is None:
        with database.write() as connection:
            for statement in _TABLES:
                connection.execute(statement)


def _source(row: Any) -> KbSource:
    values = dict(row)
    for name in ("options", "report", "error"):
        values[name] = json.loads(values[name]) if values[name] else None
    return KbSource(**values)
