"""Pages as text, read in the limited subprocess that reads documents, and kept for a day under ``cache/web``."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from zhilu.errors import ZhiluError, error_body
from zhilu.home import Home, atomic_write
from zhilu.rag.load import Loaded, Reader, refuse_scans
from zhilu.rag.web.fetch import Guard, fetch
from zhilu.rag.web.providers import Found

__all__ = ["WebPage", "read_pages"]

KEPT = 24 * 3600  # seconds
_NAMES = {"text/plain": "page.txt", "application/pdf": "page.pdf", "text/markdown": "page.md"}


@dataclass(frozen=True)
class WebPage:
    """A result as it was read; ``error`` (the inside of ``errors.error_body``) says why there is no text."""

    url: str
    title: str
    loaded: Loaded | None = None
    error: dict[str, object] | None = None
    from_cache: bool = False


async def read_pages(home: Home, found: list[Found], guard: Guard) -> list[WebPage]:
    """All results, fetched at once and read one after the other; one that cannot be read stops no other."""
    _sweep(home.cache / "web")
    got = await asyncio.gather(*(_content(home, one, guard) for one in found))
    return await asyncio.to_thread(_read_all, got)


@dataclass(frozen=True)
class _Content:
    found: Found
    url: str
    path: Path | None
    name: str = ""
    error: dict[str, object] | None = None
    from_cache: bool = False


async def _content(home: Home, found: Found, guard: Guard) -> _Content:
    if found.path is not None:
        return _Content(found, found.url, found.path, found.path.name)
    body, card = (
        home.cache / "web" / f"{hashlib.sha256(found.url.encode()).hexdigest()[:24]}{e}" for e in (".bin", ".json")
    )
    try:
        known = json.loads(card.read_text(encoding="utf-8"))
        if body.is_file() and time.time() - known["at"] < KEPT:
            return _Content(found, known["url"], body, known["name"], from_cache=True)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or half-written: it is fetched again
    try:
        page = await fetch(found.url, guard)
    except ZhiluError as error:
        return _Content(found, found.url, None, error=error_body(error)["error"])
    name = _NAMES.get(page.media_type, "page.html")
    body.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(body, page.content)
    atomic_write(card, json.dumps({"url": page.url, "name": name, "at": time.time()}))
    return _Content(found, page.url, body, name)


def _read_all(got: list[_Content]) -> list[WebPage]:
    pages = []
    with Reader() as reader:
        for one in got:
            title = one.found.title
            if one.path is None:
                pages.append(WebPage(one.url, title, error=one.error))
                continue
            try:
                loaded = refuse_scans(reader.load(one.path, one.name))
            except ZhiluError as error:
                pages.append(WebPage(one.url, title, error=error_body(error)["error"], from_cache=one.from_cache))
                continue
            heading = next((h.title for h in loaded.outline if h.level == 1), "")
            pages.append(WebPage(one.url, heading or title, loaded, from_cache=one.from_cache))
    return pages


def _sweep(folder: Path) -> None:
    """Pages of yesterday go."""
    for path in folder.glob("*"):
        if time.time() - path.stat().st_mtime > KEPT:
            path.unlink(missing_ok=True)
