"""The back end, with a gateway that this test plays: what reaches it, and what comes back."""

import json
from collections.abc import Iterator

import httpx
import pytest
from app import app
from fastapi.testclient import TestClient

DONE = b'event: done\ndata: {"answer": "four", "refused": false, "citations": []}\n\n'


class Gateway:
    def __init__(self) -> None:
        self.kbs: list[dict[str, str]] = []
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path.removeprefix("/zhilu/v1")
        if path == "/kbs" and request.method == "POST":
            self.kbs.append({"id": "k1", "name": json.loads(request.content)["name"]})
            return httpx.Response(201, json=self.kbs[-1])
        if path == "/kbs":
            return httpx.Response(200, json=self.kbs)
        if path == "/docqa/k1/ask":
            return httpx.Response(200, content=DONE, headers={"Content-Type": "text/event-stream"})
        if path == "/kbs/k1/documents":
            return httpx.Response(200, json={"documents": [], "rejected": []} if request.method == "POST" else [])
        return httpx.Response(404, json={"error": {"message": "There is no document."}})


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
    assert client.get("/health").status_code == 200


def test_the_knowledge_base_is_made_once(client: TestClient, gateway: Gateway) -> None:
    for _ in range(3):
        assert client.get("/api/documents").json() == []
    assert [kb["name"] for kb in gateway.kbs] == ["docqa"]


def test_files_go_to_the_gateway(client: TestClient, gateway: Gateway) -> None:
    files = [("files", ("a.txt", b"one")), ("files", ("folder/b.txt", b"two"))]
    assert client.post("/api/documents", files=files).json() == {"documents": [], "rejected": []}
    sent = gateway.asked[-1].content
    assert b"one" in sent and b"two" in sent and b'filename="a.txt"' in sent


def test_a_question_goes_to_the_gateway_and_its_events_come_back(client: TestClient, gateway: Gateway) -> None:
    reply = client.post("/api/ask", json={"question": "How many?"})
    assert reply.content == DONE
    assert json.loads(gateway.asked[-1].content)["question"] == "How many?"


def test_what_the_gateway_refuses_is_said(client: TestClient, gateway: Gateway) -> None:
    reply = client.get("/api/documents/none")
    assert (reply.status_code, reply.json()["detail"]) == (404, "There is no document.")
    assert client.post("/api/ask", json={"question": ""}).status_code == 422
    assert client.post("/api/documents/..%2F..%2Fx/summary").status_code == 404
    assert all(".." not in request.url.path for request in gateway.asked)
