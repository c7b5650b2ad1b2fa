"""``zhilu kb add ADDRESS``, ``kb sources``, ``kb sync`` and ``/zhilu/v1/kbs/{id}/sources`` with real jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.rag.cli import kb as kb_command
from zhilu.rag.library import Library


@pytest.fixture
def context(own_home: Path) -> Iterator[Context]:
    opened = open_context()
    yield opened
    kill_marked(f"ZHILU_HOME={own_home}")
    opened.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "gate.md").write_text("# Gate\n\nThe gate opens at seven in the morning.\n")
    return folder


def run(context: Context, *words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(kb_command, [*words, "--json"], obj=context)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_a_folder_is_kept_in_step_on_the_command_line(context: Context, docs: Path) -> None:
    Library(context).create("k", embedder="none")
    added = run(context, "add", "k", str(docs), "--keep", "10")
    assert added["sources"][0]["report"]["added"] == 1
    hits = run(context, "search", "k", "gate")
    assert hits["hits"][0]["doc_name"] == "docs/gate.md"
    (docs / "gate.md").unlink()
    (docs / "lift.md").write_text("# Lift\n\nThe lift holds nine people.\n")
    [done] = run(context, "sync", "k")
    assert (done["report"]["added"], done["report"]["removed"]) == (1, 1)
    [source] = run(context, "sources", "k")
    assert (source["every_minutes"], source["kind"], source["error"]) == (10, "folder", None)
    assert run(context, "sources", "k", "--remove", source["id"], "--documents") == {
        "removed": source["id"],
        "documents": 1,
    }
    assert Library(context).open("k").documents() == []


def test_over_http(context: Context, docs: Path) -> None:
    kb = Library(context).create("k", embedder="none")
    at = f"/zhilu/v1/kbs/{kb.id}/sources"
    with TestClient(create_app(context), base_url="http://127.0.0.1:8642", client=("127.0.0.1", 5000)) as client:
        started = client.post(at, json={"address": str(docs), "every_minutes": 5}).json()
        JobStore(context).wait(started["job"]["id"])
        [source] = client.get(at).json()
        assert source["report"]["added"] == 1 and source["every_minutes"] == 5
        assert client.patch(f"{at}/{source['id']}", json={"every_minutes": None}).json()["every_minutes"] is None
        s3 = client.post(
            at,
            json={"address": "s3://b/x", "endpoint": "http://127.0.0.1:9", "access_name": "n", "access_key": "sesame"},
        )
        assert s3.status_code == 202 and "sesame" not in client.get(at).text + s3.text
        assert client.delete(f"{at}/{source['id']}", params={"documents": True}).status_code == 204
        assert client.post(at, json={"address": "ftp://h/x"}).status_code == 400
    assert kb.documents() == []


def test_another_machine_names_no_folder_here(context: Context, docs: Path) -> None:
    kb = Library(context).create("k", embedder="none")
    at = f"/zhilu/v1/kbs/{kb.id}/sources"
    with TestClient(create_app(context), base_url="http://127.0.0.1:8642", client=("192.0.2.7", 5000)) as client:
        for address in (str(docs), f"file://{docs}", f"git+file://{docs}", "confluence:/etc/x.zip"):
            assert client.post(at, json={"address": address}).status_code == 403
    assert JobStore(context).list(kind="kb-sync") == []
