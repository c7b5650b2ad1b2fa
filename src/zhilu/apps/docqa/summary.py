"""The summary of a document: a run of ``zhilu.longtext``, remembered by the document it is of (``apps/docqa/summaries/``).

A document's id is that of one version, whose text never changes: its summary stays true until the document is deleted. A summary
holds that text too, so one whose document is gone is deleted, at the start and whenever another is begun (``sweep``).
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from zhilu.apps.docqa.tables.choose import is_chinese
from zhilu.errors import InputError, NotFoundError, ZhiluError
from zhilu.home import atomic_write
from zhilu.jobs import Job, JobStore
from zhilu.longtext.job import start
from zhilu.longtext.runs import LongtextRun, LongtextRuns, LongtextWish
from zhilu.messages import T
from zhilu.rag.answer import open_shelf

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.rag.answer import Shelf

__all__ = ["DocSummary", "delete_summary", "start_summary", "summary_of", "sweep"]

_ID = re.compile(r"[0-9a-f]{12}")


class _Kept(BaseModel):
    run: str


class DocSummary(BaseModel):
    """``run``: what was worked out so far, each sentence with its place in the document; ``job``: the work itself."""

    run: LongtextRun
    job: Job | None


def start_summary(context: Context, shelf: Shelf, doc_id: str, model: str | None = None) -> DocSummary:
    """Summarise a document anew.

    Raises:
        NotFoundError: no such document. InputError: it is not read yet, or holds no text.
    """
    document = shelf.read(doc_id)
    if not document.text.strip():
        raise InputError(
            T(
                f"{document.name!r} has no text to summarise: it is {document.status}.",
                f"{document.name!r} 没有可以概括的文字，状态：{document.status}。",
            ),
            param="doc",
            fix=f"zhilu kb show {shelf.id}",
        )
    name = document.name.rpartition("/")[2][:200]
    lang = "zh" if is_chinese(document.text[:2000]) else "en"
    started = start(context, LongtextWish(want="summary", name=name, model=model, lang=lang), document.text)
    path = _kept(context, shelf.id, document.id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = _read(path)
    atomic_write(path, _Kept(run=started.run.id).model_dump_json() + "\n")
    if before is not None:
        _delete_run(context, before.run)
    sweep(context)
    return DocSummary(run=started.run, job=started.job)


def summary_of(context: Context, shelf: Shelf, doc_id: str) -> DocSummary | None:
    """The summary that was last begun; None if there is none, or it was deleted.

    Raises:
        NotFoundError: no such document.
    """
    kept = _read(_kept(context, shelf.id, shelf.read(doc_id).id))
    if kept is None:
        return None
    try:
        run = LongtextRuns(context).get(kept.run)
    except NotFoundError:
        return None
    job = None
    if run.job_id:
        with suppress(NotFoundError):
            job = JobStore(context).get(run.job_id)
    return DocSummary(run=run, job=job)


def delete_summary(context: Context, shelf: Shelf, doc_id: str) -> None:
    """Delete the summary of a document, if it has one.

    Raises:
        NotFoundError: no such document.
    """
    _forget(context, _kept(context, shelf.id, shelf.read(doc_id).id))


def sweep(context: Context) -> int:
    """Delete the summaries whose document is gone; returns how many there were."""
    gone = 0
    for path in sorted((context.home.path / "apps" / "docqa" / "summaries").glob("*-*.json")):
        kb_id, _, doc_id = path.stem.partition("-")
        try:
            open_shelf(context, kb_id).read(doc_id)
        except NotFoundError:
            _forget(context, path)
            gone += 1
        except ZhiluError:
            continue  # a knowledge base that cannot be opened is none that was deleted
    return gone


def _forget(context: Context, path: Path) -> None:
    kept = _read(path)
    if kept is not None:
        _delete_run(context, kept.run)
    path.unlink(missing_ok=True)


def _delete_run(context: Context, run_id: str) -> None:
    """A run that is still worked on is stopped first."""
    runs, jobs = LongtextRuns(context), JobStore(context)
    with suppress(NotFoundError):
        job_id = runs.get(run_id).job_id
        if job_id:
            with suppress(ZhiluError):
                jobs.cancel(job_id)
        runs.delete(run_id)


def _kept(context: Context, kb_id: str, doc_id: str) -> Path:
    if not (_ID.fullmatch(kb_id) and _ID.fullmatch(doc_id)):
        raise AssertionError("ids are made by the knowledge base")
    return context.home.path / "apps" / "docqa" / "summaries" / f"{kb_id}-{doc_id}.json"


def _read(path: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
