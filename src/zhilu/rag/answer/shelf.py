"""Documents as an application sees them: a list, their text, and questions to them. The public face of a knowledge base."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.models.chosen import default_model
from zhilu.rag.answer import pipeline
from zhilu.rag.answer.manner import manner_of
from zhilu.rag.database import KbDatabase
from zhilu.rag.index.embedding import TextEmbedder, choose_embedder, embedder_of
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.records import Document, DocumentText, utc_now
from zhilu.rag.stores import DEFAULT, STORES

if TYPE_CHECKING:
    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.events import Event
    from zhilu.trace import AnswerTrace

__all__ = ["Shelf", "open_shelf", "temporary_shelf"]


class Shelf:
    """``record`` as in ``pipeline.answer``: who gets the traces, where the knowledge base itself must not."""

    def __init__(
        self, context: Context, kb: KnowledgeBase, record: Callable[[AnswerTrace], object] | None = None
    ) -> None:
        self.id = kb.id
        self._context, self._kb, self._record = context, kb, record

    def documents(self) -> list[Document]:
        return self._kb.documents()

    def read(self, doc_id: str) -> DocumentText:
        """
        Raises:
            NotFoundError: no such document here.
        """
        return self._kb.read(doc_id)

    async def answer(
        self,
        client: ModelClient,
        question: str,
        *,
        history: Sequence[Mapping[str, Any]] = (),
        model: str | None = None,
        k: int | None = None,
    ) -> AsyncGenerator[Event, None]:
        """See ``pipeline.answer`` for the events.

        Raises:
            MissingComponentError: its embedder is not installed any more. ZhiluError: from the model's server.
        """
        context, kb = self._context, self._kb
        embedder = await asyncio.to_thread(embedder_of, context, kb.embedder)
        model = model or default_model(context).name
        manner, _ = await asyncio.to_thread(manner_of, context, model)
        events = pipeline.answer(
            kb, question, client=client, model=model, embedder=embedder, history=history, k=k or pipeline.PASSAGES,
            manner=manner, caution=context.settings.answers, record=self._record,
        )  # fmt: skip
        async with aclosing(events):
            async for event in events:
                yield event


def open_shelf(context: Context, kb_id: str) -> Shelf:
    """A knowledge base, by id or name.

    Raises:
        NotFoundError: no such knowledge base. DamagedError: it is damaged; ``fix`` repairs it.
    """
    return Shelf(context, Library(context).open(kb_id))


@asynccontextmanager
async def temporary_shelf(context: Context, files: Mapping[str, bytes]) -> AsyncIterator[Shelf]:
    """``files`` by name, read and indexed in a knowledge base that is none of the person's and is gone with the block.

    Raises:
        ZhiluError: a file cannot be read.
    """
    with tempfile.TemporaryDirectory(dir=context.home.cache, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        chosen, dim = await asyncio.to_thread(choose_embedder, context, None)
        with closing(KbDatabase(folder / "kb.db")) as database:
            kb_id = secrets.token_hex(6)
            now = utc_now()
            database.set_meta(
                id=kb_id, name="shelf", description="", embedder=chosen, dim=str(dim), created_at=now, updated_at=now
            )
            kb = KnowledgeBase(database, folder, context.settings)
            STORES.get(DEFAULT).open(kb.place(DEFAULT)).close()
            try:
                await asyncio.to_thread(_take_in, context, kb, embedder_of(context, chosen), files)
                yield Shelf(context, kb, record=lambda _: None)
            finally:
                kb.close()


def _take_in(context: Context, kb: KnowledgeBase, embedder: TextEmbedder | None, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        document, _ = kb.add(BytesIO(content), name, max_mb=context.settings.max_upload_mb)
        ingest_document(kb, document.id, embedder, lambda _share, _stage: None)
