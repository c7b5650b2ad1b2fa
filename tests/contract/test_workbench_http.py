"""The routes that only the workbench asks, over a real gateway with a real engine and a tiny model."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.host.app import create_app


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workbench")


@pytest.fixture(scope="module")
def http(home: Path) -> Iterator[TestClient]:
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    context = open_context({"home": str(home), "threads": 1, "model": "tiny"})
    app = create_app(context, only=("serving", "workbench"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client
    context.close()


def test_a_running_model_is_watched(http: TestClient) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "temperature": 0}
    assert http.post("/v1/chat/completions", json={**body, "ignore_eos": True}).status_code == 200
    live = http.get("/zhilu/v1/engines/running/tiny/live").json()
    assert live["source"] == "engine"
    assert live["generated_tokens"] == 4
    assert live["prompt_tokens"] > 0
    assert (live["running"], live["waiting"], live["num_answered"]) == (0, 0, 1)
    assert http.get("/zhilu/v1/engines/running/tiny/live").json()["at"] > live["at"]
    seen = http.get("/zhilu/v1/engines/running/tiny/steps").json()
    assert sum(share["written"] for step in seen["steps"] for share in step["shares"]) == 4
    assert seen["last"] == len(seen["steps"]) and seen["free"] == seen["num_blocks"] and seen["tables"] == []
    later = http.get("/zhilu/v1/engines/running/tiny/steps", params={"after": seen["last"]}).json()
    assert later["steps"] == [] and later["now"] > seen["now"]


def test_a_model_that_does_not_run_is_refused_with_a_way_on(http: TestClient) -> None:
    for what in ("live", "steps"):
        reply = http.get(f"/zhilu/v1/engines/running/none/{what}")
        assert reply.status_code == 404
        assert reply.json()["error"]["fix"] == "zhilu engine running"


def test_the_memory_of_a_wish_is_told_before_the_model_runs(http: TestClient) -> None:
    def need(**wish: str | int) -> dict[str, Any]:
        reply = http.get("/zhilu/v1/models/tiny/memory", params={"engine": "zhilu", "context": 64, **wish})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    one, eight = need(), need(concurrency=8)
    assert one["fits"] is True
    assert one["total"] == one["weights"] + one["cache"] + one["engine"]
    assert (one["context"], one["requests"], eight["requests"]) == (64, 1, 8)
    assert eight["cache"] == 8 * one["cache"] > 0
    assert need(concurrency=4096, context=64)["total"] > eight["total"]
    assert need(engine="auto")["engine_name"] == "zhilu"
    assert need(precision="int8")["weights"] < one["weights"]


def test_memory_of_what_is_not_there_or_not_loaded_here(http: TestClient) -> None:
    assert http.get("/zhilu/v1/models/nothing/memory").status_code == 404
    assert http.get("/zhilu/v1/models/tiny/memory", params={"engine": "none"}).status_code == 404
    assert http.get("/zhilu/v1/models/tiny/memory", params={"engine": "openai"}).json() is None


def test_memory_that_nothing_here_has_is_told_too(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the dialog shows while one asks for too much: figures, not a refusal."""
    free = http.get("/zhilu/v1/models/tiny/memory", params={"context": 64}).json()["total"] + 1
    for module in ("supervise.memory", "workbench_routes"):
        monkeypatch.setattr(f"zhilu.serving.{module}.available_memory", lambda: free)
    need = http.get("/zhilu/v1/models/tiny/memory", params={"context": 64, "concurrency": 4096}).json()
    assert (need["engine_name"], need["fits"], need["available"]) == ("zhilu", False, free)
    assert need["total"] > free


def remembered(home: Path) -> dict[str, Any]:
    """What a start of the product would bring back."""
    return dict(json.loads((home / "engines/served.json").read_text()))


def test_a_url_tried_once_does_not_keep_a_model_that_runs_here_again(http: TestClient, home: Path) -> None:
    """Else the next start of the product would ask that URL, not load the files."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and never listened at
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        assert http.post("/zhilu/v1/models/tiny/start", json={"engine": "openai", "base_url": url}).status_code == 202
        assert [(one["name"], one["base_url"]) for one in remembered(home)["remote"]] == [("tiny", url)]
        assert http.post("/zhilu/v1/models/tiny/start", json={"engine": "zhilu"}).status_code == 202
    assert remembered(home)["remote"] == []
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    assert http.post("/v1/chat/completions", json=body).status_code == 200
