"""Long texts over HTTP and gate 5.4, against a server that reads a small context, counts what it reads, and may cut in silence."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.gate import Status
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.longtext.gates import check_longtext
from zhilu.longtext.job import run_longtext_job
from zhilu.longtext.needle import make_haystack
from zhilu.longtext.runs import LongtextRuns
from zhilu.text.sentences import token_ends

LONG = "/zhilu/v1/longtext"
CONTEXT = 900
CODE = re.compile(r"(?:code of [a-z ]+ is |暗号是)([A-Z]{3}\d{4})")


class Reader(BaseHTTPRequestHandler):
    """Finds a pass code where it stands in what it reads. ``cuts``: it reads only the end of a prompt, and says so only in its
    count; ``blind``: it finds nothing."""

    asked: list[dict[str, Any]]
    cuts = blind = False

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "m", "object": "model", "max_model_len": CONTEXT}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.path.endswith("/chat/completions"):
            self.send_error(404)
            return
        self.asked.append(body)
        told = body["messages"][-1]["content"]
        if self.cuts:
            told = told[-900:]
        found = CODE.search(told)
        text = f"The code is {found.group(1)}." if found and not self.blind else "NONE"
        count = len(token_ends(told)) + 12
        usage = {"prompt_tokens": count, "completion_tokens": 5, "total_tokens": count + 5}
        message = {"role": "assistant", "content": text}
        self._send({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})  # fmt: skip

    def _send(self, reply: dict[str, Any]) -> None:
        payload = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    Reader.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
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
    return TestClient(create_app(context, only=("longtext", "jobs")), base_url="http://127.0.0.1:8642")


def _ask(client: TestClient, context: Context, text: str, **wish: Any) -> dict[str, Any]:
    begun = client.post(f"{LONG}/runs", json={"text": text, "wish": wish})
    assert begun.status_code == 202, begun.text
    job = JobStore(context).wait(begun.json()["job"]["id"])
    assert job.status == "done", job.error
    return client.get(f"{LONG}/runs/{begun.json()['run']['id']}").json()  # type: ignore[no-any-return]


def test_all_ways_are_compared_on_one_question(client: TestClient, context: Context) -> None:
    hay = make_haystack(4000, 0.8, 5)
    run = _ask(client, context, hay.text, question=hay.question, answers=[hay.answer], name="diary.txt")
    by = {one["method"]: one for one in run["result"]["methods"]}
    assert {name for name, one in by.items() if one["right"]} == {"retrieval", "sliding", "map-reduce", "refine"}
    assert by["beginning"]["answer"] == "" and by["retrieval"]["calls"] == 1
    assert by["map-reduce"]["read"] == pytest.approx(1, abs=0.01) and by["sliding"]["read"] < 1
    assert by["retrieval"]["place"]["quote"] == hay.text[hay.start : hay.end]
    assert run["context"] == CONTEXT and run["tokens"] == pytest.approx(4000, rel=0.05)
    assert all(one["cut"] == 0 for one in by.values())
    assert sum(one["prompt_tokens"] for one in by.values()) > 12_000
    listed = client.get(f"{LONG}/runs").json()
    assert [one["id"] for one in listed] == [run["id"]] and listed[0]["result"]["methods"][0]["steps"] == []


def test_a_killed_run_asks_only_what_is_missing(client: TestClient, context: Context) -> None:
    hay = make_haystack(4000, 0.8, 5)
    run = _ask(client, context, hay.text, question=hay.question, methods=["map-reduce"])
    runs, asked = LongtextRuns(context), len(Reader.asked)
    path = runs.folder / run["id"] / "steps.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[-1][:10])

    class Here:
        id, attempt = run["job_id"], 2

        def __init__(self) -> None:
            self.context = context

        def progress(self, *_: Any) -> None: ...

    run_longtext_job(Here(), {"run": run["id"]})  # type: ignore[arg-type]
    measured = 2  # the two calls that tell how the server counts
    assert len(Reader.asked) - asked == len(lines) - len(lines) // 2 + measured
    assert runs.get(run["id"]).result.methods[0].answer == run["result"]["methods"][0]["answer"]


def test_a_prompt_that_is_cut_in_silence_is_noticed(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "cuts", True)
    hay = make_haystack(4000, 0.8, 5)
    run = _ask(client, context, hay.text, question=hay.question, methods=["map-reduce"])
    assert run["result"]["methods"][0]["cut"] > 0


def test_needles_make_a_map(client: TestClient, context: Context) -> None:
    run = _ask(
        client,
        context,
        "",
        want="needle",
        methods=["retrieval", "beginning"],
        lengths=[1500],
        depths=[0.05, 0.9],
        seed=1,
    )
    cells = {(cell["method"], cell["depth"]): cell["found"] for cell in run["result"]["cells"]}
    assert cells == {
        ("retrieval", 0.05): True,
        ("retrieval", 0.9): True,
        ("beginning", 0.05): True,
        ("beginning", 0.9): False,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"wish": {"methods": ["magic"], "question": "q"}, "text": "t"},
        {"wish": {"question": "q", "depth": 1}, "text": "t"},
        {"wish": {"question": ""}, "text": "t"},
        {"wish": {"question": "q"}, "text": " "},
    ],
)
def test_what_cannot_be_done_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post(f"{LONG}/runs", json=body).status_code in (400, 404)
    assert Reader.asked == []


def test_the_gate_passes_where_the_needle_is_found(context: Context) -> None:
    verdict = check_longtext(context)
    assert verdict.status is Status.PASSED, verdict.why
    figures = {figure.name.en: figure.value for figure in verdict.figures}
    assert figures["length of the text"] > CONTEXT == figures["context of the model"]
    assert str(figures["Beginning only: found, cost"]).startswith("✗")
    assert sum("by depth" in name for name in figures) == 3


@pytest.mark.parametrize("fault", ["cuts", "blind"])
def test_the_gate_fails_on_a_cut_prompt_and_on_an_answer_that_is_none(
    context: Context, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(Reader, fault, True)
    verdict = check_longtext(context)
    assert verdict.status is Status.FAILED
    assert ("cut in silence" if fault == "cuts" else "No way found") in verdict.why.en
