"""One HTTP exchange with a server that a document named: pinned to the address that was checked, no redirect, limited in size.

A private address is reached only where the person typed that very origin; a document alone leads to the public internet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import httpx

from zhilu.errors import InputError, TooLargeError, UnreachableError
from zhilu.messages import T
from zhilu.tools.addresses import addresses_of, is_public

__all__ = ["Came", "Origin", "exchange", "origin_of"]

_MOST_BYTES = 5_000_000
_SECONDS = 60.0


@dataclass(frozen=True)
class Origin:
    """Where requests may go. ``typed``: a person wrote it, so it may be private."""

    scheme: str
    host: str
    port: int
    typed: bool

    @property
    def is_this_machine(self) -> bool:
        """By what is written, so that no name server decides it."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True)
class Came:
    status: int
    media_type: str
    content: bytes


def origin_of(url: str, *, typed: bool) -> Origin:
    """
    Raises:
        InputError: it is no address of http or https, or carries a name or a password.
    """
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _refused(url, str(error), str(error)) from error
    if read.scheme not in ("http", "https") or not read.host:
        raise _refused(url, "only http and https are used", "只使用 http 和 https")
    if read.userinfo:
        raise _refused(url, "it carries a name or a password", "地址里带有用户名或密码")
    return Origin(read.scheme, read.host, read.port or (443 if read.scheme == "https" else 80), typed)


async def exchange(
    method: str,
    url: str,
    origin: Origin,
    *,
    allow_private: bool = False,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
) -> Came:
    """Send one request and read all of its answer, whatever the status.

    Raises:
        InputError: the URL leads out of ``origin``, or the origin to an address that must not be reached. TooLargeError: the answer.
        UnreachableError: nothing answers in time.
    """
    there = origin_of(url, typed=origin.typed)
    if there != origin:
        raise _refused(url, f"it leads away from {origin.host}", f"它离开了 {origin.host}")
    try:
        return await asyncio.wait_for(_exchange(method, url, origin, allow_private, headers, body), _SECONDS)
    except (asyncio.TimeoutError, httpx.HTTPError, OSError, UnicodeError) as error:
        reason = type(error).__name__
        raise UnreachableError(T(f"{url} does not answer: {reason}.", f"{url} 没有响应：{reason}。")) from error


async def _exchange(
    method: str, url: str, origin: Origin, allow_private: bool, headers: Mapping[str, str] | None, body: Any
) -> Came:
    addresses = await addresses_of(origin.host, origin.port)
    for address in addresses:
        if origin.is_this_machine and not ip_address(address).is_loopback:
            raise _refused(url, f"{address} is not this machine", f"{address} 不是本机")
        if not (origin.typed or allow_private or is_public(address)):
            raise _refused(url, f"{address} is not on the public internet", f"{address} 不是公网地址")
    read = httpx.URL(url)
    sent = {
        **(headers or {}),
        "Host": read.netloc.decode("ascii"),
        "Accept": "application/json, text/*;q=0.8, */*;q=0.1",
    }
    extensions = {"sni_hostname": origin.host} if origin.scheme == "https" else {}
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_SECONDS) as client,
        client.stream(
            method, read.copy_with(host=addresses[0]), headers=sent, json=body, extensions=extensions
        ) as response,
    ):
        content = bytearray()
        async for block in response.aiter_bytes():
            content += block
            if len(content) > _MOST_BYTES:
                raise TooLargeError(
                    T(f"{url} gives more than {_MOST_BYTES} bytes.", f"{url} 返回超过 {_MOST_BYTES} 字节。")
                )
        media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
        return Came(response.status_code, media_type, bytes(content))


def _refused(url: str, en: str, zh: str) -> InputError:
    return InputError(
        T(f"{url} is not reached: {en}.", f"不访问 {url}：{zh}。"), code="fetch_refused", param="tools",
        fix="zhilu settings set web_private true" if "public" in en else None,
    )  # fmt: skip
