"""Gate 5.7 against a running gateway: it tells a back end that streams from one that only looks like it.

The back ends here are Python in the samples' names, so that every way to go wrong can be acted; the real ones in Node.js and
Java are run by ``tests/e2e/test_clients.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.gateway_server import RunningGateway, run_tiny_gateway

from zhilu.context import Context, open_context
from zhilu.gate import Status
from zhilu.messages import T
from zhilu.serving.backend_gates import GATES, check_backends
from zhilu.serving.proofs.client_tools import Missing, Runtime

BACKEND = """
import http.server, json, os, time, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_POST(self):
        question = self.rfile.read(int(self.headers["content-length"])).decode()
        if not question and {refuses}:
            self.send_response(400); self.end_headers(); return
        body = {{"model": os.environ["ZHILU_MODEL"], "messages": [{{"role": "user", "content": question}}], "max_tokens": 96,
                "stream": True, "ignore_eos": True}}
        request = urllib.request.Request(os.environ["ZHILU_URL"] + "/chat/completions", json.dumps(body).encode(),
                                         {{"content-type": "application/json"}})
        with urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(request) as reply:
            self.send_response(200)
            self.send_header("X-Request-Id", {identity})
            self.end_headers()
            held = b""
            for line in reply:
                if {ends} or b"[DONE]" not in line:
                    held += line
                if not {holds}:
                    time.sleep(0.002)
                    self.wfile.write(held); self.wfile.flush(); held = b""
            self.wfile.write(held)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
print(f"listening at http://127.0.0.1:{{server.server_port}}", flush=True)
server.serve_forever()
"""


def text(
    *, holds: bool = False, ends: bool = True, refuses: bool = True, identity: str = 'reply.headers["x-request-id"]'
) -> str:
    return BACKEND.format(holds=holds, ends=ends, refuses=refuses, identity=identity)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_tiny_gateway(tmp_path_factory.mktemp("backends")) as running:
        yield running


@pytest.fixture
def context(gateway: RunningGateway) -> Iterator[Context]:
    context = open_context({"home": str(gateway.context.home.path), "model": "tiny"})
    yield context
    context.close()


def acted(folder: Path, program: str, name: str = "node") -> Callable[[Context], Runtime]:
    home = folder / name
    home.mkdir()
    (home / {"node": "backend.mjs", "java": "Backend.java"}[name]).write_text(program)
    return lambda context: Runtime(name, name.title(), "99.0", sys.executable, home=home)


def test_the_gate_is_the_roadmaps() -> None:
    assert [gate.task for gate in GATES] == ["5.7"]


def test_two_that_stream_pass(context: Context, tmp_path: Path) -> None:
    verdict = check_backends(context, find=(acted(tmp_path, text()), acted(tmp_path, text(), "java")))
    assert verdict.status is Status.PASSED, verdict.why
    assert [a.name for a in verdict.artefacts] == ["node/backend.mjs", "java/Backend.java"]
    pieces = [f.value for f in verdict.figures if f.name.en.endswith("pieces")]
    assert all(int(n) >= 3 for n in pieces)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (text(holds=True), "held back"),
        (text(ends=False), "did not"),
        (text(refuses=False), "not 400"),
        (text(identity='"req-invented"'), "no such stream"),
        ("raise SystemExit('no port for me')", "did not start"),
        ("import time; time.sleep(0.1)", "did not start"),
    ],
)
def test_one_that_does_not_fails_with_the_reason(context: Context, tmp_path: Path, program: str, said: str) -> None:
    verdict = check_backends(context, find=(acted(tmp_path, program),))
    assert verdict.status is Status.FAILED
    assert said in verdict.why.en
    assert verdict.why.zh


def test_a_missing_language_is_said_with_what_brings_it(context: Context, tmp_path: Path) -> None:
    none = Missing(T("There is no Java here.", "本机没有 Java。"), "sudo apt install default-jdk-headless")
    verdict = check_backends(context, find=(acted(tmp_path, text()), lambda context: none))
    assert verdict.status is Status.CANNOT_RUN_HERE
    assert verdict.fix == none.fix


def test_another_servers_gateway_is_not_judged(context: Context) -> None:
    elsewhere = open_context({"home": str(context.home.path), "base_url": "http://127.0.0.1:9"})
    try:
        assert check_backends(elsewhere, find=()).status is Status.CANNOT_RUN_HERE
    finally:
        elsewhere.close()
