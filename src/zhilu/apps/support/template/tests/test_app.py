"""The back end, with a gateway that this test plays: what reaches it, and what comes back."""

import json
from collections.abc import Iterator

import httpx
import pytest
from app import app
from fastapi.testclient import TestClient

LINE = b'event: line\ndata: {"id": 1, "role": "agent", "text": "hi", "what": null, "sources": []}\n\n'
asked: list[httpx.Request] = []
desks: list[dict[str, object]] = []


def gateway(request: httpx.Request) -> httpx.Response:
    asked.append(request)
    path = request.url.path.removeprefix("/zhilu/v1/support")
    if path == "/desks":
        return httpx.Response(200, json=desks)
    if path.endswith("/events"):
        return httpx.Response(200, content=LINE, headers={"Content-Type": "text/event-stream"})
    if path.endswith("/contacts"):
        return httpx.Response(201, json={"id": "c1", "secret": "s1", "greeting": "Hello"})
    if path.endswith("/messages") and request.headers.get("x-zhilu-contact") != "s1":
        return httpx.Response(403, json={"error": {"message": "This conversation is not yours."}})
    return httpx.Response(200, json={"name": "Shop", "greeting": "Hello", "lines": []})


@pytest.fixture
def client() -> Iterator[TestClient]:
    asked.clear()
    desks[:] = [{"id": "d1", "name": "Shop", "settings": {}}]
    app.state.open_gateway = lambda: httpx.AsyncClient(
        base_url="http://gateway/zhilu/v1/support", transport=httpx.MockTransport(gateway)
    )
    with TestClient(app) as client:
        yield client
    del app.state.open_gateway


def test_the_page_and_its_parts(client: TestClient) -> None:
    assert "app.js" in client.get("/").text
    assert client.get("/static/app.js").status_code == 200
    assert client.get("/health").json()["desk"] == "d1"


def test_a_conversation_goes_to_the_desk(client: TestClient) -> None:
    opened = client.post("/api/contacts").json()
    said = client.post(f"/api/contacts/{opened['id']}/messages", json={"text": "hi"}, headers={"X-Secret": "s1"})
    assert said.status_code == 200
    assert asked[-1].url.path == "/zhilu/v1/support/widget/d1/contacts/c1/messages"
    assert json.loads(asked[-1].content) == {"text": "hi"}
    events = client.get("/api/contacts/c1/events?after=0", headers={"X-Secret": "s1"})
    assert events.content == LINE


def test_what_the_gateway_refuses_is_said(client: TestClient) -> None:
    said = client.post("/api/contacts/c1/messages", json={"text": "hi"}, headers={"X-Secret": "other"})
    assert (said.status_code, said.json()["detail"]) == (403, "This conversation is not yours.")
    assert client.post("/api/contacts/c1/messages", json={"text": "hi"}).status_code == 422
    assert client.post("/api/contacts/c1/rating", json={"rating": 9}, headers={"X-Secret": "s1"}).status_code == 422


def test_without_a_desk_it_says_how_to_make_one(client: TestClient) -> None:
    desks.clear()
    reply = client.get("/health")
    assert reply.status_code == 503 and "zhilu support new" in reply.json()["detail"]


def test_a_name_stays_one_part_of_the_path(client: TestClient) -> None:
    client.post("/api/contacts/..%2F..%2Fdesks/messages", json={"text": "?"}, headers={"X-Secret": "s1"})
    assert not asked or asked[-1].url.path.startswith(
        ("/zhilu/v1/support/widget/d1/contacts/", "/zhilu/v1/support/desks")
    )
    assert all(b"/widget/d1/contacts/..%2F..%2Fdesks/" in r.url.raw_path for r in asked if r.method == "POST")
