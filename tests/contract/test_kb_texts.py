"""``/zhilu/v1/kbs/{id}/texts``: what the vector stores of other frameworks are made of. Their own tests are in
``tests/unit/rag/interop``, where those frameworks are installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.home import file_lock
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.rag.library import Library


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context({"embedder": "zhilu-embed"})
    yield opened
    for job in JobStore(opened).list():
        kill_marked(job.id)
    opened.close()


@pytest.fixture
def ask(context: Context) -> Iterator[Any]:
    Library(context).create("notes")
    with TestClient(create_app(context, only=("rag", "texts", "jobs")), base_url="http://127.0.0.1:8642") as client:

        def post(path: str, **body: Any) -> Any:
            response = client.post(f"/zhilu/v1/kbs/notes/texts{path}", json=body)
            return response.json() if response.status_code == 200 else response

        yield post


def test_texts_are_kept_found_replaced_and_removed(ask: Any, context: Context) -> None:
    code = {"id": "code/1", "text": "The gate code is 4711.", "metadata": {"year": 2024, "by": {"name": "a"}}}
    pool = {"id": "pool", "text": "The pool opens at seven.", "metadata": {"year": 2025}}
    assert ask("", texts=[code, pool]) == {"ids": ["code/1", "pool"], "job": None}  # found from here on
    (best,) = ask("/search", query="gate code", k=1)["texts"]
    assert {**best, "score": 0} == {**code, "score": 0} and 0 < best["score"] <= 1
    newer = {"type": "gte", "key": "year", "value": 2025}
    assert [t["id"] for t in ask("/search", query="gate code", filters=newer)["texts"]] == ["pool"]
    ask("", texts=[{**code, "text": "The gate code is 0815."}])
    assert "0815" in ask("/search", query="gate code", k=1)["texts"][0]["text"]
    assert [t["text"] for t in ask("/get", ids=["none", "code/1"])["texts"]] == ["The gate code is 0815."]
    assert len(Library(context).open("notes").documents()) == 2
    assert ask("/remove", ids=["code/1", "none"]) == {"removed": 1}
    assert ask("/remove", filters=newer) == {"removed": 1}
    assert ask("/search", query="gate code") == {"texts": []}
    assert ask("", texts=[{"id": "x", "text": ""}]).status_code == 400
    assert ask("", texts=[{"id": "x", "text": "a", "colour": 1}]).json()["error"]["param"] == "texts.0.colour"


def test_while_documents_are_read_a_job_takes_the_texts(ask: Any, context: Context) -> None:
    with file_lock(Library(context).open("notes").ingest_lock):
        job = ask("", texts=[{"id": "a", "text": "The gate code is 4711."}])["job"]
        assert job is not None and ask("/search", query="gate code") == {"texts": []}
    assert JobStore(context).wait(job["id"], timeout=60).status == "done"
    assert [t["id"] for t in ask("/search", query="gate code")["texts"]] == ["a"]
