"""A question answered from the web, by the pipeline that answers from documents.

The pages become the documents of a knowledge base that lives as long as the question: so what is shown was found in a page,
word for word or judged, what no page holds is refused, and a page's instructions are only words in a passage. Of long pages only
the passages that share most with the question are embedded.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.events import Event
from zhilu.rag.database import KbDatabase
from zhilu.rag.index.embedding import TextEmbedder, choose_embedder, embedder_of
from zhilu.rag.index.publish import publish
from zhilu.rag.index.split import split
from zhilu.rag.index.staging import keep_vectors, stage_chunks, without_vector
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import utc_now
from zhilu.rag.retrieve.followup import opening_question
from zhilu.rag.stores import DEFAULT, STORES, StorePlace
from zhilu.rag.web.fetch import Guard
from zhilu.rag.web.pages import WebPage, read_pages
from zhilu.rag.web.providers import search_web
from zhilu.text.terms import query_terms, terms
from zhilu.trace import AnswerTrace

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["answer_from_web", "knowledge_of"]

PAGES = 5
_EMBEDDED = 24  # passages


async def answer_from_web(
    context: Context,
    client: ModelClient,
    question: str,
    *,
    model: str | None = None,
    history: Sequence[Mapping[str, Any]] = (),
) -> AsyncGenerator[Event, None]:
    """Events as ``answer.pipeline`` gives them, with ``url`` in every passage and citation, after ``searched`` {pages: url,
    title, error, from_cache}; ``done`` has the ``pages`` again. ``history``: what was said before; a question that points back is
    searched for with the one that it goes on from.

    Raises:
        MissingComponentError: no search is set up (see ``providers.search_web`` for the others).
    """
    from zhilu.models.chosen import named_model
    from zhilu.rag.answer import pipeline
    from zhilu.rag.answer.manner import manner_of

    opening = opening_question(question, history)
    sought = f"{opening} {question}" if opening else question
    found = await search_web(context, sought, PAGES)
    pages = await read_pages(context.home, found, Guard(allow_private=context.settings.web_private))
    listed = [{"url": p.url, "title": p.title, "error": p.error, "from_cache": p.from_cache} for p in pages]
    yield Event("searched", {"pages": listed})
    model = named_model(context, model)
    manner, _ = await asyncio.to_thread(manner_of, context, model)
    name, dim = await asyncio.to_thread(choose_embedder, context)
    embedder = await asyncio.to_thread(embedder_of, context, name)
    folder = Path(tempfile.mkdtemp(prefix="web-", dir=context.home.cache))
    at_end = ExitStack()
    at_end.callback(shutil.rmtree, folder, ignore_errors=True)
    try:
        kb, urls = await asyncio.to_thread(knowledge_of, folder, pages, sought, embedder, name, dim)
        at_end.callback(kb.close)
        traces: list[AnswerTrace] = []
        events = pipeline.answer(
            kb, question, client=client, model=model, embedder=embedder, manner=manner,
            history=history, caution=context.settings.answers, record=traces.append,
        )  # fmt: skip
        async with aclosing(events):
            async for event in events:
                yield _with_urls(event, urls, listed)
    finally:  # also of an answer that nobody waits for any more
        await asyncio.to_thread(at_end.close)


def _with_urls(event: Event, urls: dict[str, str], pages: list[dict[str, Any]]) -> Event:
    data = dict(event.data)
    for key in ("passages", "citations"):
        if key in data:
            data[key] = [{**c, "url": urls.get(c["doc_id"])} for c in data[key]]
    if event.name == "done":
        data |= {"pages": pages, "trace_id": None}  # nothing of it is kept
    return Event(event.name, data)


def knowledge_of(
    folder: Path, pages: Sequence[WebPage], question: str, embedder: TextEmbedder | None, name: str, dim: int
) -> tuple[KnowledgeBase, dict[str, str]]:
    """A knowledge base of what could be read, and the address of each of its documents."""
    kb = KnowledgeBase(KbDatabase(folder / "kb.db"), folder)
    try:
        return kb, _fill(kb, folder, pages, question, embedder, name, dim)
    except BaseException:
        kb.close()
        raise


def _fill(
    kb: KnowledgeBase,
    folder: Path,
    pages: Sequence[WebPage],
    question: str,
    embedder: TextEmbedder | None,
    name: str,
    dim: int,
) -> dict[str, str]:
    """Write the pages into the new knowledge base: the address of each document."""
    STORES.get(DEFAULT).open(StorePlace(kb.database, folder, dim)).close()
    now, urls = utc_now(), dict[str, str]()
    kb.database.set_meta(
        id="web", name="web", description="", embedder=name, dim=str(dim), created_at=now, updated_at=now
    )
    kb.id, kb.embedder, kb.dim = "web", name, dim
    for page in pages:
        if page.loaded is None or not page.loaded.text.strip():
            continue
        doc_id = hashlib.sha256(page.url.encode()).hexdigest()[:12]
        if doc_id in urls:
            continue
        urls[doc_id] = page.url
        with kb.database.write() as connection:
            connection.execute(
                "INSERT INTO documents (id, sha256, name, size_bytes, status, added_at, updated_at, series)"
                " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?)",
                (doc_id, hashlib.sha256(page.loaded.text.encode()).hexdigest(), page.title, len(page.loaded.text), now, now, doc_id),
            )  # fmt: skip
        stage_chunks(kb, doc_id, page.loaded, split(page.loaded.text, page.loaded.outline, page.loaded.pages))
    if embedder is not None and urls:
        wanted = set(query_terms(question)) | set(terms(question))
        texts = without_vector(kb, list(urls), embedder.languages)
        texts = sorted(texts, key=lambda t: -len(wanted & set(terms(t.text))))[:_EMBEDDED]
        if texts:
            keep_vectors(kb, texts, embedder.embed([t.text for t in texts], kind="passage"))
    for doc_id in urls:
        publish(kb, doc_id)
    return urls
