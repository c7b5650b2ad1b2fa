from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from zhilu.context import open_context
from zhilu.host.app import create_app
from zhilu.host.security import is_loopback

KEY = "0123456789abcdef0123"


@pytest.fixture
def local() -> Iterator[TestClient]:
    context = open_context()
    with TestClient(create_app(context, only=()), base_url="http://127.0.0.1:8642") as client:
        yield client
    context.close()


@pytest.fixture
def on_the_network() -> Iterator[TestClient]:
    context = open_context({"host": "0.0.0.0", "api_key": KEY})
    with TestClient(create_app(context, only=()), base_url="http://box.example:8642") as client:
        yield client
    context.close()


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost:1", "[::1]:8642", "LOCALHOST", "127.8.8.8"])
def test_names_of_the_loopback_are_let_in(local: TestClient, host: str) -> None:
    assert local.get("/zhilu/v1/settings", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.7:8642", "", "[::1", "localhost@evil.example"]
)
def test_a_rebound_name_is_refused(local: TestClient, host: str) -> None:
    answer = local.get("/zhilu/v1/settings", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"])
def test_a_foreign_origin_is_refused_even_for_reading(local: TestClient, origin: str) -> None:
    answer = local.get("/zhilu/v1/settings", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")


def test_local_pages_may_call(local: TestClient) -> None:
    assert local.get("/health", headers={"Origin": "http://localhost:5173"}).status_code == 200


def test_a_cross_site_form_is_refused_without_an_origin(local: TestClient) -> None:
    answer = local.put("/zhilu/v1/settings/port", json={"value": 1}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_security_headers_are_on_every_answer(local: TestClient) -> None:
    for path in ("/health", "/nowhere/at/all", "/zhilu/v1/nothing"):
        headers = local.get(path).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_beyond_loopback_every_api_wants_the_key(on_the_network: TestClient) -> None:
    assert on_the_network.get("/health").status_code == 200
    for path in ("/zhilu/v1/settings", "/v1/models", "/metrics", "/zhilu/v1/openapi.json"):
        refused = on_the_network.get(path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert on_the_network.get(path, headers={"Authorization": "Bearer wrong" + KEY}).status_code == 401
    right = {"Authorization": f"Bearer {KEY}"}
    assert on_the_network.get("/zhilu/v1/settings", headers=right).status_code == 200
    assert (
        on_the_network.get("/zhilu/v1/settings", headers={**right, "Origin": "https://evil.example"}).status_code == 403
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("a.localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("zhilu", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
