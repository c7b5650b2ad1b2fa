"""A walk without a worker, and a server on loopback."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from zhilu.context import Context
from zhilu.messages import T
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.sources import sync as syncing
from zhilu.rag.sources.base import SourceOptions
from zhilu.rag.sources.book import KbSource, SourceBook
from zhilu.rag.sources.sync import sync
from zhilu.rag.testing import HASH

Walked = Callable[..., dict[str, Any]]


class Job:
    """What a walk is given; ``stops_after`` ends it as a kill would, after so many things."""

    def __init__(self, context: Context, job_id: str = "j1", attempt: int = 1, stops_after: int | None = None) -> None:
        self.context, self.id, self.attempt, self.left = context, job_id, attempt, stops_after

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    def log(self, text: str) -> None: ...

    def check(self) -> None: ...


@pytest.fixture
def kb(context: Context) -> KnowledgeBase:
    return Library(context).create("k", embedder=HASH.name)


@pytest.fixture
def add(kb: KnowledgeBase) -> Callable[..., KbSource]:
    return lambda address, **options: SourceBook(kb).add(address, SourceOptions(**options))


@pytest.fixture
def walk(context: Context, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> Walked:
    """``walk(source)``: one walk, and what it brought is read at once, here instead of in a job."""
    monkeypatch.setattr(syncing, "start_ingestion", lambda *_: None)
    runs = iter(range(1, 1000))

    def run(source: KbSource, **rest: Any) -> dict[str, Any]:
        job: Any = Job(context, f"j{next(runs)}", **rest)
        report = sync(job, kb, SourceBook(kb).get(source.id))
        for document in kb.waiting():
            ingest_document(kb, document.id, embedder_of(context, kb.embedder), lambda share, stage: None)
        return report

    return run


@pytest.fixture
def names(kb: KnowledgeBase) -> Callable[[], set[str]]:
    return lambda: {d.name for d in kb.documents()}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.seen.append((self.path, dict(self.headers)))
        answer = server.answer(self.path, self.headers)
        status, kind, body = answer if answer is not None else (404, "text/plain", b"no")
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[..., Any]], SimpleNamespace]]:
    """``serve(answer)``: ``answer(path, headers)`` gives (status, type, body) or None; has ``.url`` and ``.seen``."""
    running = []

    def start(answer: Callable[..., Any]) -> SimpleNamespace:
        server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.answer, server.seen = answer, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return SimpleNamespace(url=f"http://127.0.0.1:{server.server_address[1]}", seen=server.seen)

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
