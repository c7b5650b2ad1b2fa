"""Answers from the web: the guard around every fetch, the providers by what they document, and an answer with its page."""

from __future__ import annotations

import asyncio
import http.server
import json
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from zhilu.client import ModelClient
from zhilu.context import Context, open_context
from zhilu.errors import AuthError, InputError, MissingComponentError, TooLargeError, UnreachableError, UpstreamError
from zhilu.gate import Because, Status
from zhilu.rag.database import KbDatabase
from zhilu.rag.testing import HASH
from zhilu.rag.web import ask as asking
from zhilu.rag.web import fetch as fetching
from zhilu.rag.web.ask import answer_from_web
from zhilu.rag.web.fetch import Guard, fetch
from zhilu.rag.web.gate import check_web
from zhilu.rag.web.keys import WebKeys
from zhilu.rag.web.providers import PROVIDERS, search_web

PAGE = (
    "<html><head><title>Harbour</title></head><body><nav>Home Tickets About</nav><article><h1>The harbour lighthouse</h1>"
    "<p>The lighthouse of Port Ellery was lit for the first time in 1874 by the keeper Agnes Moore.</p>"
    "<p>Visitors may climb its 143 steps on Sundays, when the lamp room is open to everyone.</p></article></body></html>"
)
OTHER = (
    "<html><body><article><h1>Baking</h1><p>Knead the dough for ten minutes and let it rest in a warm place until it has "
    "doubled, then bake it for half an hour.</p></article></body></html>"
)
OPEN = Guard(allow_private=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """Routes: ``path -> (status, headers, body)`` or a function of the handler."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.seen.append((self.command, self.path, dict(self.headers)))
        length = int(self.headers.get("content-length") or 0)
        server.bodies.append(self.rfile.read(length))
        route = server.routes.get(self.path.split("?")[0], (404, {}, b""))
        status, headers, body = route
        self.send_response(status)
        for name, value in {"content-type": "text/html; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served() -> Iterator[Callable[[dict[str, Any]], Any]]:
    """``served({path: (status, headers, body)})``: a server on loopback with ``.url``, ``.seen`` and ``.bodies``."""
    servers = []

    def start(routes: dict[str, Any]) -> Any:
        server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.routes, server.seen, server.bodies = routes, [], []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@contextmanager
def opened(**settings: Any) -> Iterator[Context]:
    context = open_context({"embedder": HASH.name, **settings})
    try:
        yield context
    finally:
        context.close()


def get(url: str, guard: Guard = Guard()) -> Any:
    return asyncio.run(fetch(url, guard))


def test_a_page_is_fetched_where_private_addresses_are_allowed(served: Any) -> None:
    site = served({"/a": (302, {"location": "/b"}, b""), "/b": (200, {}, PAGE.encode())})
    found = get(f"{site.url}/a", OPEN)
    assert found.url == f"{site.url}/b" and b"Port Ellery" in found.content
    assert {"Cookie", "Authorization"} & set(site.seen[0][2]) == set()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/", "http://10.0.0.1/", "http://192.168.1.1/", "http://169.254.169.254/",
        "http://0.0.0.0/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[fd00::1]/", "http://2130706433/",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_before_a_connection(url: str) -> None:
    with pytest.raises((InputError, UnreachableError)) as caught:
        get(url)
    assert isinstance(caught.value, InputError) or "name is not known" in caught.value.message.en


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/", "http:///x", "http://user:pass@example.org/"]
)
def test_other_schemes_and_passwords_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="is not fetched"):
        get(url, OPEN)


def pretend(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The name server gives these addresses, in turn; the list of names it was asked for."""
    asked: list[str] = []
    left = list(answers)

    async def getaddrinfo(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", (ip, port)) for ip in (left.pop(0) if len(left) > 1 else left[0])]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


def test_a_public_name_with_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(InputError, match=r"127\.0\.0\.1 is not on the public internet"):
        get("http://rebind.example/")


def test_the_connection_goes_to_the_address_that_was_checked(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = served({"/": (200, {}, b"<p>here</p>")})
    asked = pretend(monkeypatch, ["127.0.0.1"], ["203.0.113.9"])
    port = site.server_address[1]
    assert get(f"http://pages.example:{port}/", OPEN).content == b"<p>here</p>"
    assert asked == ["pages.example"]  # asked once; what it would say next does not matter
    assert site.seen[0][2]["Host"] == f"pages.example:{port}"


def test_a_redirect_into_this_network_is_refused(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = served({"/": (301, {"location": "http://inside.example/secret"}, b"")})
    pretend(monkeypatch, ["127.0.0.1"], ["10.1.2.3"])
    public = fetching.is_public
    monkeypatch.setattr(
        fetching, "is_public", lambda ip: ip == "127.0.0.1" or public(ip)
    )  # the first hop stands for a public one
    with pytest.raises(InputError, match=r"10\.1\.2\.3"):
        get(f"http://pages.example:{site.server_address[1]}/")


def test_limits(served: Any) -> None:
    site = served({
        "/big": (200, {}, b"x" * 5000), "/loop": (302, {"location": "/loop"}, b""), "/zip": (200, {"content-type": "application/zip"}, b"PK"),
        "/gone": (410, {}, b""),
    })  # fmt: skip
    with pytest.raises(TooLargeError):
        get(f"{site.url}/big", Guard(allow_private=True, max_bytes=1000))
    with pytest.raises(UpstreamError, match="more than 5 redirects"):
        get(f"{site.url}/loop", OPEN)
    with pytest.raises(InputError, match="nothing to read"):
        get(f"{site.url}/zip", OPEN)
    with pytest.raises(UpstreamError, match="410"):
        get(f"{site.url}/gone", OPEN)


HIT = {"title": "Harbour", "url": "https://example.org/harbour"}
ANSWERS = {
    "searxng": ("/search", {"results": [{**HIT, "content": "lit in 1874"}]}),
    "brave": ("/res/v1/web/search", {"web": {"results": [{**HIT, "description": "lit in 1874"}]}}),
    "tavily": ("/search", {"results": [{**HIT, "content": "lit in 1874"}]}),
    "bocha": ("/v1/web-search", {"code": 200, "data": {"webPages": {"value": [{"name": "Harbour", "url": HIT["url"], "summary": "lit in 1874"}]}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_providers_by_what_they_document(served: Any, name: str) -> None:
    path, answer = ANSWERS[name]
    server = served({path: (200, {"content-type": "application/json"}, json.dumps(answer).encode())})
    with opened(web_search=name, web_url=server.url) as context:
        if PROVIDERS.get(name).needs == "key":
            with pytest.raises(MissingComponentError) as caught:
                asyncio.run(search_web(context, "harbour"))
            assert caught.value.fix == f"zhilu web key {name}"
            WebKeys(context.home).set(name, "secret-key-123456")
        found = asyncio.run(search_web(context, "harbour"))
    assert [(f.url, f.title, f.snippet) for f in found] == [(HIT["url"], "Harbour", "lit in 1874")]
    sent = json.dumps(server.seen[0][2])
    assert ("secret-key-123456" in sent) is (PROVIDERS.get(name).needs == "key")


def test_duckduckgo_reads_the_page_without_scripts(served: Any) -> None:
    link = '<a class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fexample.org%2Fharbour&rut=x">Harbour</a>'
    server = served({"/html/": (200, {}, link.encode())})
    with opened(web_search="duckduckgo", web_url=server.url) as context:
        assert [f.url for f in asyncio.run(search_web(context, "harbour"))] == ["https://example.org/harbour"]
        server.routes["/html/"] = (202, {}, b"")
        with pytest.raises(UpstreamError, match="202"):
            asyncio.run(search_web(context, "harbour"))


def test_a_refused_key_is_said_without_the_key(served: Any) -> None:
    server = served({"/search": (401, {}, b"no")})
    with opened(web_search="tavily", web_url=server.url) as context:
        keys = WebKeys(context.home)
        keys.set("tavily", "secret-key-123456")
        assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600 and keys.names() == ["tavily"]
        with pytest.raises(AuthError) as caught:
            asyncio.run(search_web(context, "x"))
        assert "secret" not in str(caught.value)
        keys.set("tavily", None)
        assert "secret" not in keys.path.read_text()


def folder(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "harbour.html").write_text(PAGE)
    (tmp_path / "pages" / "baking.html").write_text(OTHER)
    return tmp_path / "pages"


def ask(context: Context, client: ModelClient, question: str) -> tuple[list[str], dict[str, Any]]:
    async def run() -> tuple[list[str], dict[str, Any]]:
        names, done = [], {}
        async for event in answer_from_web(context, client, question, model="m"):
            names.append(event.name)
            done = event.data
        return names, done

    return asyncio.run(run())


def test_a_question_is_answered_from_a_page_with_its_address(
    served: Any, tmp_path: Path, scripted: Callable[..., ModelClient]
) -> None:
    site = served({"/harbour.html": (200, {}, PAGE.encode()), "/baking.html": (200, {}, OTHER.encode())})
    settings = {"web_search": "site", "web_folder": str(folder(tmp_path)), "web_url": site.url}
    question = "In which year was the lighthouse of Port Ellery lit for the first time?"
    with opened(**settings) as context:  # loopback is private: nothing is read
        names, done = ask(context, scripted(), question)
        assert done["refused"] and done["pages"][0]["error"]["code"] == "fetch_refused"
    with opened(**settings, web_private=True) as context:
        names, done = ask(context, scripted("It was lit for the first time in 1874."), question)
        assert names[:2] == ["searched", "retrieved"] and names[-1] == "done"
        cited = [c for c in done["citations"] if c["cited"]]
        assert "1874" in done["answer"] and {c["url"] for c in cited} == {f"{site.url}/harbour.html"}
        assert not done["refused"] and done["pages"][0]["from_cache"] is False
        num_asked = len(site.seen)
        _, again = ask(context, scripted("It was lit for the first time in 1874."), question)
        assert again["pages"][0]["from_cache"] is True and len(site.seen) == num_asked
        assert list(context.home.cache.glob("web-*")) == []


def test_a_folder_works_without_any_server(tmp_path: Path, scripted: Callable[..., ModelClient]) -> None:
    with opened(web_search="site", web_folder=str(folder(tmp_path))) as context:
        _, done = ask(context, scripted("It has 143 steps."), "How many steps may visitors of the lighthouse climb?")
        assert "143" in done["answer"] and done["citations"][0]["url"].startswith("file:")


def test_an_answer_that_nobody_waits_for_leaves_nothing_open(
    tmp_path: Path, scripted: Callable[..., ModelClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_here: list[KbDatabase] = []

    def note(path: Path) -> KbDatabase:
        opened_here.append(KbDatabase(path))
        return opened_here[-1]

    async def go_away_after(name: str) -> None:
        events = answer_from_web(context, scripted("It has 143 steps."), "How many steps?", model="m")
        async with aclosing(events):
            async for event in events:
                if event.name == name:
                    return

    monkeypatch.setattr(asking, "KbDatabase", note)
    with opened(web_search="site", web_folder=str(folder(tmp_path))) as context:
        asyncio.run(go_away_after("retrieved"))
        monkeypatch.setattr(asking, "publish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(go_away_after("retrieved"))
        assert list(context.home.cache.glob("web-*")) == []
    assert len(opened_here) == 2
    for database in opened_here:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            database.meta("name")


def test_what_no_page_holds_is_refused(tmp_path: Path, scripted: Callable[..., ModelClient]) -> None:
    with opened(web_search="site", web_folder=str(folder(tmp_path))) as context:
        _, done = ask(context, scripted("Napoleon."), "Who discovered the planet Neptune behind Uranus?")
        assert done["refused"] and not any(c["cited"] for c in done["citations"])


def gate(context: Context, monkeypatch: pytest.MonkeyPatch, client: ModelClient) -> Any:
    @asynccontextmanager
    async def connect(_context: Context) -> Any:
        yield client

    monkeypatch.setattr("zhilu.client.connect", connect)
    return check_web(context)


def test_the_gate(tmp_path: Path, scripted: Callable[..., ModelClient], monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as context:
        verdict = gate(context, monkeypatch, scripted())
        assert verdict.status is Status.CANNOT_RUN_HERE and verdict.because is Because.SETTING
    with opened(web_search="site", web_folder=str(folder(tmp_path))) as context:
        said = ["The document."] * 6  # what the model invents is replaced by a quotation of the page
        verdict = gate(context, monkeypatch, scripted(*said))
        assert verdict.status is Status.PASSED and "file:" in str(verdict.figures[-1].value)
        refusing = gate(context, monkeypatch, scripted(*["The documents do not say."] * 6))
        assert refusing.status is Status.FAILED
