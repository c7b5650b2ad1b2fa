"""The back end, with a gateway that this test plays: what reaches it, and what comes back."""

import json
from collections.abc import Iterator

import httpx
import pytest
from app import app
from fastapi.testclient import TestClient

DONE = b'event: done\ndata: {"question": "q", "status": "answered", "sentences": []}\n\n'
asked: list[httpx.Request] = []


def gateway(request: httpx.Request) -> httpx.Response:
    asked.append(request)
    if request.url.path.endswith("/ask"):
        if "missing" in request.url.path:
            return httpx.Response(404, json={"error": {"message": "There is no source."}})
        return httpx.Response(200, content=DONE, headers={"Content-Type": "text/event-stream"})
    return httpx.Response(200, json=[{"id": "a1", "name": "sales"}])


@pytest.fixture
def client() -> Iterator[TestClient]:
    asked.clear()
    app.state.open_gateway = lambda: httpx.AsyncClient(
        base_url="http://gateway/zhilu/v1/report", transport=httpx.MockTransport(gateway)
    )
    with TestClient(app) as client:
        yield client
    del app.state.open_gateway


def test_the_page_and_its_parts(client: TestClient) -> None:
    assert "app.js" in client.get("/").text
    assert client.get("/static/app.js").status_code == 200
    assert client.get("/health").status_code == 200


def test_a_question_goes_to_the_gateway_and_its_events_come_back(client: TestClient) -> None:
    assert client.get("/api/sources").json()[0]["name"] == "sales"
    reply = client.post("/api/sources/a1/ask", json={"question": "How many?"})
    assert reply.content == DONE
    assert json.loads(asked[-1].content)["question"] == "How many?"
    assert asked[-1].url.path == "/zhilu/v1/report/sources/a1/ask"


def test_what_the_gateway_refuses_is_said(client: TestClient) -> None:
    reply = client.post("/api/sources/missing/ask", json={"question": "?"})
    assert (reply.status_code, reply.json()["detail"]) == (404, "There is no source.")
    assert client.post("/api/sources/a1/ask", json={"question": ""}).status_code == 422


def test_a_name_stays_one_part_of_the_path(client: TestClient) -> None:
    client.post("/api/sources/..%2F..%2Fkbs/ask", json={"question": "?"})
    assert not asked or asked[-1].url.path.startswith("/zhilu/v1/report/sources/")
