"""Pages of one web site, through the guarded fetcher: those its sitemap names, else those that links lead to.

A page belongs where it has the same scheme, host and port, and lies under the folder of the address. robots.txt is obeyed and its
crawl delay kept; pages are fetched one after the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from zhilu.errors import UpstreamError, ZhiluError
from zhilu.rag.sources.base import Found, SourceKind, SourcePlace
from zhilu.rag.web.fetch import Fetched, Guard, fetch

__all__ = ["SITE", "SiteWalk"]

_AGENT = "Zhilu"
_DELAY, _LONGEST_DELAY = 0.2, 5.0  # seconds between two pages
_MOST_PAGES = 5_000
_ENDINGS = {"application/pdf": ".pdf", "text/plain": ".txt", "text/markdown": ".md", "application/json": ".json"}
_NO_PAGES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".webp",
    ".ico",
    ".css",
    ".js",
    ".woff2",
    ".mp4",
    ".mp3",
    ".zip",
    ".gz",
)


class SiteWalk:
    def __init__(self, place: SourcePlace) -> None:
        self.address = urldefrag(place.address)[0]
        self.limit = max(1, min(place.options.pages, _MOST_PAGES))
        self.guard = Guard(allow_private=place.private)
        self.whole = False
        self._robots = RobotFileParser()
        self._last = 0.0

    def __iter__(self) -> Iterator[Found]:
        single = self.limit == 1
        self._read_robots()
        waiting = [self.address] if single else [self.address, *self._sitemap()]
        seen, taken, complete = set[str](), 0, True
        while waiting:
            url = waiting.pop(0)
            if url in seen or not self._belongs(url):
                continue
            if taken >= self.limit:
                complete = False
                break
            seen.add(url)
            try:
                page = self._fetch(url)
            except ZhiluError as error:
                if _is_gone(error) and url != self.address:
                    continue
                if url == self.address:
                    raise
                yield Found(url, _name(url, "text/html"), "", None, error)
                continue
            seen.add(page.url)
            if not self._belongs(page.url):
                continue
            taken += 1
            stamp = hashlib.sha256(page.content).hexdigest()
            yield Found(url, _name(page.url, page.media_type), stamp, lambda content=page.content: io.BytesIO(content))  # type: ignore[misc]
            if not single and "html" in page.media_type:
                waiting += _links(page)
        self.whole = complete

    def _belongs(self, url: str) -> bool:
        ours, theirs = urlsplit(self.address), urlsplit(url)
        if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
            return False
        folder = ours.path.rpartition("/")[0] + "/"
        if url != self.address and not (theirs.path or "/").startswith(folder):
            return False
        return not theirs.path.lower().endswith(_NO_PAGES) and self._robots.can_fetch(_AGENT, url)

    def _fetch(self, url: str) -> Fetched:
        delay = self._robots.crawl_delay(_AGENT)
        wait = self._last + min(float(delay or _DELAY), _LONGEST_DELAY) - time.monotonic()
        if self._last and wait > 0:
            time.sleep(wait)
        try:
            return asyncio.run(fetch(url, self.guard))
        finally:
            self._last = time.monotonic()

    def _read_robots(self) -> None:
        """Where there is none, everything may be read; where the server fails to say, nothing (RFC 9309, 2.3.1)."""
        try:
            text = asyncio.run(fetch(urljoin(self.address, "/robots.txt"), self.guard)).content
        except UpstreamError as error:
            if not _is_gone(error):
                raise
            text = b""
        self._robots.parse(text.decode("utf-8", "replace")[:500_000].splitlines())

    def _sitemap(self) -> list[str]:
        """Addresses that the site's sitemaps name; one of sitemaps is followed one step."""
        named = self._robots.site_maps() or [urljoin(self.address, "/sitemap.xml")]
        found: list[str] = []
        for address in named[:5]:
            pages, maps = self._sitemap_at(address)
            for below in maps[:50]:
                pages += self._sitemap_at(below)[0]
            found += pages
        return found[: 2 * _MOST_PAGES]

    def _sitemap_at(self, url: str) -> tuple[list[str], list[str]]:
        from lxml import etree  # type: ignore[import-untyped]

        if urlsplit(url).netloc.lower() != urlsplit(self.address).netloc.lower():
            return [], []
        try:
            content = self._fetch(url).content
            root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
        except (ZhiluError, etree.XMLSyntaxError, ValueError):
            return [], []  # no sitemap: links lead on
        places = [(loc.text or "").strip() for loc in root.iter("{*}loc")]
        return ([], places) if etree.QName(root).localname == "sitemapindex" else (places, [])


def _is_gone(error: ZhiluError) -> bool:
    return isinstance(error, UpstreamError) and any(f"answered {code}." in error.message.en for code in (404, 410))


def _links(page: Fetched) -> list[str]:
    from lxml import etree, html

    try:
        root = html.fromstring(page.content)
    except (etree.ParserError, ValueError, TypeError):
        return []
    found = []
    for link in root.iter("a"):
        target = link.get("href")
        if target and "nofollow" not in (link.get("rel") or ""):
            try:
                found.append(urldefrag(urljoin(page.url, target.strip()))[0])
            except ValueError:  # no address at all
                continue
    return found


def _name(url: str, media_type: str) -> str:
    """``guide/install.html`` of an address; a folder is its index."""
    parts = urlsplit(url)
    path = unquote(parts.path).strip("/") or "index"
    if parts.path.endswith("/") and path != "index":
        path += "/index"
    if parts.query:
        path += "-" + hashlib.sha256(parts.query.encode()).hexdigest()[:8]
    ending = _ENDINGS.get(media_type, ".html")
    return (
        path
        if PurePosixPath(path).suffix.lower() == ending or (ending == ".html" and path.endswith(".htm"))
        else path + ending
    )


SITE = SourceKind("site", False, lambda address: urlsplit(address).hostname or "site", SiteWalk)
