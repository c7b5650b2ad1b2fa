"""The transport to engines, against a server that does what real ones do: reuse, close, cut off, answer in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from zhilu.serving.gateway.loopback import LoopbackTransport

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: a\r\n\r\nok"
CLOSE = b"<close>"
PIECES = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


def with_server(answers: list[bytes], test: Callable[[str, LoopbackTransport, list[str]], Awaitable[None]]) -> None:
    """Run ``test(url, transport, seen)``; each request gets the next answer, and ``CLOSE`` ends the connection."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append("connected")
        try:
            while answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                seen.append((await reader.readexactly(length)).decode())
                answer = answers.pop(0)
                writer.write(answer.removesuffix(CLOSE))
                await writer.drain()
                if answer.endswith(CLOSE):
                    return
            await reader.read()  # until the client closes
            seen.append("left")
        except asyncio.IncompleteReadError:
            seen.append("left")
        finally:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        transport = LoopbackTransport()
        try:
            await test(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", transport, seen)
        finally:
            await transport.aclose()
            server.close()
            await asyncio.sleep(0.01)

    asyncio.run(main())


async def ask(url: str, transport: LoopbackTransport, content: str) -> httpx.Response:
    return await transport.handle_async_request(httpx.Request("POST", f"{url}/x", content=content.encode()))


def test_a_connection_is_used_again() -> None:
    async def test(url: str, transport: LoopbackTransport, seen: list[str]) -> None:
        for text in ("one", "two"):
            response = await ask(url, transport, text)
            assert (response.status_code, response.headers["x-name"]) == (200, "a")
            assert await response.aread() == b"ok"
        assert seen == ["connected", "one", "two"]

    with_server([WHOLE, WHOLE], test)


def test_pieces_come_as_they_are_sent_and_leaving_closes_the_connection() -> None:
    async def test(url: str, transport: LoopbackTransport, seen: list[str]) -> None:
        response = await ask(url, transport, "one")
        pieces = response.stream.__aiter__()  # type: ignore[union-attr]
        assert await pieces.__anext__() == b"abc"
        await response.aclose()
        await asyncio.sleep(0.05)
        assert seen[-1] == "left"

    with_server([PIECES], test)


def test_a_large_request_arrives_whole() -> None:
    async def test(url: str, transport: LoopbackTransport, seen: list[str]) -> None:
        content = "x" * 3_000_000
        assert await (await ask(url, transport, content)).aread() == b"ok"
        assert seen[1] == content

    with_server([WHOLE], test)


@pytest.mark.parametrize("answer", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_server_that_goes_away_before_it_answers(answer: bytes) -> None:
    async def test(url: str, transport: LoopbackTransport, seen: list[str]) -> None:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await asyncio.wait_for(ask(url, transport, "one"), 5)

    with_server([answer + CLOSE], test)


def test_an_answer_that_is_cut_off() -> None:
    async def test(url: str, transport: LoopbackTransport, seen: list[str]) -> None:
        response = await ask(url, transport, "one")
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await asyncio.wait_for(response.aread(), 5)

    with_server([PIECES + CLOSE], test)


def test_nobody_listens() -> None:
    async def test(url: str, transport: LoopbackTransport, seen: list[str]) -> None:
        with pytest.raises(httpx.ConnectError):
            await ask("http://127.0.0.1:9", transport, "one")

    with_server([], test)


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    async def test(url: str, transport: LoopbackTransport, seen: list[str]) -> None:
        closing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        answers.append(closing)
        answers.append(WHOLE)
        for text in ("one", "two"):
            assert await (await ask(url, transport, text)).aread() == b"ok"
        assert seen.count("connected") == 2

    answers: list[bytes] = []
    with_server(answers, test)
