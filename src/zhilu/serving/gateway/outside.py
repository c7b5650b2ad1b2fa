"""The way out of this machine: to a model's server that somebody else runs, by the proxy that the environment names."""

from __future__ import annotations

import httpx

from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.models.apis.faults import hide_key, unreachable, upstream_fault
from zhilu.serving.served import Served

__all__ = ["RemoteTransport", "hidden", "raise_fault", "raise_lost", "refuse_unasked"]

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=3.0)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class RemoteTransport(httpx.AsyncBaseTransport):
    """Sends a request as it is and returns when the headers of its answer have come.

    No read timeout: a client that leaves is what ends a request. What goes to this machine itself takes no proxy.
    """

    def __init__(self) -> None:
        timeout = httpx.Timeout(None, connect=10.0)
        self._here = httpx.AsyncClient(limits=_LIMITS, timeout=timeout, trust_env=False)
        self._away = httpx.AsyncClient(limits=_LIMITS, timeout=timeout, trust_env=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        client = self._here if request.url.host in _LOOPBACK else self._away
        return await client.send(request, stream=True)

    async def aclose(self) -> None:
        await self._here.aclose()
        await self._away.aclose()


async def raise_fault(served: Served, response: httpx.Response) -> None:
    """An API's error in our words, which tell the key, the model, the account and the server apart; else nothing."""
    remote = served.model.remote
    if remote is None or not response.is_error:
        return
    try:
        content = await response.aread()
    finally:
        await response.aclose()
    raise upstream_fault(
        remote.api, remote.root, response.status_code, content, response.headers, remote.api_key, remote.model
    )


def raise_lost(served: Served, error: httpx.HTTPError) -> None:
    """The same for one that does not answer at all, or stopped in the middle."""
    remote = served.model.remote
    if remote is not None:
        raise unreachable(remote.api, remote.root, error, remote.api_key) from None


def refuse_unasked(served: Served, endpoint: str) -> None:
    """NotFoundError for a route that is no part of OpenAI's protocol: an API is not even asked, and gets no prompt twice."""
    remote = served.model.remote
    if remote is not None and not endpoint.startswith("/v1/"):
        raise NotFoundError(
            T(f"The API {remote.api!r} has no {endpoint}.", f"API {remote.api!r} 没有 {endpoint}。"), code="not_found"
        )


def hidden(served: Served | None, content: bytes) -> bytes:
    """What an API sent, without the key that it was asked with: some echo it."""
    remote = served.model.remote if served is not None else None
    key = remote.api_key if remote is not None else None
    if not key or key.encode() not in content:
        return content
    return hide_key(content.decode("utf-8", "surrogateescape"), key).encode("utf-8", "surrogateescape")
