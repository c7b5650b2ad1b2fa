"""Questions about pictures over HTTP, to a server that sees and to one that refuses pictures as an engine without eyes does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.media import look as looking
from zhilu.media.look import MOST_BYTES

LOOK = "/zhilu/v1/media/look"
PNG = b"\x89PNG\r\n\x1a\n"
READ = "TOTAL 10.75"


class Model(BaseHTTPRequestHandler):
    """Says what it was sent: a picture, or words."""

    blind = False

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        told = body["messages"][-1]["content"]
        if self.blind and isinstance(told, list):
            fault = {"message": "no pictures", "type": "invalid_request_error", "param": "messages.0.content.0.type",
                     "code": "unsupported_parameter"}  # fmt: skip
            self._send(400, {"error": fault})
            return
        text = "a picture" if isinstance(told, list) else f"words with the total: {READ in told}"
        self._send(200, {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
                         "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                         "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                                      "finish_reason": "stop"}]})  # fmt: skip

    def _send(self, status: int, reply: dict[str, Any]) -> None:
        payload = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def context(own_home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("ZHILU_BASE_URL", f"http://127.0.0.1:{server.server_address[1]}/v1")
    monkeypatch.setenv("ZHILU_MODEL", "m")
    context = open_context()
    yield context
    context.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(context: Context) -> TestClient:
    return TestClient(create_app(context, only=("media", "jobs")), base_url="http://127.0.0.1:8642")


def _ask(client: TestClient, picture: bytes, **fields: str) -> Any:
    return client.post(LOOK, files={"file": ("receipt.png", picture)}, data=fields)


def test_a_model_that_sees_gets_the_picture(client: TestClient) -> None:
    reply = _ask(client, PNG, question="What is it?")
    assert reply.json() == {"answer": "a picture", "way": "seen", "model": "m", "text": ""}
    assert _ask(client, PNG, question="What is it?", model="other").json()["model"] == "other"


def test_a_blind_one_gets_the_text_and_the_answer_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "blind", True)
    monkeypatch.setattr(looking, "read_image", lambda picture: type("Page", (), {"lines": ()}))
    monkeypatch.setattr(looking, "as_text", lambda lines: READ)
    reply = _ask(client, PNG, question="What is the total?")
    assert reply.json() == {"answer": "words with the total: True", "way": "ocr", "model": "m", "text": READ}
    monkeypatch.setattr(looking, "as_text", lambda lines: " ")
    reply = _ask(client, PNG, question="What is the total?")
    assert reply.status_code == 400 and reply.json()["error"]["code"] == "nothing_to_read"


@pytest.mark.parametrize(
    ("picture", "fields", "status", "param"),
    [
        (b"MZ not a picture", {"question": "What?"}, 400, "file"),
        (b"", {"question": "What?"}, 400, "file"),
        (PNG + bytes(MOST_BYTES), {"question": "What?"}, 413, "file"),
        (PNG, {}, 400, "question"),
        (PNG, {"question": ""}, 400, "question"),
        (PNG, {"question": "?" * 2001}, 400, "question"),
    ],
)
def test_what_is_wrong_is_named(
    client: TestClient, picture: bytes, fields: dict[str, str], status: int, param: str
) -> None:
    reply = _ask(client, picture, **fields)
    assert reply.status_code == status and reply.json()["error"]["param"] == param, reply.text


def test_the_state_names_what_reads_pictures(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from zhilu.media import routes

    monkeypatch.setattr(routes, "find_ocr", lambda: None)
    told = client.get("/zhilu/v1/media").json()["look"]
    assert not told["ready"] and told["why"]["zh"] and told["fix"] == "zhilu setup ocr"
    monkeypatch.setattr(routes, "find_ocr", lambda: "rapidocr")
    assert client.get("/zhilu/v1/media").json()["look"]["model"] == "rapidocr"
