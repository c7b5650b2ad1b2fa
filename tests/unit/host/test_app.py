from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.errors import BusyError
from zhilu.host import ui
from zhilu.host.app import create_app
from zhilu.messages import T


@pytest.fixture
def context() -> Iterator[Context]:
    context = open_context()
    yield context
    context.close()


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=()), base_url="http://127.0.0.1") as client:
        yield client


def test_settings_change_and_tell_their_source(client: TestClient) -> None:
    rows = {row["key"]: row for row in client.put("/zhilu/v1/settings/max_upload_mb", json={"value": 7}).json()}
    assert (rows["max_upload_mb"]["value"], rows["max_upload_mb"]["source"]) == (7, "file")
    assert rows["home"]["source"] == "env"
    rows = {row["key"]: row for row in client.delete("/zhilu/v1/settings/max_upload_mb").json()}
    assert (rows["max_upload_mb"]["value"], rows["max_upload_mb"]["source"]) == (200, "default")


def test_an_unknown_setting_and_a_bad_value_are_400_in_both_languages(client: TestClient) -> None:
    answer = client.put("/zhilu/v1/settings/prot", json={"value": 7}, headers={"Accept-Language": "zh-CN"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert "未知设置" in error["message"] and "unknown setting" in error["messages"]["en"]
    assert client.put("/zhilu/v1/settings/port", json={"value": 99999}).status_code == 400


@pytest.mark.parametrize(
    ("key", "wrong", "meant"),
    [
        ("model", "zhilu-nona", "zhilu-nano"),
        ("engine", "lamacpp", "llamacpp"),
        ("embedder", "zhilu-embd", "zhilu-embed"),
    ],
)
def test_a_setting_that_names_what_does_not_exist_is_refused_with_the_nearest_name(
    client: TestClient, key: str, wrong: str, meant: str
) -> None:
    answer = client.put(f"/zhilu/v1/settings/{key}", json={"value": wrong})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, key)
    assert repr(wrong) in error["messages"]["zh"] and repr(meant) in error["messages"]["en"]
    rows = {row["key"]: row for row in client.get("/zhilu/v1/settings").json()}
    assert rows[key]["source"] == "default"
    assert client.put(f"/zhilu/v1/settings/{key}", json={"value": meant}).status_code == 200


def test_another_servers_models_are_not_ours_to_know(client: TestClient) -> None:
    assert client.put("/zhilu/v1/settings/base_url", json={"value": "http://127.0.0.1:9/v1"}).status_code == 200
    assert client.put("/zhilu/v1/settings/model", json={"value": "gpt-of-theirs"}).status_code == 200


def test_an_unknown_field_is_named(client: TestClient) -> None:
    answer = client.put("/zhilu/v1/settings/port", json={"value": 7, "vlaue": 8})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "vlaue"


def test_unknown_paths_are_openai_shaped(client: TestClient) -> None:
    for path in ("/v1/nothing", "/zhilu/v1/nothing", "/assets/none.js"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert client.post("/health").status_code == 405


def test_a_crash_is_500_with_a_number_and_no_inside(context: Context) -> None:
    app = create_app(context, only=())
    inner = app.app.app.app
    routes = APIRouter()

    @routes.get("/zhilu/v1/crash")
    def crash() -> None:
        raise RuntimeError("secret inside")

    @routes.get("/zhilu/v1/busy")
    def busy() -> None:
        raise BusyError(T("full", "满了"), retry_after=7)

    inner.router.routes.insert(0, routes.routes[0])
    inner.router.routes.insert(0, routes.routes[1])
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        answer = client.get("/zhilu/v1/crash")
        assert answer.status_code == 500
        assert "secret" not in answer.text and "log" in answer.json()["error"]["message"]
        answer = client.get("/zhilu/v1/busy")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_the_page_answers_every_path_but_leaves_its_folder_for_none(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(create_app(context), base_url="http://127.0.0.1")  # not entered: no engine is started
    built = tmp_path / "static"
    (built / "assets").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("hidden words")
    monkeypatch.setattr(ui, "STATIC", built)
    missing = client.get("/")
    assert missing.status_code == 503 and "make ui" in missing.text
    (built / "index.html").write_text("<title>page</title>")
    (built / "assets/app-1a2b.js").write_text("1")
    assert "page" in client.get("/knowledge/abc").text
    assert "immutable" in client.get("/assets/app-1a2b.js").headers["cache-control"]
    assert client.get("/").headers["cache-control"] == "no-cache"
    for path in ("/..%2fsecret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"):
        assert "hidden words" not in client.get(path).text


def test_status(client: TestClient) -> None:
    status = client.get("/zhilu/v1/status").json()
    assert {k: v for k, v in status["model"].items() if k != "reason"} == {
        "name": "zhilu-nano",
        "state": "stopped",
        "detail": "",
        "engine": None,
    }
    assert "no other model has arrived yet" in status["model"]["reason"]["en"]


def test_head_is_answered_wherever_get_is_and_unknown_paths_are_404_whatever_the_method(context: Context) -> None:
    """With the workbench mounted, which answers every other path by GET; nothing is started here."""
    client = TestClient(create_app(context), base_url="http://127.0.0.1")
    for path in ("/", "/health", "/api/version", "/zhilu/v1/settings"):
        head, whole = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
    assert client.head("/v1/nothing").status_code == 404
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/v1/nothing", "/nothing", "/v1/chat/completion", "/api/nothing"):
            answer = client.request(method, path, json={})
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), (method, path)
    for method, path in (("POST", "/health"), ("GET", "/v1/chat/completions"), ("PUT", "/v1/models")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


def test_head_of_a_stream_without_end_ends(context: Context) -> None:
    import anyio
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    from zhilu.host.middleware import Heads

    async def forever():  # type: ignore[no-untyped-def]
        while True:
            yield b"data: x\n\n"
            await anyio.sleep(0.01)

    inner = Starlette(routes=[Route("/events", lambda _: StreamingResponse(forever()), methods=["GET"])])
    inner.router.routes[0].methods = {"GET"}  # type: ignore[attr-defined]  # as FastAPI's routes are
    with TestClient(Heads(inner, inner.router.routes)) as client:
        assert (client.head("/events").status_code, client.head("/events").content) == (200, b"")


def test_the_roots_head_says_that_something_is_up_where_there_is_no_workbench(client: TestClient) -> None:
    assert (client.head("/").status_code, client.get("/").status_code) == (200, 404)


CROWDS = {
    "wide": b'{"question": "x", ' + b",".join(b'"k%d": 1' % i for i in range(20_000)) + b"}",
    "values": b'{"question": [' + b"1," * 2_500_000 + b"1]}",
    "history": b'{"question": "x", "history": [' + b'{"role": "x", "content": 1},' * 50_000 + b"{}]}",
    "inside": b'{"question": "x", "history": [{"role": "user", "content": {' + b",".join(b'"k%d": 1' % i for i in range(20_000)) + b"}}]}",
    "long": b'{"question": "' + b"x" * (33 << 20) + b'"}',
    "deep": b'{"question": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
}  # fmt: skip


@pytest.mark.parametrize("name", CROWDS)
@pytest.mark.parametrize(("method", "path"), [("PUT", "/zhilu/v1/settings/lang"), ("PUT", "/zhilu/v1/settings/none")])
def test_a_crowd_of_values_is_refused_in_no_time(client: TestClient, method: str, path: str, name: str) -> None:
    before = time.process_time()
    answer = client.request(method, path, content=CROWDS[name], headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 413) and len(answer.content) < 5000
    assert time.process_time() - before < 1.5, "all others wait so long"


def test_a_few_mistakes_of_many_are_named(client: TestClient) -> None:
    answer = client.put("/zhilu/v1/settings/lang", json={f"k{i}": 1 for i in range(500)})
    assert answer.status_code == 400 and "'k0'" in answer.text and len(answer.content) < 2000


def test_the_frame_for_a_models_page_has_no_origin_and_no_way_out(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(create_app(context), base_url="http://127.0.0.1")  # not entered: no engine is started
    (tmp_path / "sandbox.html").write_text("<script></script>")
    (tmp_path / "index.html").write_text("<p>")
    monkeypatch.setattr(ui, "STATIC", tmp_path)
    framed, page = client.get("/sandbox.html"), client.get("/chat")
    policy = framed.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'") and "allow-same-origin" not in policy
    assert "connect-src" not in policy and framed.headers["x-frame-options"] == "SAMEORIGIN"
    assert page.headers["x-frame-options"] == "DENY" and "sandbox" not in page.headers["content-security-policy"]
