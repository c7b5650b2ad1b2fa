"""The prompt lab over HTTP, and a job that asks a scripted model: cut off, resumed, compared, exported and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.promptlab.export import export
from zhilu.promptlab.job import run_prompt_job
from zhilu.promptlab.runs import Runs
from zhilu.promptlab.template import PromptTemplate, render

LAB = "/zhilu/v1/promptlab"


class Labels(BaseHTTPRequestHandler):
    """A server that knows the label where it is told the rules (a system prompt), and talks at length where it is not."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(body)
        last = body["messages"][-1]["content"]
        label = "refund" if "money" in last else "delivery"
        text = label if body["messages"][0]["role"] == "system" else f"It is about {label}, I think."
        if "yes or no" in last:
            text = "yes" if "Answer:\nrefund" in last or "Answer:\ndelivery" in last else "no"
        usage = {"prompt_tokens": len(last), "completion_tokens": len(text), "total_tokens": len(last) + len(text)}
        message = {"role": "assistant", "content": text}
        reply = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"], "usage": usage,
                 "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}  # fmt: skip
        payload = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Labels.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Labels)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def url(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> str:
    found = f"http://127.0.0.1:{server.server_address[1]}/v1"
    monkeypatch.setenv("ZHILU_BASE_URL", found)
    return found


@pytest.fixture
def context(url: str) -> Iterator[Context]:
    context = open_context()
    yield context
    context.close()


@pytest.fixture
def client(context: Context) -> TestClient:
    return TestClient(create_app(context, only=("promptlab", "jobs")), base_url="http://127.0.0.1:8642")


def _make(client: TestClient) -> None:
    ask = {"name": "mine", "template": {"user": "{{message}}?"}}
    assert client.post(f"{LAB}/templates", json=ask).json()["number"] == 1
    told = {"name": "mine", "template": {"user": "{{message}}?", "system": "delivery or refund"}}
    assert client.post(f"{LAB}/templates", json=told).json()["number"] == 2
    rows = "".join(
        f"{word} {n},{label}\n" for n in range(6) for word, label in (("money", "refund"), ("parcel", "delivery"))
    )
    kept = client.post(f"{LAB}/sets/mine/import", json={"text": "message,expected\n" + rows, "form": "csv"})
    assert (kept.status_code, kept.json()["items"], kept.json()["graders"]) == (201, 12, ["exact"])


def test_two_versions_are_compared_and_nothing_is_asked_twice(client: TestClient, context: Context) -> None:
    _make(client)
    wish = {"template": "mine", "versions": [1, 2], "set": "mine", "model": "m"}
    job = client.post(f"{LAB}/runs", json=wish).json()
    done = JobStore(context).wait(job["id"])
    assert done.status == "done" and done.result is not None, done.error
    a, b = done.result["runs"]
    found = client.get(f"{LAB}/compare", params={"a": a, "b": b}).json()
    assert (found["only_a"], found["only_b"], found["verdict"], found["p"]) == (0, 12, "b_better", round(2 / 4096, 6))
    assert found["a"]["score"]["prompt_tokens"] == sum(
        len(body["messages"][-1]["content"]) for body in Labels.asked[:12]
    )
    asked = len(Labels.asked)
    again = JobStore(context).wait(client.post(f"{LAB}/runs", json=wish).json()["id"])
    assert again.result == done.result and len(Labels.asked) == asked


def test_a_job_goes_on_where_it_was_cut_off(client: TestClient, context: Context) -> None:
    _make(client)
    job = client.post(f"{LAB}/runs", json={"template": "mine", "versions": [2], "set": "mine", "model": "m"}).json()
    JobStore(context).wait(job["id"])
    run_id = f"{job['id']}-2"
    path = Runs(context).folder / run_id / "answers.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    kept = len(Runs(context).answers(run_id))
    asked = len(Labels.asked)

    class Here:
        id, attempt = job["id"], 2

        def __init__(self) -> None:
            self.context = context

        def progress(self, *_: Any) -> None: ...

    run_prompt_job(
        Here(), {"template": "mine", "versions": [2], "set": "mine", "model": "m", "judge": None, "again": False}
    )  # type: ignore[arg-type]
    assert len(Labels.asked) - asked == 12 - kept
    assert Runs(context).get(run_id).score.right == 12


def test_a_judge_is_asked_and_measured(client: TestClient, context: Context) -> None:
    _make(client)
    items = [{"id": "1", "vars": {"message": "money"}, "expected": "names the label", "grader": "judge"}]
    client.put(f"{LAB}/sets/judged", json={"items": items})
    job = client.post(f"{LAB}/runs", json={"template": "mine", "versions": [2], "set": "judged", "model": "m"}).json()
    done = JobStore(context).wait(job["id"])
    assert done.result is not None, done.error
    run_id = done.result["runs"][0]
    assert client.post(f"{LAB}/runs/{run_id}/marks", json={"item": "1", "right": False}).status_code == 204
    found = client.get(f"{LAB}/runs/{run_id}").json()
    assert found["rows"][0]["right"] is True and found["rows"][0]["judged"] == "yes"
    assert found["run"]["score"]["agreement"] == {"marked": 1, "agreed": 0, "share": 0.0, "kappa": None}
    assert found["run"]["judge"] == "m" and found["run"]["score"]["judge_tokens"] > 0


def test_a_set_without_a_variable_is_refused_before_anything_is_asked(client: TestClient) -> None:
    _make(client)
    body = {"template": "receipt-en", "set": "mine", "model": "m"}
    answer = client.post(f"{LAB}/runs", json=body)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "missing_variable"
    assert Labels.asked == []


@pytest.mark.parametrize(
    ("path", "body"),
    [("templates", {"name": "../x", "template": {"user": "a"}}), ("templates", {"name": "a", "template": {"user": "a", "top_k": 1}}),
     ("runs", {"template": "mine", "set": "mine", "sett": 1}), ("sets/a/import", {"text": "{}"})],
)  # fmt: skip
def test_what_is_unknown_is_refused(client: TestClient, path: str, body: dict[str, Any]) -> None:
    assert client.post(f"{LAB}/{path}", json=body).status_code == 400


TOLD = PromptTemplate(user='Say "{{what}}" {{ 谁 }} {"a": 1}', system="It's 100 %.\n\\n 'quoted'", max_tokens=5)


def test_exported_python_asks_what_the_lab_asks(url: str, tmp_path: Path) -> None:
    program = tmp_path / "ask.py"
    program.write_text(export(TOLD, "m", url, "python"), encoding="utf-8")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    _same(Labels.asked[-1])


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="jq or curl is not installed")
def test_exported_curl_asks_what_the_lab_asks(url: str) -> None:
    env = {**os.environ, "no_proxy": "127.0.0.1"}
    script = export(TOLD, "m", url, "curl")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=env, timeout=60)
    assert done.returncode == 0 and "delivery" in done.stdout, done.stderr
    _same(Labels.asked[-1])


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not installed")
def test_exported_javascript_asks_what_the_lab_asks(url: str, tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "openai"
    package.mkdir(parents=True)
    # The official client's one call that the program makes, in its shape; the client itself is a matter of tests/contract/clients.
    (package / "package.json").write_text('{"type": "module", "main": "index.js"}')
    (package / "index.js").write_text(
        "export default class { constructor({ baseURL }) { this.chat = { completions: { create: async (body) =>"
        " (await fetch(`${baseURL}/chat/completions`, { method: 'POST', body: JSON.stringify(body) })).json() } }; } }"
    )
    program = tmp_path / "ask.mjs"
    program.write_text(export(TOLD, "m", url, "javascript"), encoding="utf-8")
    done = subprocess.run(["node", str(program)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and "delivery" in done.stdout, done.stderr
    _same(Labels.asked[-1])


def _same(body: dict[str, Any]) -> None:
    assert body["messages"] == render(TOLD, {"what": "what …", "谁": "谁 …"})
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 5, 0.0)
