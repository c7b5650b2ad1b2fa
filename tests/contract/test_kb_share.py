"""``/zhilu/v1/kbs/{id}/export`` and ``/zhilu/v1/kbs/import``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.rag.library import Library


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context({"embedder": "zhilu-embed", "max_upload_mb": 1})
    yield opened
    for job in JobStore(opened).list():
        kill_marked(job.id)
    opened.close()


def test_a_download_is_taken_in_again(context: Context) -> None:
    with TestClient(create_app(context, only=("rag", "share", "jobs")), base_url="http://127.0.0.1:8642") as http:
        kb = Library(context).create("手册")
        files = [("files", ("guide/a.md", b"# A\n\nThe gate code is 4711.\n"))]
        made = http.post(f"/zhilu/v1/kbs/{kb.id}/documents", files=files).json()
        JobStore(context).wait(made["job"]["id"], timeout=60)
        sent = http.get(f"/zhilu/v1/kbs/{kb.id}/export")
        assert sent.status_code == 200 and "%E6%89%8B%E5%86%8C.zhilu-kb.zip" in sent.headers["content-disposition"]
        taken = http.post("/zhilu/v1/kbs/import", files={"file": ("x.zip", sent.content)})
        assert taken.status_code == 202 and (taken.json()["name"], taken.json()["num_documents"]) == ("手册", 1)
        job = JobStore(context).wait(taken.json()["job"]["id"], timeout=60)
        assert job.result is not None and job.result["name"] == "手册 (2)"
        hits = http.post(f"/zhilu/v1/kbs/{job.result['kb']}/search", json={"query": "gate code"}).json()["hits"]
        assert [h["doc_name"] for h in hits] == ["guide/a.md"]
        refused = http.post("/zhilu/v1/kbs/import", files={"file": ("x.zip", b"no zip")})
        assert refused.status_code == 400 and refused.json()["error"]["code"] == "no_shared_kb"
        assert not list((context.home.cache / "imports").iterdir())  # nothing of either is left behind


def test_an_upload_is_bounded_and_its_fields_are_known(context: Context) -> None:
    with TestClient(create_app(context, only=("rag", "share", "jobs")), base_url="http://127.0.0.1:8642") as http:
        large = http.post("/zhilu/v1/kbs/import", files={"file": ("x.zip", bytes(11 << 20))})
        assert large.status_code == 413 and large.json()["error"]["param"] == "file"
        unknown = http.post("/zhilu/v1/kbs/import", files={"file": ("x.zip", b"x")}, data={"embeder": "none"})
        assert unknown.status_code == 400 and unknown.json()["error"]["param"] == "embeder"
