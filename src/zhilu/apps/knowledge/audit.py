"""Who asked what, and who changed what: rows that are only ever added, each with the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from zhilu.apps.knowledge.store import Ledger, utc_now

__all__ = ["AuditEntry", "entries", "export", "first_broken", "record", "record_in"]


class AuditEntry(BaseModel):
    """``who`` is the name of a person, ``cli`` for the owner of the machine, or empty for nobody who was known."""

    id: int
    at: str
    who: str
    did: str
    about: str
    details: dict[str, Any]
    hash: str


def record(ledger: Ledger, who: str, did: str, about: str = "", **details: Any) -> None:
    with ledger.write() as connection:
        record_in(connection, who, did, about, **details)


def record_in(connection: sqlite3.Connection, who: str, did: str, about: str = "", **details: Any) -> None:
    """In the caller's transaction: what is done and that it was done are there together or not at all."""
    last = connection.execute("SELECT hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    at, text = utc_now(), json.dumps(details, ensure_ascii=False, sort_keys=True)
    connection.execute(
        "INSERT INTO audit (at, who, did, about, details, hash) VALUES (?, ?, ?, ?, ?, ?)",
        (at, who, did, about, text, _hash(last[0] if last else "", at, who, did, about, text)),
    )


def entries(ledger: Ledger, *, limit: int = 200, before: int | None = None, did: str | None = None) -> list[AuditEntry]:
    """The newest first; ``before`` this id."""
    where, args = ["1"], list[Any]()
    if before is not None:
        where.append("id < ?")
        args.append(before)
    if did is not None:
        where.append("did = ?")
        args.append(did)
    rows = ledger.rows(f"SELECT * FROM audit WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?", (*args, limit))
    return [_entry(dict(r)) for r in rows]


def export(ledger: Ledger) -> Iterator[str]:
    """All of it as JSON lines, the oldest first."""
    last = 0
    while rows := ledger.rows("SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT 500", (last,)):
        for row in rows:
            yield _entry(dict(row)).model_dump_json() + "\n"
        last = rows[-1]["id"]


def first_broken(ledger: Ledger) -> int | None:
    """The id of the first row that is not what was written, or follows one that is missing; None if all are whole."""
    before, expected = "", 1
    for row in ledger.rows("SELECT * FROM audit ORDER BY id"):
        told = _hash(before, row["at"], row["who"], row["did"], row["about"], row["details"])
        if row["id"] != expected or row["hash"] != told:
            return int(row["id"])
        before, expected = row["hash"], expected + 1
    return None


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(**{**row, "details": json.loads(row["details"])})


def _hash(before: str, *fields: str) -> str:
    return hashlib.sha256(json.dumps([before, *fields], ensure_ascii=False).encode()).hexdigest()
