"""The web as tools of an agent (``web``): search with the provider of the settings, read a page under guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from zhilu.errors import MissingComponentError, UpstreamError
from zhilu.messages import T
from zhilu.tools import Effect, Tool, tool_from

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["WEB", "WebSource"]

_LONGEST = 8000  # characters of a page


class WebSource:
    title = T("The web: search, and pages", "网络：搜索与网页")
    usage = "web"
    is_local = False
    example = "web"

    def about(self, context: Context, argument: str) -> str:
        return T(
            "facts about places, organisations, prices, opening hours, news", "查地点、机构、价格、开放时间、新闻等事实"
        ).say()

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        """Raises MissingComponentError where no search is set up."""
        from zhilu.rag.web.fetch import Guard
        from zhilu.rag.web.pages import read_pages
        from zhilu.rag.web.providers import Found, search_web

        if context.settings.web_search == "none":
            raise MissingComponentError(
                T("No web search is set up.", "还没有设置网络搜索。"), fix="zhilu settings set web_search searxng"
            )

        async def web_search(query: str, count: int = 5) -> list[dict[str, Any]]:
            """Search the web. Gives addresses with titles and snippets; read the page before you rely on it.

            Args:
                query: what to search for.
                count: how many results, 1 to 10.
            """
            found = await search_web(context, query[:400], min(max(count, 1), 10))
            return [{"url": f.url, "title": f.title, "snippet": f.snippet} for f in found]

        async def read_page(url: str) -> dict[str, Any]:
            """Read the text of a web page.

            Args:
                url: its address, http or https.
            """
            guard = Guard(allow_private=context.settings.web_private)
            page = (await read_pages(context.home, [Found(url, url)], guard))[0]
            if page.loaded is None:
                error: dict[str, Any] = page.error or {}
                raise UpstreamError(T.of(error.get("messages") or str(error.get("message", url))))
            return {"url": page.url, "title": page.title, "text": page.loaded.text[:_LONGEST]}

        # A folder of pages that is searched here tells nobody anything.
        local = context.settings.web_search == "site" and not context.settings.web_url
        effect: Effect = "read" if local else "send"
        yield [
            tool_from(web_search, effect=effect, repeatable=True, title=T("Search the web", "在网上搜索")),
            tool_from(read_page, effect="send", repeatable=True, title=T("Read a web page", "读网页")),
        ]


WEB = WebSource()
