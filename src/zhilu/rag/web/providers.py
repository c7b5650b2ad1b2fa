"""Who searches the web: one function a provider, from a query to addresses with titles and snippets.

Written after the providers' own documents: SearXNG (``/search?format=json``), Brave Search API (``/res/v1/web/search``), Tavily
(``POST /search``), Bocha (``POST /v1/web-search``), DuckDuckGo's page without scripts (no API; it may refuse). ``site`` needs no
network: it searches a folder of pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from zhilu.errors import AuthError, MissingComponentError, UnreachableError, UpstreamError
from zhilu.messages import T
from zhilu.rag.web.keys import WebKeys
from zhilu.registry import Registry
from zhilu.text.terms import query_terms, terms

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["PROVIDERS", "Found", "Provider", "search_web"]

_SECONDS = 15.0


@dataclass(frozen=True)
class Found:
    """A search result. ``path``: the page is a file here, and need not be fetched."""

    url: str
    title: str
    snippet: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class _Asked:
    """What a provider is told. ``base`` replaces its own address."""

    query: str
    count: int
    key: str | None
    base: str | None
    folder: str | None


@dataclass(frozen=True)
class Provider:
    """
    Attributes:
        needs: ``key``, ``url``, ``folder`` or nothing; what a person must give before it works.
    """

    name: str
    title: T
    needs: str
    search: Callable[[_Asked], Awaitable[list[Found]]]


async def search_web(context: Context, query: str, count: int = 5) -> list[Found]:
    """What the provider of the setting ``web_search`` finds, best first.

    Raises:
        MissingComponentError: no provider is chosen, or it lacks its key, URL or folder. UnreachableError: it does not answer.
        AuthError: it refuses the key. UpstreamError: it answers otherwise than it documents.
    """
    settings = context.settings
    if settings.web_search == "none":
        raise MissingComponentError(
            T("No web search is set up.", "还没有设置网络搜索。"), fix="zhilu settings set web_search searxng"
        )
    provider = PROVIDERS.get(settings.web_search)
    asked = _Asked(query, count, WebKeys(context.home).get(provider.name), settings.web_url, settings.web_folder)
    given = {"key": asked.key, "url": asked.base, "folder": asked.folder, "": "-"}[provider.needs]
    if not given:
        fix = {
            "key": f"zhilu web key {provider.name}", "url": "zhilu settings set web_url http://127.0.0.1:8080",
            "folder": "zhilu settings set web_folder FOLDER",
        }[provider.needs]  # fmt: skip
        raise MissingComponentError(
            T(f"{provider.title.en} needs a {provider.needs}.", f"{provider.title.zh} 还缺少 {provider.needs}。"),
            fix=fix,
        )
    try:
        found = await provider.search(asked)
    except httpx.HTTPError as error:
        raise UnreachableError(
            T(
                f"{provider.title.en} does not answer: {type(error).__name__}.",
                f"{provider.title.zh} 没有应答：{type(error).__name__}。",
            ),
            fix="zhilu settings list",
        ) from error
    return list({f.url: f for f in reversed(found)}.values())[::-1][:count]


async def _searxng(asked: _Asked) -> list[Found]:
    data = await _json("GET", f"{_base(asked, '')}/search", params={"q": asked.query, "format": "json"}, name="SearXNG")
    return _found(data.get("results"), "url", "title", "content")


async def _brave(asked: _Asked) -> list[Found]:
    url = f"{_base(asked, 'https://api.search.brave.com')}/res/v1/web/search"
    headers = {"X-Subscription-Token": asked.key or "", "Accept": "application/json"}
    data = await _json("GET", url, params={"q": asked.query, "count": asked.count}, headers=headers, name="Brave")
    return _found((data.get("web") or {}).get("results"), "url", "title", "description")


async def _tavily(asked: _Asked) -> list[Found]:
    url = f"{_base(asked, 'https://api.tavily.com')}/search"
    body = {"query": asked.query, "max_results": asked.count}
    data = await _json("POST", url, json=body, headers=_bearer(asked), name="Tavily")
    return _found(data.get("results"), "url", "title", "content")


async def _bocha(asked: _Asked) -> list[Found]:
    url = f"{_base(asked, 'https://api.bochaai.com')}/v1/web-search"
    body = {"query": asked.query, "summary": True, "count": asked.count}
    data = await _json("POST", url, json=body, headers=_bearer(asked), name="Bocha")
    pages = ((data.get("data") or {}).get("webPages") or {}).get("value")
    return _found(pages, "url", "name", "summary")


async def _duckduckgo(asked: _Asked) -> list[Found]:
    from lxml import html  # type: ignore[import-untyped]

    url = f"{_base(asked, 'https://html.duckduckgo.com')}/html/"
    async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=True) as client:
        response = await client.post(url, data={"q": asked.query}, headers={"User-Agent": "Mozilla/5.0"})
    if response.status_code != 200:  # it answers 202 and a puzzle to whom it takes for a program
        raise _odd("DuckDuckGo", response.status_code)
    found = []
    for link in html.fromstring(response.content).xpath("//a[contains(@class, 'result__a')]"):
        href = str(link.get("href") or "")
        target = parse_qs(urlsplit(href).query).get("uddg", [href])[0]
        if target.startswith("http"):
            found.append(Found(target, str(link.text_content()).strip()))
    return found


async def _site(asked: _Asked) -> list[Found]:
    """The pages of a folder that share most with the query, words of few pages counting more."""
    import asyncio

    folder = Path(asked.folder or ".").expanduser()
    return await asyncio.to_thread(_search_folder, folder, asked.query, asked.count, asked.base)


def _search_folder(folder: Path, query: str, count: int, base: str | None) -> list[Found]:
    pages = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".html", ".htm", ".md", ".txt") and p.is_file())
    held = {page: set(terms(_words(page))) for page in pages}
    wanted = set(query_terms(query)) | set(terms(query))
    weight = {t: 1 / (1 + sum(t in words for words in held.values())) for t in wanted}
    scored = {page: sum(weight[t] for t in wanted & words) for page, words in held.items()}
    best = [p for p in sorted(pages, key=lambda p: -scored[p]) if scored[p] > 0][:count]
    found = []
    for page in best:
        path = quote(page.relative_to(folder).as_posix())
        url = f"{base.rstrip('/')}/{path}" if base else page.resolve().as_uri()
        found.append(Found(url, page.stem, path=None if base else page))
    return found


def _words(page: Path) -> str:
    text = page.read_text(encoding="utf-8", errors="replace")[:500_000]
    if page.suffix.lower() in (".html", ".htm"):
        from lxml import html

        try:
            return str(html.fromstring(text.encode()).text_content())
        except (ValueError, TypeError):  # no element at all
            return ""
    return text


async def _json(method: str, url: str, *, name: str, **sent: Any) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=_SECONDS) as client:
        response = await client.request(method, url, **sent)
    if response.status_code in (401, 403):
        hint = " (SearXNG: allow the format json in its settings.yml)" if name == "SearXNG" else ""
        raise AuthError(
            T(f"{name} refuses: {response.status_code}.{hint}", f"{name} 拒绝访问：{response.status_code}。{hint}"),
            fix=f"zhilu web key {name.lower()}",
        )
    try:
        data = response.json()
    except ValueError:
        data = None
    if response.is_error or not isinstance(data, dict):
        raise _odd(name, response.status_code)
    return data


def _odd(name: str, status: int) -> UpstreamError:
    return UpstreamError(
        T(f"{name} answered {status}, and no results.", f"{name} 返回 {status}，没有结果。"),
        fix="zhilu settings set web_search searxng",
    )


def _found(entries: Any, url: str, title: str, snippet: str) -> list[Found]:
    there: Sequence[Any] = entries if isinstance(entries, list) else ()
    return [
        Found(str(e[url]), str(e.get(title) or e[url]), str(e.get(snippet) or ""))
        for e in there
        if isinstance(e, dict) and str(e.get(url) or "").startswith("http")
    ]


def _base(asked: _Asked, own: str) -> str:
    return (asked.base or own).rstrip("/")


def _bearer(asked: _Asked) -> dict[str, str]:
    return {"Authorization": f"Bearer {asked.key}"}


PROVIDERS: Registry[Provider] = Registry(T("search provider", "搜索服务"))
for _one in (
    Provider("searxng", T("SearXNG", "SearXNG"), "url", _searxng),
    Provider("brave", T("Brave Search", "Brave 搜索"), "key", _brave),
    Provider("tavily", T("Tavily", "Tavily"), "key", _tavily),
    Provider("bocha", T("Bocha", "博查"), "key", _bocha),
    Provider("duckduckgo", T("DuckDuckGo", "DuckDuckGo"), "", _duckduckgo),
    Provider("site", T("A folder of pages", "本地网页文件夹"), "folder", _site),
):
    PROVIDERS.add(_one.name, _one)
