"""``/zhilu/v1/runs``: what is refused before a step, and a run from the request to the curve."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from zhilu.context import open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore

pytestmark = pytest.mark.usefixtures("needs_torch")

ROWS = [{"prompt": f"What is {i} plus {i}?", "completion": f"Arr, {2 * i} it be!"} for i in range(12)]


@pytest.fixture
def client() -> Any:
    with TestClient(create_app(open_context({})), base_url="http://127.0.0.1:8642") as client:
        file = ("pirate.jsonl", "\n".join(map(json.dumps, ROWS)))
        assert client.post("/zhilu/v1/datasets", files={"file": file}).status_code == 201
        yield client


@pytest.mark.parametrize(
    ("config", "status", "param"),
    [
        ({"model": "zhilu-nano", "data": "nothing"}, 404, "name"),
        ({"model": "nobody", "data": "pirate"}, 404, "model"),
        ({"model": "zhilu-nano", "data": "pirate", "rank": 0}, 400, "config.rank"),
        ({"model": "zhilu-nano", "data": "pirate", "ranks": 4}, 400, "config.ranks"),
        ({"model": "zhilu-nano", "data": "pirate", "held_out": "pirate"}, 400, "data"),
    ],
)
def test_what_cannot_be_is_refused_by_name(client: TestClient, config: dict[str, Any], status: int, param: str) -> None:
    answer = client.post("/zhilu/v1/runs", json={"config": config})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
    assert client.get("/zhilu/v1/runs").json() == []
    assert client.get("/zhilu/v1/runs/none").status_code == 404


def test_a_run_is_started_followed_and_deleted(client: TestClient) -> None:
    config = {"model": "zhilu-nano", "data": "pirate", "rank": 4, "epochs": 2, "batch_tokens": 256}
    started = client.post("/zhilu/v1/runs", json={"name": "mine", "config": config})
    assert started.status_code == 202, started.text
    assert client.post("/zhilu/v1/runs", json={"name": "mine", "config": config}).status_code == 409
    unfinished = client.post("/zhilu/v1/runs/mine/parity")
    assert (unfinished.status_code, unfinished.json()["error"]["param"]) == (400, "name")
    store = JobStore(open_context({}))
    done = store.wait(started.json()["job"]["id"], timeout=200)
    assert done.status == "done", store.log_text(done.id)
    shown = client.get("/zhilu/v1/runs/mine").json()
    assert shown["run"]["outcome"]["adapter"] == "mine"
    assert shown["run"]["reasons"]["alpha"]["zh"]
    assert [values["step"] for values in shown["metrics"]] == list(range(shown["run"]["outcome"]["steps"] + 1))
    assert client.delete("/zhilu/v1/runs/mine").status_code == 204
    assert client.get("/zhilu/v1/runs").json() == []


def test_a_damaged_note_hides_no_other_run(client: TestClient) -> None:
    context = open_context({})
    folder = context.home.runs / "odd"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"name": "odd"')
    (told,) = client.get("/zhilu/v1/runs").json()
    assert (told["name"], "cannot be read" in told["error"]["en"]) == ("odd", True)
    shown = client.get("/zhilu/v1/runs/odd")
    assert (shown.status_code, shown.json()["error"]["fix"]) == (507, "zhilu tune remove odd")
    assert client.delete("/zhilu/v1/runs/odd").status_code == 204
    assert client.get("/zhilu/v1/runs").json() == []
