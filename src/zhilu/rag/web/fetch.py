"""One address, read under guard.

A page that a search names is a stranger's, and so is whatever it redirects to. So: only http and https; the name is resolved once,
every address it has must be a public one (unless the setting ``web_private`` allows others), and the connection goes to the very
address that was checked, so that a second answer of the name server changes nothing (DNS rebinding); every redirect is checked
in the same way; size, time and the number of redirects are limited. No proxy, cookie or credential is sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from zhilu.errors import InputError, TooLargeError, UnreachableError, UpstreamError
from zhilu.messages import T
from zhilu.tools.addresses import addresses_of, is_public

__all__ = ["Fetched", "Guard", "fetch"]

_READABLE = ("text/", "application/xhtml+xml", "application/pdf", "application/json", "application/xml")
_AGENT = "Mozilla/5.0 (compatible; Zhilu)"


@dataclass(frozen=True)
class Guard:
    """What a fetch may do: bytes, seconds for all of it, redirects, and whether private addresses are allowed."""

    allow_private: bool = False
    max_bytes: int = 4_000_000
    seconds: float = 15.0
    redirects: int = 5


@dataclass(frozen=True)
class Fetched:
    """``url`` is the last one, behind the redirects."""

    url: str
    content: bytes
    media_type: str


async def fetch(url: str, guard: Guard = Guard(), *, headers: dict[str, str] | None = None) -> Fetched:
    """The content of ``url``.

    Raises:
        InputError: an address that must not be reached, or content that is no text. TooLargeError: over the limit.
        UnreachableError: nothing answers in time. UpstreamError: an error status, or too many redirects.
    """
    try:
        return await asyncio.wait_for(_follow(url, guard, headers), guard.seconds)
    except (asyncio.TimeoutError, httpx.HTTPError) as error:
        raise _silent(url, type(error).__name__) from error


async def _follow(url: str, guard: Guard, headers: dict[str, str] | None) -> Fetched:
    for _ in range(guard.redirects + 1):
        found = await _once(url, guard, headers)
        if isinstance(found, Fetched):
            return found
        url = found
    raise UpstreamError(
        T(f"{url}: more than {guard.redirects} redirects.", f"{url}：重定向超过 {guard.redirects} 次。")
    )


async def _once(url: str, guard: Guard, headers: dict[str, str] | None) -> Fetched | str:
    """What stands there, or the address that it leads to."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _refused(url, str(error), str(error)) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _refused(url, "only http and https are read", "只读取 http 和 https")
    if parsed.userinfo:
        raise _refused(url, "it carries a name or a password", "地址里带有用户名或密码")
    address = await _checked_address(parsed, guard)
    pinned = parsed.copy_with(host=address)
    host = parsed.host if parsed.port is None else f"{parsed.host}:{parsed.port}"
    sent = {
        "Host": host,
        "User-Agent": _AGENT,
        "Accept": "text/html,application/pdf,text/plain;q=0.9,*/*;q=0.5",
        **(headers or {}),
    }
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=guard.seconds) as client:
        # the certificate must be the name's, not the address's
        extensions = {"sni_hostname": parsed.host} if parsed.scheme == "https" else {}
        async with client.stream("GET", pinned, headers=sent, extensions=extensions) as response:
            if response.is_redirect:
                return urljoin(url, response.headers["location"])
            if response.is_error:
                raise UpstreamError(
                    T(f"{url} answered {response.status_code}.", f"{url} 返回 {response.status_code}。")
                )
            media_type = response.headers.get("content-type", "text/html").split(";")[0].strip().lower()
            if not media_type.startswith(_READABLE):
                raise _refused(url, f"{media_type} is nothing to read", f"{media_type} 无法阅读")
            content = bytearray()
            async for block in response.aiter_bytes():
                content += block
                if len(content) > guard.max_bytes:
                    raise TooLargeError(
                        T(f"{url} has more than {guard.max_bytes} bytes.", f"{url} 超过 {guard.max_bytes} 字节。")
                    )
            return Fetched(url, bytes(content), media_type)


async def _checked_address(url: httpx.URL, guard: Guard) -> str:
    """The address to connect to; every one that the name has must be allowed."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        addresses = await addresses_of(url.host, port)
    except (OSError, UnicodeError) as error:
        raise _silent(str(url), "its name is not known") from error
    for address in addresses:
        if not guard.allow_private and not is_public(address):
            raise _refused(str(url), f"{address} is not on the public internet", f"{address} 不是公网地址")
    return addresses[0]


def _refused(url: str, en: str, zh: str) -> InputError:
    return InputError(
        T(f"{url} is not fetched: {en}.", f"不读取 {url}：{zh}。"), code="fetch_refused", param="url",
        fix="zhilu settings set web_private true" if "public" in en else None,
    )  # fmt: skip


def _silent(url: str, reason: str) -> UnreachableError:
    return UnreachableError(T(f"{url} cannot be read: {reason}.", f"{url} 无法读取：{reason}。"))
