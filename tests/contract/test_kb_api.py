"""``/zhilu/v1/kbs`` and ``zhilu kb`` over real files, real jobs and a real HTTP model server with scripted words."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.rag.cli import kb as kb_command
from zhilu.rag.library import Library
from zhilu.rag.testing import HASH

HANDBOOK = "# 员工手册\n\n## 年假\n\n入职满一年的员工每年有十五天年假。😀 年假须提前两周申请。\n"
GUIDE = "# Guide\n\n## Install\n\nThe installer needs 300 MB of disk space and administrator rights.\n"


class Words(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that answers from ``server.words``; an empty list is a server in trouble."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._json({"data": [{"id": "m", "max_model_len": 2048}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        words: list[str] = self.server.words  # type: ignore[attr-defined]
        if self.path != "/v1/chat/completions":
            self._json({"error": {"message": "no such route"}}, 404)
        elif not words:
            self._json({"error": {"message": "out of memory", "type": "server_error"}}, 500)
        else:
            chunks = [
                {"choices": [{"delta": {"content": words.pop(0)}}]},
                {"choices": [], "usage": {"total_tokens": 9}},
            ]
            body = "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n\n"
            self._send(200, "text/event-stream", body.encode())

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def words() -> Iterator[tuple[str, list[str]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Words)
    server.words = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", server.words  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def context(words: tuple[str, list[str]]) -> Iterator[Context]:
    opened = open_context({"base_url": words[0], "model": "m", "max_upload_mb": 1})
    yield opened
    for job in JobStore(opened).list():
        kill_marked(job.id)
    opened.close()


@pytest.fixture
def http(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=("rag", "jobs")), base_url="http://127.0.0.1:8642") as client:
        client.headers["Accept-Language"] = "en"
        yield client


def upload(http: TestClient, kb: str, *files: tuple[str, bytes]) -> Any:
    return http.post(f"/zhilu/v1/kbs/{kb}/documents", files=[("files", file) for file in files])


@pytest.fixture
def filled(http: TestClient, context: Context) -> str:
    """A knowledge base with both documents, read by a real job."""
    kb = Library(context).create("手册", embedder=HASH.name).info().model_dump()  # code of one's own: not over HTTP
    answer = upload(http, kb["id"], ("handbook.md", HANDBOOK.encode()), ("guide.md", GUIDE.encode())).json()
    assert JobStore(context).wait(answer["job"]["id"], timeout=60).result == {
        "ready": 2, "failed": 0, "documents": [d["id"] for d in answer["documents"]],
    }  # fmt: skip
    return str(kb["id"])


def sse(text: str) -> list[tuple[str, Any]]:
    events = [block.split("\n") for block in text.split("\n\n") if block]
    return [(name[7:], json.loads(data[6:])) for name, data in events]


def test_life_of_a_knowledge_base(http: TestClient) -> None:
    made = http.post("/zhilu/v1/kbs", json={"name": "a", "description": "d", "embedder": "none"})
    assert made.status_code == 201 and made.json()["embedder"] == "none" and made.json()["dim"] == 0
    kb = made.json()["id"]
    assert http.post("/zhilu/v1/kbs", json={"name": "a", "embedder": "none"}).status_code == 409
    assert http.post("/zhilu/v1/kbs", json={"name": "x", "colour": "red"}).status_code == 400
    changed = http.patch(f"/zhilu/v1/kbs/{kb}", json={"name": "b", "description": ""}).json()
    assert (changed["name"], changed["description"]) == ("b", "")
    assert [k["name"] for k in http.get("/zhilu/v1/kbs").json()] == ["b"]
    assert http.delete(f"/zhilu/v1/kbs/{kb}").status_code == 204
    gone = http.get(f"/zhilu/v1/kbs/{kb}")
    assert gone.status_code == 404 and set(gone.json()["error"]["messages"]) == {"en", "zh"}


def test_documents_over_http(http: TestClient, filled: str) -> None:
    base = f"/zhilu/v1/kbs/{filled}/documents"
    documents = http.get(base).json()
    assert [(d["name"], d["status"], d["num_chunks"]) for d in documents] == [
        ("handbook.md", "ready", 1),
        ("guide.md", "ready", 1),
    ]
    whole = http.get(f"{base}/{documents[0]['id']}").json()
    assert "十五天" in whole["text"] and [o["title"] for o in whole["outline"]] == ["员工手册", "年假"]
    original = http.get(f"{base}/{documents[0]['id']}/original")
    assert original.content == HANDBOOK.encode() and original.headers["content-disposition"].startswith("attachment")
    assert http.post(f"{base}/{documents[0]['id']}/retry").status_code == 409
    assert http.delete(f"{base}/{documents[0]['id']}").status_code == 204
    assert http.get(f"{base}/{documents[0]['id']}").status_code == 404


def test_an_upload_says_of_each_file_what_became_of_it(http: TestClient, filled: str, context: Context) -> None:
    answer = upload(
        http, filled,
        ("handbook.md", HANDBOOK.encode()), ("song.mp3", b"ID3\x04\x00\x00\x00"), ("big.txt", b"x" * (2 << 20)),
        ("../../evil.txt", b"some harmless words"), ("broken.pdf", b"%PDF-1.4 nothing else " * 20), ("empty.md", b""),
    ).json()  # fmt: skip
    assert {r["name"]: r["error"]["code"] for r in answer["rejected"]} == {
        "handbook.md": "duplicate", "song.mp3": "unsupported_format", "big.txt": "file_too_large", "empty.md": "empty_file",
    }  # fmt: skip
    assert all(r["error"]["messages"]["zh"] for r in answer["rejected"])
    assert [d["name"] for d in answer["documents"]] == ["evil.txt", "broken.pdf"]
    assert JobStore(context).wait(answer["job"]["id"], timeout=60).status == "done"
    status = {d["name"]: d for d in http.get(f"/zhilu/v1/kbs/{filled}/documents").json()}
    assert (status["evil.txt"]["status"], status["broken.pdf"]["status"]) == ("ready", "failed")
    assert "damaged" in status["broken.pdf"]["error"]["message"] and len(status) == 4
    retried = http.post(f"/zhilu/v1/kbs/{filled}/documents/{status['broken.pdf']['id']}/retry").json()
    assert JobStore(context).wait(retried["job"]["id"], timeout=60).result["failed"] == 1


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [("a.mp3", b"ID3\x04\x00\x00\x00", 400, "unsupported_format"), ("big.txt", b"x" * (2 << 20), 413, "file_too_large"),
     ("empty.pdf", b"", 400, "empty_file"), ("..", b"words", 400, "bad_name")],
)  # fmt: skip
def test_a_single_refused_file_is_the_status(http: TestClient, name: str, data: bytes, status: int, code: str) -> None:
    kb = http.post("/zhilu/v1/kbs", json={"name": "k", "embedder": "none"}).json()["id"]
    answer = upload(http, kb, (name, data))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()["error"]["messages"]) == {"en", "zh"}
    assert http.get(f"/zhilu/v1/kbs/{kb}/documents").json() == []


def test_search_and_offsets(http: TestClient, filled: str) -> None:
    hits = http.post(f"/zhilu/v1/kbs/{filled}/search", json={"query": "年假要提前多久申请？", "k": 1}).json()["hits"]
    assert len(hits) == 1 and hits[0]["doc_name"] == "handbook.md"
    text = http.get(f"/zhilu/v1/kbs/{filled}/documents/{hits[0]['doc_id']}").json()["text"]
    assert text[hits[0]["start"] : hits[0]["end"]] == hits[0]["text"]
    assert http.post(f"/zhilu/v1/kbs/{filled}/search", json={"query": ""}).status_code == 400


def test_ask_streams_and_leaves_a_trace(http: TestClient, filled: str, words: tuple[str, list[str]]) -> None:
    words[1].append("两周 [1]")
    answer = http.post(f"/zhilu/v1/kbs/{filled}/ask", json={"question": "年假须提前多久申请？"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = sse(answer.text)
    assert [name for name, _ in events] == ["retrieved", "delta", "done"]
    done = events[-1][1]
    cited = [c for c in done["citations"] if c["cited"]]
    assert done["answer"].startswith("两周 [1] — “") and not done["refused"] and len(cited) == 1
    text = http.get(f"/zhilu/v1/kbs/{filled}/documents/{cited[0]['doc_id']}").json()["text"]
    assert text[cited[0]["quote_start"] : cited[0]["quote_end"]] == "两周"  # right behind a character outside the BMP
    traces = http.get(f"/zhilu/v1/kbs/{filled}/traces").json()
    assert [t["id"] for t in traces] == [done["trace_id"]] and traces[0]["answer"] == done["answer"]
    assert http.get(f"/zhilu/v1/kbs/{filled}/traces/{done['trace_id']}").json()["raw"] == "两周 [1]"
    assert http.get(f"/zhilu/v1/kbs/{filled}/traces/nope").status_code == 404


def test_a_server_in_trouble_is_an_error_event(http: TestClient, filled: str) -> None:
    events = sse(http.post(f"/zhilu/v1/kbs/{filled}/ask", json={"question": "年假须提前多久申请？"}).text)
    assert events[-1][0] == "error" and "out of memory" in events[-1][1]["error"]["message"]
    assert http.post("/zhilu/v1/kbs/000000000000/ask", json={"question": "x"}).status_code == 404


def run(context: Context, *args: str) -> Any:
    return CliRunner().invoke(kb_command, list(args), obj=context, catch_exceptions=False)


def test_the_command_line(context: Context, tmp_path: Path, words: tuple[str, list[str]]) -> None:
    folder = tmp_path / "docs"
    (folder / ".git").mkdir(parents=True)
    (folder / "handbook.md").write_text(HANDBOOK)
    (folder / "guide.md").write_text(GUIDE)
    (folder / ".git" / "config").write_text("hidden")
    assert run(context, "create", "k", "--embedder", HASH.name, "--json").exit_code == 0
    added = json.loads(run(context, "add", "k", str(folder), "--json").stdout)
    assert [(d["name"], d["status"]) for d in added["documents"]] == [
        ("docs/guide.md", "ready"), ("docs/handbook.md", "ready"),
    ]  # fmt: skip
    again = json.loads(run(context, "add", "k", str(folder), "--json").stdout)
    assert len(again["duplicates"]) == 2 and again["job"] is None
    hits = json.loads(run(context, "search", "k", "disk space", "--json").stdout)["hits"]
    assert hits[0]["doc_name"] == "docs/guide.md"
    words[1].extend(["300 MB [1]", "two weeks [1]"])
    asked = json.loads(run(context, "ask", "k", "How much disk space does the installer need?", "--json").stdout)
    assert asked["answer"].startswith("300 MB [1] — “The installer needs")
    questions = tmp_path / "q.jsonl"
    questions.write_text(
        '{"question": "年假须提前多久申请？", "answer": ["两周"]}\n{"question": "Which penguins fly?", "answer": null}\n'
    )
    report = json.loads(run(context, "eval", "k", str(questions), "--json").stdout)
    assert report["retrieval"]["hit@1"] == report["retrieval"]["mrr@10"] == 1.0
    # the model's "two weeks" stands nowhere, so a quotation replaces it, and that holds the answer
    assert report["answers"]["citation_contains_answer_percent"] == report["answers"]["refused_percent"] == 100.0
    assert run(context, "remove", "k", "guide.md", "--yes").exit_code == 0
    assert len(json.loads(run(context, "show", "k", "--json").stdout)["documents"]) == 1
    assert run(context, "remove", "k", "--yes").exit_code == 0
    assert json.loads(run(context, "list", "--json").stdout) == []


def test_a_failed_document_is_exit_code_1_and_a_refused_file_2(context: Context, tmp_path: Path) -> None:
    run(context, "create", "k", "--embedder", "none")
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"%PDF-1.7 broken" * 10)
    result = run(context, "add", "k", str(bad))
    assert result.exit_code == 1 and "damaged" in result.output
    (tmp_path / "empty.txt").touch()
    assert run(context, "add", "k", str(tmp_path / "empty.txt")).exit_code == 2


def test_no_request_imports_a_module(http: TestClient, context: Context) -> None:
    """``"module:ATTRIBUTE"`` as an embedder is code of one's own, which only the command line may name."""
    for name in ("this:s", "this", "zhilu.rag.testing:HASH", "os:system"):
        answer = http.post("/zhilu/v1/kbs", json={"name": "k", "embedder": name})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), name
        if ":" in name:
            refused = http.put("/zhilu/v1/settings/embedder", json={"value": name})
            assert refused.status_code == 403 and context.reload_settings().embedder == "auto"
    assert "this" not in sys.modules
    assert http.get("/zhilu/v1/kbs").json() == []
    assert http.post("/zhilu/v1/kbs", json={"name": "k", "embedder": "zhilu-embed"}).status_code == 201


def test_a_folder_s_links_are_passed_over_and_said(context: Context, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the key of the safe")
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("an own file")
    (folder / "link.txt").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    assert run(context, "create", "k", "--embedder", "none").exit_code == 0
    added = run(context, "add", "k", str(folder), "--no-wait", "--json")
    assert added.exit_code == 0, added.output
    assert "link.txt" in added.stderr and "symbolic link" in added.stderr
    assert [d.name for d in Library(context).open("k").documents()] == ["docs/deep/a.txt"]
    assert run(context, "add", "k", str(folder / "link.txt"), "--no-wait").exit_code == 0  # a person named it
    assert len(Library(context).open("k").documents()) == 2
