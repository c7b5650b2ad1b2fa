"""A web site on loopback: the page alone, its sitemap, its links, robots.txt, pages that go and pages that fail."""

from __future__ import annotations

from typing import Any

import pytest

from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.rag.sources import site


def page(title: str, *links: str) -> tuple[int, str, bytes]:
    anchors = "".join(f'<a href="{link}">to {link}</a> ' for link in links)
    text = (
        f"<html><head><title>{title}</title></head>"
        f"<body><article><h1>{title}</h1><p>The {title} of Port Ellery opens at seven in the morning and closes late.</p>"
        f"<p>{anchors}</p></article></body></html>"
    )
    return 200, "text/html; charset=utf-8", text.encode()


@pytest.fixture(autouse=True)
def loopback(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    context.settings = context.settings.model_copy(update={"web_private": True})
    monkeypatch.setattr(site, "_DELAY", 0.0)


def test_a_page_alone(serve: Any, add: Any, walk: Any, names: Any) -> None:
    pages = {"/guide/": page("harbour", "/guide/lamp")}
    server = serve(lambda path, headers: pages.get(path))
    source = add(f"{server.url}/guide/")
    assert walk(source)["added"] == 1 and names() == {"127.0.0.1/guide/index.html"}
    assert walk(source)["same"] == 1
    pages["/guide/"] = page("new harbour")
    assert walk(source)["changed"] == 1


def test_links_below_the_address_are_followed(serve: Any, add: Any, walk: Any, names: Any) -> None:
    pages = {
        "/guide/": page("home", "lamp", "/guide/lamp#top", "/other/x", "http://example.org/", "mailto:a@b", "http://[", "logo.png"),
        "/guide/lamp": page("lamp", "/guide/stairs?floor=2", "/guide/"),
        "/guide/stairs?floor=2": page("stairs"),
        "/other/x": page("other"),
    }  # fmt: skip
    server = serve(lambda path, headers: pages.get(path))
    source = add(f"{server.url}/guide/", pages=50)
    assert walk(source)["added"] == 3
    assert {n.removeprefix("127.0.0.1/guide/") for n in names()} >= {"index.html", "lamp.html"}
    assert not any("/other" in path for path, _ in server.seen)
    del pages["/guide/lamp"]  # nothing leads to the stairs any more
    assert walk(source)["removed"] == 2 and len(names()) == 1


def test_a_page_that_fails_is_not_gone(serve: Any, add: Any, walk: Any, names: Any) -> None:
    pages: dict[str, Any] = {"/": page("home", "/a", "/b"), "/a": page("alpha"), "/b": page("beta")}
    server = serve(lambda path, headers: pages.get(path))
    source = add(f"{server.url}/", pages=50)
    walk(source)
    pages["/a"] = (500, "text/plain", b"trouble")
    report = walk(source)
    assert (report["removed"], report["refused"]) == (0, 1) and len(names()) == 3
    pages["/a"] = (404, "text/plain", b"gone")
    assert walk(source)["removed"] == 1 and len(names()) == 2
    pages["/"] = (500, "text/plain", b"trouble")
    with pytest.raises(ZhiluError):
        walk(source)
    assert len(names()) == 2


def test_robots_are_obeyed_and_sitemaps_read(serve: Any, add: Any, walk: Any, names: Any) -> None:
    def answer(path: str, headers: Any) -> Any:
        here = f"http://{headers['Host']}"
        if path == "/robots.txt":
            return 200, "text/plain", f"User-agent: *\nDisallow: /private\nSitemap: {here}/map.xml\n".encode()
        if path == "/map.xml":
            return (
                200,
                "application/xml",
                f"<sitemapindex><sitemap><loc>{here}/pages.xml</loc></sitemap></sitemapindex>".encode(),
            )
        if path == "/pages.xml":
            entity = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
            locs = "".join(f"<url><loc>{here}{p}</loc></url>" for p in ("/one", "/private/two", "/three"))
            return 200, "application/xml", f"{entity}<urlset>{locs}<url><loc>&e;</loc></url></urlset>".encode()
        return page(path.strip("/") or "home")

    server = serve(answer)
    walk(add(f"{server.url}/", pages=50))
    assert names() == {f"127.0.0.1/{n}.html" for n in ("index", "one", "three")}
    assert not any(path.startswith("/private") for path, _ in server.seen)


def test_the_limit_holds_and_deletes_nothing(serve: Any, add: Any, walk: Any, names: Any, kb: Any) -> None:
    """A site without an end."""
    server = serve(
        lambda path, headers: page(f"page {path}", f"/n{int(path[2:] or 0) + 1}") if path[:2] in ("/", "/n") else None
    )
    source = add(f"{server.url}/", pages=5)
    assert walk(source)["added"] == 5 and len(names()) == 5
    kb.database.set_meta(x="1")
    assert walk(source)["removed"] == 0


def test_a_private_address_is_refused_unless_allowed(context: Context, serve: Any, add: Any, walk: Any) -> None:
    context.settings = context.settings.model_copy(update={"web_private": False})
    server = serve(lambda path, headers: page("x"))
    with pytest.raises(ZhiluError) as caught:
        walk(add(f"{server.url}/"))
    assert caught.value.code == "fetch_refused" and server.seen == []
