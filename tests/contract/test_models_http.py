"""``/zhilu/v1/models`` as the workbench uses it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.models.testing import serve_hub


@pytest.fixture
def context(own_home):
    opened = open_context()
    yield opened
    opened.close()


@pytest.fixture
def client(context):
    with TestClient(create_app(context, only=("models",)), base_url="http://127.0.0.1:8642") as made:
        yield made


def test_import_show_remove(client, tmp_path):
    source = make_tiny_model(tmp_path / "tiny")
    (source / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
    made = client.post("/zhilu/v1/models/import", json={"path": str(source), "name": "mine"})
    assert (made.status_code, made.json()["name"], made.json()["state"]) == (201, "mine", "stopped")
    names = [model["name"] for model in client.get("/zhilu/v1/models").json()]
    assert names == ["zhilu-nano", "mine"]
    shown = client.get("/zhilu/v1/models/mine").json()
    assert shown["config"]["num_hidden_layers"] == 2
    assert shown["memory_estimate"]["weights_bytes"] == shown["size_bytes"]
    assert shown["card_markdown"] == {"en": "# Tiny\n", "zh": "# Tiny\n"}
    assert (shown["supported"], shown["why_not"], shown["license"]) == (True, None, "mit")
    assert client.delete("/zhilu/v1/models/mine").status_code == 204
    assert client.get("/zhilu/v1/models/mine").status_code == 404


def test_a_broken_folder_is_shown_with_its_reason(client, context):
    (context.home.models / "half").mkdir()
    shown = client.get("/zhilu/v1/models/half").json()
    assert (shown["supported"], shown["config"], shown["memory_estimate"]) == (False, None, None)
    assert "config.json" in shown["why_not"]["zh"]


def test_errors_name_the_field_and_the_folder(client, tmp_path):
    wrong = client.post("/zhilu/v1/models/import", json={"path": str(tmp_path / "none")})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (404, "path")
    unknown = client.post("/zhilu/v1/models/import", json={"path": "/x", "nmae": "y"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert client.post("/zhilu/v1/models/pull", json={"repo": "no-owner"}).json()["error"]["param"] == "repo"
    assert client.delete("/zhilu/v1/models/zhilu-nano").status_code == 409


def test_pull_is_a_job(client, context, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    make_tiny_model(tmp_path / "hub" / "owner" / "tiny")
    with serve_hub(tmp_path / "hub") as hub:
        monkeypatch.setenv("ZHILU_HF_ENDPOINT", hub.url)
        context.reload_settings()
        job = client.post("/zhilu/v1/models/pull", json={"source": "hf", "repo": "owner/tiny"})
        assert (job.status_code, job.json()["kind"]) == (202, "model-pull")
        assert JobStore(context).wait(job.json()["id"], timeout=60).status == "done"
    assert client.get("/zhilu/v1/models/tiny").json()["source"] == "hf"


def test_adapters(client):
    assert client.get("/zhilu/v1/adapters").json() == []
