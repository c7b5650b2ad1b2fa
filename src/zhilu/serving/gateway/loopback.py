"""A thin HTTP/1.1 transport to engines on this machine: asyncio's streams, h11, a pool, and nothing between.

It is an ``httpx`` transport, so answers of a remote server and of an engine look alike. httpx's own transport costs two to three
milliseconds of processor time per request on a small machine (locks, timeouts, TLS, proxies), which this one saves. A request
leaves in one write.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress

import h11
import httpx

__all__ = ["LoopbackTransport"]

_READ_BYTES = 65536


class LoopbackTransport(httpx.AsyncBaseTransport):
    """Keeps connections open between requests. Plain HTTP only; no read timeout: an engine may think for minutes.

    Args:
        idle_seconds: an idle connection is not used after that long; less than what servers wait (uvicorn: 5 s).
        max_idle: kept per engine.
    """

    def __init__(self, *, idle_seconds: float = 3.0, max_idle: int = 64) -> None:
        self._idle: dict[tuple[str, int], list[_Connection]] = defaultdict(list)
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return when the headers have come; the body is read from ``response.stream``.

        Raises:
            httpx.ConnectError: nobody listens. httpx.ReadError, httpx.RemoteProtocolError: it went away.
        """
        address = (request.url.host, request.url.port or 80)
        connection = self._take(address) or await _connect(address)
        try:
            connection.send(request)
            head = await connection.head()
        except BaseException:
            connection.close()
            raise
        stream = _Body(self, address, connection)
        return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=stream, request=request)

    async def aclose(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _take(self, address: tuple[str, int]) -> _Connection | None:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if connection.is_fresh(self._idle_seconds):
                return connection
            connection.close()
        return None

    def give_back(self, address: tuple[str, int], connection: _Connection) -> None:
        """Keep a connection whose exchange is over, if it can serve another."""
        if connection.can_be_used_again() and len(self._idle[address]) < self._max_idle:
            self._idle[address].append(connection)
        else:
            connection.close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = h11.Connection(h11.CLIENT)
        self._since = time.monotonic()

    def send(self, request: httpx.Request) -> None:
        """The whole request in one write. The bodies here are small, and asyncio keeps what the socket does not take."""
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        parts = [self._protocol.send(head), self._protocol.send(h11.Data(_content(request)))]
        self._writer.write(b"".join(part or b"" for part in [*parts, self._protocol.send(h11.EndOfMessage())]))

    async def head(self) -> h11.Response:
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("the server closed the connection without an answer")

    async def data(self) -> bytes | None:
        """The next piece of the body, None at its end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(_READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error
        return event

    def can_be_used_again(self) -> bool:
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return False
        self._protocol.start_next_cycle()
        self._since = time.monotonic()
        return True

    def is_fresh(self, seconds: float) -> bool:
        """Not idle for too long, and not closed by the other side meanwhile."""
        return time.monotonic() - self._since < seconds and not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        with suppress(OSError, RuntimeError):  # RuntimeError: the loop is closed already
            self._writer.close()


class _Body(httpx.AsyncByteStream):
    """The answer's body. Closed before its end, it closes the connection: that is how an engine learns to stop."""

    def __init__(self, pool: LoopbackTransport, address: tuple[str, int], connection: _Connection) -> None:
        self._pool, self._address = pool, address
        self._connection: _Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while self._connection is not None and (data := await self._connection.data()) is not None:
                yield data
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self._address, connection)


def _content(request: httpx.Request) -> bytes:
    assert isinstance(request.stream, httpx.SyncByteStream), "bodies here are bytes"
    return b"".join(request.stream)


async def _connect(address: tuple[str, int]) -> _Connection:
    try:
        return _Connection(*await asyncio.open_connection(*address))
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
