"""An index made for a comparison: the documents as they were read, split, embedded and stored another way.

It lies in a folder ``trial-…`` of the knowledge base, is made without reading any original again, and goes when its run ends.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.rag.board.setup import Setup
from zhilu.rag.database import KbDatabase
from zhilu.rag.index.embedding import choose_embedder, embedder_of
from zhilu.rag.index.groups import embed_missing
from zhilu.rag.index.publish import publish
from zhilu.rag.index.split import CHUNK_TOKENS, OVERLAP_TOKENS, split
from zhilu.rag.index.staging import has_chunks, stage_chunks
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.load.base import Heading, Loaded, Page
from zhilu.rag.records import utc_now
from zhilu.rag.stores import STORES, StorePlace

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["drop_trial", "trial_of"]

Report = Callable[[float, str], None]  # share done, name of the document


def trial_of(context: Context, kb: KnowledgeBase, setup: Setup, report: Report) -> KnowledgeBase:
    """The knowledge base under another index; one that a kill left half-made is finished.

    Raises:
        MissingComponentError: its embedder or its store is not installed here. NotFoundError: no such store.
    """
    folder = _folder(kb, setup)
    if not (folder / "kb.db").exists():
        _begin(context, kb, setup, folder)
    trial = KnowledgeBase(KbDatabase(folder / "kb.db"), folder)
    try:
        _index(context, kb, trial, setup, report)
    except BaseException:  # a cancelled job, an embedder that is missing: nobody else has it to close it
        trial.close()
        raise
    return trial


def _index(context: Context, kb: KnowledgeBase, trial: KnowledgeBase, setup: Setup, report: Report) -> None:
    """Split, embed and publish the documents that still wait, as the setup wants it."""
    waiting = trial.waiting()
    embedder = embedder_of(context, trial.embedder)
    for number, document in enumerate(waiting):
        report(number / len(waiting), document.name)
        if not has_chunks(trial, document.id):
            read = kb.read(document.id)
            pages = tuple(Page(p.page, p.start, p.end) for p in read.pages)
            outline = tuple(Heading(h.level, h.title, h.start) for h in read.outline)
            chunks = split(
                read.text, outline, pages,
                size=setup.chunk_tokens or CHUNK_TOKENS,
                overlap=OVERLAP_TOKENS if setup.overlap_tokens is None else setup.overlap_tokens,
            )  # fmt: skip
            stage_chunks(trial, document.id, Loaded(read.text, read.mime, pages, outline), chunks)
        if embedder is not None:
            embed_missing(trial, [document.id], embedder, lambda _share: None)
        publish(trial, document.id)


def drop_trial(kb: KnowledgeBase, setup: Setup) -> None:
    """Delete the index that ``trial_of`` made."""
    shutil.rmtree(_folder(kb, setup), ignore_errors=True)


def _folder(kb: KnowledgeBase, setup: Setup) -> Path:
    documents = [(d.id, d.answering) for d in kb.documents()]
    of = [documents, setup.chunk_tokens, setup.overlap_tokens, setup.embedder, setup.store]
    return kb.folder / f"trial-{hashlib.sha256(json.dumps(of).encode()).hexdigest()[:12]}"


def _begin(context: Context, kb: KnowledgeBase, setup: Setup, folder: Path) -> None:
    """The empty index with its documents waiting, and the vectors that are known already where the embedder is the same."""
    chosen, dim = choose_embedder(context, setup.embedder) if setup.embedder else (kb.embedder, kb.dim)
    kind = STORES.get(setup.store or kb.store_name)
    fresh = folder.with_name(f".{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "files").mkdir(parents=True, mode=0o700)
    ready = kb.database.rows("SELECT id, sha256, name, size_bytes FROM documents WHERE status = 'ready'")
    with closing(KbDatabase(fresh / "kb.db")) as database:
        kind.open(StorePlace(database, fresh, dim)).close()
        now = utc_now()
        with database.write() as connection:
            database.set_meta(
                id=kb.id, name=kb.name, description="", embedder=chosen, dim=str(dim), store=kind.facts.name,
                created_at=now, updated_at=now,
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO documents (id, sha256, name, size_bytes, status, added_at, updated_at, series)"
                " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?)",
                [(*r, now, now, r["id"]) for r in ready],
            )
            if chosen == kb.embedder:
                rows = kb.database.rows("SELECT text_sha, vector FROM embeddings")
                connection.executemany("INSERT INTO embeddings VALUES (?, ?)", [tuple(r) for r in rows])
    fresh.rename(folder)
