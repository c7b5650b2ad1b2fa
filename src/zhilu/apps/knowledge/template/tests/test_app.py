"""The back end, with a gateway that this test plays: what reaches it, and what does not."""

import json
from collections.abc import Iterator

import httpx
import pytest
from app import app
from fastapi.testclient import TestClient

DONE = b'event: done\ndata: {"answer": "yes", "citations": [], "trace_id": "a1"}\n\n'
AT = "/zhilu/v1/knowledge"
asked: list[httpx.Request] = []


def gateway(request: httpx.Request) -> httpx.Response:
    asked.append(request)
    if request.url.path == f"{AT}/ask":
        if "zhilu_knowledge=t" not in request.headers.get("cookie", ""):
            return httpx.Response(401, json={"error": {"message": "Sign in first."}})
        return httpx.Response(200, content=DONE, headers={"Content-Type": "text/event-stream"})
    if request.url.path == f"{AT}/sign-in":
        cookie = f"zhilu_knowledge=t; HttpOnly; Path={AT}; SameSite=strict"
        return httpx.Response(200, json={"name": "ann"}, headers={"set-cookie": cookie})
    return httpx.Response(200, json={"person": None})


@pytest.fixture
def client() -> Iterator[TestClient]:
    asked.clear()
    app.state.open_gateway = lambda: httpx.AsyncClient(
        base_url="http://gateway", transport=httpx.MockTransport(gateway)
    )
    with TestClient(app) as client:
        yield client
    del app.state.open_gateway


def test_the_page_and_its_parts(client: TestClient) -> None:
    assert "app.js" in client.get("/").text
    assert client.get("/static/app.js").status_code == 200
    assert client.get("/health").json()["ok"] is True


def test_a_person_signs_in_and_asks(client: TestClient) -> None:
    refused = client.post("/api/ask", json={"question": "?"})
    assert (refused.status_code, refused.json()["detail"]) == (401, "Sign in first.")
    cookie = client.post("/api/sign-in", json={"name": "ann", "password": "x"}).headers["set-cookie"]
    assert "Path=/api;" in cookie and "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert client.post("/api/ask", json={"question": "Really?"}).content == DONE
    assert json.loads(asked[-1].content)["question"] == "Really?"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "admin/people"), ("GET", "admin/audit"), ("POST", "set-up"), ("POST", "kbs/a1/documents"), ("POST", "kbs/a1/sync"),
        ("GET", "reports/gaps"), ("GET", "../kbs"), ("GET", "kbs/..%2F..%2Fkbs/documents/a1"), ("GET", "me/../admin/people"),
    ],
)  # fmt: skip
def test_nothing_else_is_reached(method: str, path: str, client: TestClient) -> None:
    assert client.request(method, f"/api/{path}").status_code in (404, 405)
    assert asked == []


def test_a_foreign_page_cannot_act(client: TestClient) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert client.post("/api/sign-in", json={"name": "a", "password": "b"}, headers=headers).status_code == 403
    assert asked == []
