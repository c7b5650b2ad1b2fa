"""Every route of the composed application wants the key, but for the short list of public ones; and writes want our origin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import open_context
from zhilu.host.app import create_app
from zhilu.host.security import PAGE, PUBLIC

KEY = "0123456789abcdef0123"
READS = ("GET", "HEAD", "OPTIONS")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The whole application as ``zhilu up --host 0.0.0.0`` composes it. It is not started: no engine is asked."""
    home = tmp_path_factory.mktemp("home") / "zhilu"
    context = open_context({"home": str(home), "host": "0.0.0.0", "api_key": KEY})
    yield create_app(context)
    context.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The same for this machine alone: no key, and what is asked of it here changes nothing."""
    context = open_context({"home": str(tmp_path_factory.mktemp("home") / "zhilu")})
    yield create_app(context)
    context.close()


def flat(routes: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """(path, route). Newer FastAPI keeps an included router as one entry; its prefix is in the router, the one that it was
    included with is not."""
    for route in routes:
        inside = getattr(route, "original_router", None)
        if inside is not None:
            yield from flat(inside.routes, before + route.include_context.prefix)
        else:
            yield before + getattr(route, "path", ""), route


def doors(app: Any) -> list[tuple[str, str]]:
    """Every (method, path) that a route answers, with something in the place of its parameters."""
    inner = app
    while not hasattr(inner, "routes") or not hasattr(inner, "state"):
        inner = inner.app
    found = []
    for whole, route in flat(inner.routes):
        assert hasattr(route, "methods"), f"{route!r} is no plain route: the walk must learn what it serves"
        path = re.sub(r"\{[^}]*\}", "x", whole)
        found += [(method, path) for method in sorted(route.methods or ()) if route.name != PAGE]
    return found


def scripts(app: Any) -> set[str]:
    """What any page may load by a script tag; the same bytes for everybody."""
    return {path for guests in app.guests for path in guests.scripts}


def test_every_route_wants_the_key_beyond_loopback(app: Any) -> None:
    client = TestClient(app, base_url="http://box.example:8642", raise_server_exceptions=False)
    walked = doors(app)
    assert len(walked) > 80
    for method, path in walked:
        answer = client.request(method, path)
        if path in PUBLIC or (path in scripts(app) and method in ("GET", "HEAD")):
            assert answer.status_code != 401, (method, path)
        else:
            assert answer.status_code == 401, (method, path)
            assert client.request(method, path, headers={"Authorization": f"Bearer x{KEY}"}).status_code == 401
            # another method on the same path is none that a stranger may probe
            assert client.request("TRACE", path).status_code == 401, path


def test_the_list_of_public_routes_is_short_and_has_no_dead_entry(app: Any) -> None:
    paths = {path for _, path in doors(app)}
    assert paths >= PUBLIC
    assert len(PUBLIC) <= 4
    assert scripts(app) == {"/support/widget.js"} and scripts(app) <= paths


def test_with_the_key_no_route_is_closed(app: Any) -> None:
    """Asked with an unusable method, so that nothing is done: what matters is who is let in."""
    client = TestClient(app, base_url="http://box.example:8642", raise_server_exceptions=False)
    for _, path in doors(app):
        answer = client.request("TRACE", path, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code in (404, 405), path


def test_the_page_answers_without_the_key_and_nothing_else_does(app: Any) -> None:
    client = TestClient(app, base_url="http://box.example:8642", raise_server_exceptions=False)
    for path in ("/", "/chat", "/kb/abc"):
        assert client.get(path).status_code in (200, 503), path  # 503: the workbench is not built here
    for path in ("/v1", "/v1/", "/v1/nothing", "/zhilu/v1/nothing", "/api/nothing"):
        assert client.post(path).status_code in (401, 404, 405), path


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://127.0.0.1:8642", False),  # the workbench itself
        ("http://127.0.0.1:9000", True),  # another program of this machine
        ("http://localhost:8642", True),  # the same port under another name: a page of whoever has [::1]:8642
        ("https://127.0.0.1:8642", True),
        ("http://127.0.0.1", True),
        ("http://evil.example", True),
        ("null", True),
        ("chrome-extension://abc", True),
        ("http://127.0.0.1:8642:1", True),
        ("http://[", True),
        (None, False),  # curl, an SDK
    ],
)
def test_on_loopback_only_our_own_page_may_write(local: Any, origin: str | None, expected: bool) -> None:
    client = TestClient(local, base_url="http://127.0.0.1:8642", raise_server_exceptions=False)
    # Who is let in is decided before any route: two origins are tried at every door, the others at every ninth.
    everywhere = origin in (None, "http://127.0.0.1:9000")
    for method, path in doors(local)[:: 1 if everywhere else 9]:
        if method in READS:
            continue
        # a body that nothing takes: who passes the guard is refused by what is behind it, and nothing is changed
        headers = {"Content-Type": "text/plain", **({"Origin": origin} if origin else {})}
        answer = client.request("PROPFIND" if not expected else method, path, headers=headers, content=b"x")
        error = answer.json()["error"] if answer.status_code == 403 else {}
        code = error.get("code") or error.get("details", {}).get("error_code")  # Anthropic's API has it there
        refused = code == "origin_not_allowed"
        assert refused is expected, (method, path, answer.status_code)


def test_a_page_of_another_port_may_write_with_the_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    context = open_context({"home": str(tmp_path_factory.mktemp("home") / "zhilu"), "api_key": KEY})
    client = TestClient(create_app(context, only=()), base_url="http://127.0.0.1:8642")
    headers = {"Origin": "http://127.0.0.1:5173", "Authorization": f"Bearer {KEY}"}
    assert client.put("/zhilu/v1/settings/port", json={"value": 9001}, headers=headers).status_code == 200
    assert client.put("/zhilu/v1/settings/port", json={"value": 1}, headers={**headers, "Authorization": "x"}).is_error
    foreign = {**headers, "Origin": "https://evil.example"}
    assert client.put("/zhilu/v1/settings/port", json={"value": 1}, headers=foreign).status_code == 403
    context.close()


def test_same_site_forms_without_an_origin_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    context = open_context({"home": str(tmp_path_factory.mktemp("home") / "zhilu")})
    client = TestClient(create_app(context, only=()), base_url="http://127.0.0.1:8642")
    for site, status in (("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)):
        answer = client.put("/zhilu/v1/settings/port", json={"value": 9001}, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == status, site
    context.close()


@pytest.mark.parametrize(
    "path", ["/%00", "/a%00b", "/zhilu/v1/kbs/%00", "/assets/%00", "/" + "a" * 5000, "/%ff%fe", "/..%2f..%2fetc/passwd"]
)
def test_no_path_is_an_error_of_the_server(local: Any, path: str) -> None:
    client = TestClient(local, base_url="http://127.0.0.1:8642", raise_server_exceptions=False)
    answer = client.get(path)
    assert answer.status_code in (200, 404) or (answer.status_code == 503 and "not built" in answer.text)
