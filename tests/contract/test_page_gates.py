"""Gate 5.6 against a running gateway: it tells a page that streams from one that only looks like it.

The pages here are small and go wrong in ways that a person might write; the real sample and the workbench are looked at by
``tests/e2e/test_clients.py``.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.contract.gateway_server import RunningGateway, run_tiny_gateway

from zhilu.context import Context, open_context
from zhilu.gate import Because, Figure, Status, Verdict
from zhilu.messages import T
from zhilu.serving.page_gates import GATES, check_pages, judge_page
from zhilu.serving.proofs.browser import find_chromium, open_page
from zhilu.serving.proofs.client_tools import Missing
from zhilu.serving.proofs.page_proof import InBrowser, Selectors

PAGE = """<!doctype html><meta charset="utf-8"><main aria-busy="false"></main>
<textarea autofocus></textarea><span id="bar"></span><script>
const main = document.querySelector("main"), field = document.querySelector("textarea"), bar = document.querySelector("#bar");
const how = %s;
field.onkeydown = async (event) => {
  if (event.key !== "Enter") return;
  const stop = new AbortController();
  main.ariaBusy = "true";
  if (how.stop) bar.innerHTML = "<button data-stop>Stop</button>";
  if (how.stop) bar.firstChild.onclick = () => { if (how.stops) stop.abort(); else main.ariaBusy = "false"; };
  const article = main.appendChild(document.createElement("article"));
  try {
    const reply = await fetch("/v1/chat/completions", { method: "POST", signal: stop.signal, body: JSON.stringify({
      model: new URLSearchParams(location.search).get("model"), messages: [{ role: "user", content: field.value }],
      max_tokens: 1000, stream: true, ignore_eos: true }) });
    if (!reply.ok) throw new Error((await reply.json()).error.message);
    let text = "";
    for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) {
      text += piece.length;
      if (!how.holds) article.textContent = text;
      await new Promise((done) => setTimeout(done, 5));
    }
    article.textContent = text;
  } catch (error) {
    if (how.tells && !stop.signal.aborted) main.insertAdjacentHTML("beforeend", `<p role="alert">${error.message}</p>`);
  }
  bar.innerHTML = "";
  main.ariaBusy = "false";
};
</script>"""
WORKS = {"stop": True, "stops": True, "holds": False, "tells": True}
AT = Selectors("textarea", "article", "[data-stop]", 'main[aria-busy="false"]')


def test_the_gate_is_the_roadmaps() -> None:
    assert [gate.task for gate in GATES] == ["5.6"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_tiny_gateway(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture
def context(gateway: RunningGateway) -> Iterator[Context]:
    context = open_context({"home": str(gateway.context.home.path), "model": "tiny"})
    yield context
    context.close()


@contextmanager
def served(page: str, gateway: str) -> Iterator[str]:
    """The page, and the gateway behind the page's own address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._send(200, {"content-type": "text/html"})
            self.wfile.write(page.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = urllib.request.Request(gateway + self.path, body, {"content-type": "application/json"})
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
                    self._send(200, {"x-request-id": reply.headers["x-request-id"]})
                    for number, line in enumerate(reply):
                        self.wfile.write(line)
                        time.sleep(0.004 if number < 40 else 0)  # the tiny model is faster than a page can show
            except urllib.error.HTTPError as error:
                self._send(error.code, {"content-type": "application/json"})
                self.wfile.write(error.read())
            except OSError:
                pass  # the page has left

        def _send(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, None),
        ({"holds": True}, "pieces were shown"),
        ({"stop": False}, "nothing to stop it"),
        ({"stops": False}, "wrote on after the stop"),
        ({"tells": False}, "of a missing model it says"),
    ],
)
def test_what_a_page_does_is_seen(
    gateway: RunningGateway, context: Context, how: dict[str, bool], said: str | None
) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here")
    figures: list[Figure] = []
    with (
        served(PAGE % json.dumps(WORKS | how), gateway.url) as address,
        open_page(chromium) as (page, version),
    ):
        assert "Chrom" in version
        seen = judge_page(context, InBrowser(page, address, AT), T("The page", "页面"), figures)
    if said is None:
        assert not isinstance(seen, Verdict), seen.why
        assert int(figures[0].value) >= 3
    else:
        assert isinstance(seen, Verdict)
        assert seen.status is Status.FAILED
        assert said in seen.why.en
        assert seen.why.zh


def test_without_node_it_says_what_brings_it(context: Context) -> None:
    none = Missing(T("There is no Node.js here.", "本机没有 Node.js。"), "sudo apt install nodejs")
    verdict = check_pages(context, find=lambda context: none)
    assert (verdict.status, verdict.because, verdict.fix) == (
        Status.CANNOT_RUN_HERE, Because.COMPONENT, "sudo apt install nodejs",
    )  # fmt: skip


def test_another_servers_gateway_is_not_judged(gateway: RunningGateway, tmp_path: Path) -> None:
    elsewhere = open_context({"home": str(tmp_path), "base_url": "http://127.0.0.1:9"})
    try:
        assert check_pages(elsewhere).status is Status.CANNOT_RUN_HERE
    finally:
        elsewhere.close()
