"""Knowledge bases read in process, people with groups, and a model that repeats all that it is given."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from zhilu.apps.knowledge.accounts import passwords
from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People
from zhilu.apps.knowledge.store import Ledger
from zhilu.client import ModelClient
from zhilu.context import Context, open_context
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import Reader
from zhilu.rag.testing import HASH

PASSWORD = "correct horse 7"


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context()
    yield opened
    opened.close()


@pytest.fixture
def ledger(context: Context) -> Ledger:
    return Ledger(context)


@pytest.fixture
def people(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> People:
    monkeypatch.setattr(passwords, "_N", 2**10)  # the real one is measured in its own test
    monkeypatch.setattr(passwords, "_nobody", passwords._nobody.__wrapped__)  # it remembers one of the real cost
    return People(ledger)


@pytest.fixture
def fill(context: Context) -> Callable[..., KnowledgeBase]:
    """``fill("hr", {"name.md": "text"})``: a knowledge base of that name with these documents, ready."""

    def make(name: str, files: dict[str, str], embedder: str = HASH.name) -> KnowledgeBase:
        kb = Library(context).create(name, embedder=embedder)
        with Reader() as reader:  # one process for all of them
            for called, text in files.items():
                document, _ = kb.add(io.BytesIO(text.encode()), called, max_mb=10)
                loaded = reader.load(kb.original(document.id), called)
                ingest_document(kb, document.id, embedder_of(context, embedder), lambda share, stage: None, loaded)
        return kb

    return make


@pytest.fixture
def person(people: People) -> Callable[..., KnowledgePerson]:
    """``person("ann", "hr", role="editor")``: an account in these groups, which are made where they are not there."""

    def make(name: str, *groups: str, role: Any = "reader") -> KnowledgePerson:
        known = {g.name for g in people.groups()}
        for group in groups:
            if group not in known:
                people.add_group(group, who="test")
        people.add(name, PASSWORD, role, who="test")
        return people.change(name, groups=list(groups), who="test")

    return make


@pytest.fixture
def parrot() -> ModelClient:
    """A client whose model answers with its whole prompt; ``.prompts`` holds what it was given. The wire is real."""
    prompts: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "m", "max_model_len": 8192}]})
        body = json.loads(request.content)
        if request.url.path == "/tokenize":
            count = sum(len(str(m["content"])) for m in body["messages"]) // 3
            return httpx.Response(200, json={"count": count, "max_model_len": 8192})
        said = "\n".join(str(m["content"]) for m in body["messages"])
        prompts.append(said)
        if not body.get("stream"):
            return httpx.Response(200, json={"choices": [{"message": {"role": "assistant", "content": said}}]})
        lines = [{"choices": [{"delta": {"content": said}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}]
        events = "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
        return httpx.Response(200, text=events, headers={"content-type": "text/event-stream"})

    client = ModelClient("http://localhost", transport=httpx.MockTransport(serve))
    client.prompts = prompts  # type: ignore[attr-defined]
    return client
