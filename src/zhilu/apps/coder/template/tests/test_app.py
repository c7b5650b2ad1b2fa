"""The back end, with a gateway that this test plays: what reaches it, and what comes back."""

import json
from collections.abc import Iterator

import httpx
import pytest
from app import app
from fastapi.testclient import TestClient

DONE = b'event: done\ndata: {"status": "nothing", "sentences": []}\n\n'
REPO = "/coder/repos/tinyshop"


class Gateway:
    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/zhilu/v1")
        if path == REPO:
            return httpx.Response(200, json={"id": "r1", "name": "tinyshop"})
        if path == f"{REPO}/files":
            return httpx.Response(200, json=[{"path": "a.py"}])
        if path == f"{REPO}/ask":
            return httpx.Response(200, content=DONE, headers={"Content-Type": "text/event-stream"})
        if path == f"{REPO}/edits":
            return httpx.Response(201, json={"id": "e1", "status": "proposed", "diff": "--- a/a.py\n"})
        return httpx.Response(404, json={"error": {"message": "There is no file."}})


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[TestClient]:
    app.state.open_gateway = lambda: httpx.AsyncClient(
        base_url="http://gateway/zhilu/v1", transport=httpx.MockTransport(gateway)
    )
    with TestClient(app) as client:
        yield client
    del app.state.open_gateway


def test_the_page_and_its_parts(client: TestClient) -> None:
    assert "app.js" in client.get("/").text
    assert client.get("/static/app.js").status_code == 200
    assert client.get("/health").json()["repo"] == "tinyshop"
    assert client.get("/api/files").json() == [{"path": "a.py"}]


def test_a_question_goes_to_the_gateway_and_its_events_come_back(client: TestClient, gateway: Gateway) -> None:
    reply = client.post("/api/ask", json={"question": "Who calls f?"})
    assert reply.content == DONE
    assert json.loads(gateway.asked[-1].content)["question"] == "Who calls f?"


def test_a_change_is_only_proposed(client: TestClient, gateway: Gateway) -> None:
    assert client.post("/api/changes", json={"instruction": "Rename f."}).json()["id"] == "e1"
    assert client.post("/api/changes/e1/apply").status_code in (404, 405)
    assert all(not request.url.path.endswith("/apply") for request in gateway.asked)


def test_what_the_gateway_refuses_is_said(client: TestClient, gateway: Gateway) -> None:
    reply = client.get("/api/file", params={"path": "../x"})
    assert (reply.status_code, reply.json()["detail"]) == (404, "There is no file.")
    assert gateway.asked[-1].url.params["path"] == "../x"  # a word of the query, no part of the address
    assert client.post("/api/ask", json={"question": ""}).status_code == 422
