"""The template's back end before a real gateway: a person signs in through it, asks, and reaches nothing else."""

from __future__ import annotations

import importlib.util
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.testclient import TestClient

from zhilu.apps.knowledge.accounts.people import People
from zhilu.apps.knowledge.store import Ledger
from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.library import Library

PASSWORD = "correct horse 7"


@pytest.fixture
def gateway(own_home: Path) -> Iterator[tuple[str, Context]]:
    """A gateway on loopback with its knowledge routes; no model: what is asked here ends in its error."""
    context = open_context()
    server = uvicorn.Server(uvicorn.Config(create_app(context, only=("knowledge",)), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", context
    server.should_exit = True
    thread.join(10)
    context.close()


def test_a_person_signs_in_and_searches_through_it(gateway: tuple[str, Context]) -> None:
    url, context = gateway
    kb = Library(context).create("hr", embedder="none")
    document, _ = kb.add(io.BytesIO(b"# Pay\n\nThe night shift is paid 31 crowns.\n"), "pay.md", max_mb=1)
    ingest_document(kb, document.id, None, lambda share, stage: None)
    people = People(Ledger(context))
    people.add_group("hr", who="t")
    people.grant("hr", kb.id, who="t")
    people.add("ann", PASSWORD, "admin", who="t")
    people.change("ann", groups=["hr"], who="t")
    app = _template()
    app.state.open_gateway = lambda: httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)
    with TestClient(app) as client:
        assert client.post("/api/search", json={"query": "night shift"}).status_code == 401
        wrong = client.post("/api/sign-in", json={"name": "ann", "password": "wrong wrong"})
        assert wrong.status_code == 401 and "do not go together" in wrong.json()["detail"]
        assert client.post("/api/sign-in", json={"name": "ann", "password": PASSWORD}).json()["name"] == "ann"
        [hit] = client.post("/api/search", json={"query": "night shift"}).json()
        assert "31 crowns" in hit["text"]
        assert client.get(f"/api/kbs/{kb.id}/documents/{hit['doc_id']}").json()["name"] == "pay.md"
        assert client.get("/api/admin/people").status_code == 404  # an admin, too, administers elsewhere
        assert client.post("/api/sign-out", json={}).status_code == 204
        assert json.loads(client.get("/api/me").text)["person"] is None


def _template() -> Any:
    import zhilu.apps.knowledge as product

    path = Path(str(product.__file__)).parent / "template" / "app.py"
    spec = importlib.util.spec_from_file_location("knowledge_template", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app
