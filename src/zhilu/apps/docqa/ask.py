"""One question to documents: to their tables where they are what it names, else to their words.

A table is answered by looking up, never by a model's sum: the model at most says which of the readings is meant. Whatever the tables
do not answer goes to ``zhilu.rag.answer``, which checks every sentence against the passages and refuses what they do not hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from zhilu.apps.docqa.tables.choose import choose, is_chinese
from zhilu.apps.docqa.tables.found import DocTable, TableRow, tables_of
from zhilu.apps.docqa.tables.readings import Reading, readings_of
from zhilu.events import Event
from zhilu.jobs.base import Text

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.rag.answer import Shelf

__all__ = ["TableAnswer", "answer", "doc_tables"]

_CITED = 6  # rows shown as sources
_MOST_DOCUMENTS = 200  # whose tables are looked through


class TableAnswer(BaseModel):
    """How a table answered: what was looked up, in which document, and the rows it rests on."""

    doc_id: str
    doc_name: str
    heading: str
    looked_up: Text
    value: str
    columns: list[str]
    rows: list[list[str]]


async def answer(
    client: ModelClient, model: str, shelf: Shelf, question: str, *, history: Sequence[Mapping[str, Any]] = ()
) -> AsyncGenerator[Event, None]:
    """The events of ``zhilu.rag.answer``; where a table answers, ``done`` alone, with ``table`` beside the answer."""
    tables = await asyncio.to_thread(doc_tables, shelf)
    reading = await choose(client, model, question, await asyncio.to_thread(readings_of, question, tables))
    if reading is not None:
        yield Event("done", await asyncio.to_thread(_told, shelf, reading, is_chinese(question)))
        return
    events = shelf.answer(client, question, history=history, model=model)
    async with aclosing(events):
        async for event in events:
            yield Event(event.name, {**event.data, "table": None}) if event.name == "done" else event


def doc_tables(shelf: Shelf, doc_id: str | None = None) -> list[DocTable]:
    """The tables of the documents that are read, or of one of them.

    Raises:
        NotFoundError: no such document.
    """
    ids = [doc_id] if doc_id else [d.id for d in shelf.documents() if d.status == "ready"][:_MOST_DOCUMENTS]
    found: list[DocTable] = []
    for one in ids:
        document = shelf.read(one)
        headings = [(entry.start, entry.title) for entry in document.outline]
        found += tables_of(document.id, document.name, document.text, headings)
    return found


def _told(shelf: Shelf, reading: Reading, zh: bool) -> dict[str, Any]:
    """The ``done`` of an answer from a table; its citations are those of ``zhilu.rag.answer``, one for each row."""
    table, (value, rows) = reading.table, reading.result()
    cited = rows[:_CITED]
    marks = "".join(f" [{n}]" for n in range(1, len(cited) + 1))
    made = TableAnswer(
        doc_id=table.doc_id, doc_name=table.doc_name, heading=table.heading, looked_up=reading.said(), value=value,
        columns=list(table.columns), rows=[list(row.cells) for row in rows[:200]],
    )  # fmt: skip
    pages = shelf.read(table.doc_id).pages
    citations = []
    for n, row in enumerate(cited, start=1):
        page = next((p.page for p in pages if p.start <= row.start < p.end), None)
        citations.append({
            "n": n, "kb_id": shelf.id, "doc_id": table.doc_id, "doc_name": table.doc_name, "chunk_id": 0,
            "start": row.start, "end": row.end, "page": page, "heading": table.heading,
            "text": " | ".join(row.cells), "score": 1.0, "cited": True, "quote_start": row.start, "quote_end": row.end,
        })  # fmt: skip
    return {
        "answer": _sentence(reading, value, rows, zh) + marks, "refused": False, "citations": citations, "trace_id": None,
        "usage": {}, "verdict": None, "thought": None, "thought_seconds": None, "why": None,
        "table": made.model_dump(mode="json"),
    }  # fmt: skip


def _sentence(reading: Reading, value: str, rows: Sequence[TableRow], zh: bool) -> str:
    table, of, end = reading.table, ("：" if zh else ": "), ("。" if zh else ".")
    column = table.columns[reading.column] if reading.column is not None else ""
    labels = [row.cells[table.label] for row in rows[:_CITED]]
    if reading.want == "count":
        return f"{value} 行{end}" if zh else f"{value} rows{end}"
    if reading.want in ("sum", "mean"):
        name = reading.said().say("zh" if zh else "en")
        return f"{name[:1].upper()}{name[1:]}{of}{value}{end}"
    if reading.want in ("max", "min"):
        return f"{(('、' if zh else ', ').join(labels))}{'，' if zh else ', '}{column}{of}{value}{end}"
    if reading.column == table.label:
        return f"{(('、' if zh else ', ').join(labels))}{end}"
    parts = [
        f"{label}{'，' if zh else ', '}{column}{of}{row.cells[reading.column or 0]}"
        for label, row in zip(labels, rows, strict=False)
    ]
    return ("；" if zh else "; ").join(parts) + end
