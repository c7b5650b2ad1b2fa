"""A form of thousands of tiny files is read in turns: whoever else is connected is answered between its pieces."""

from __future__ import annotations

import asyncio
from typing import Any

from zhilu.rag.upload import _ManyFiles

PIECES = 200


def test_everybody_else_has_a_turn_between_two_pieces_of_a_form() -> None:
    waiting: list[dict[str, Any]] = [{"type": "http.request", "body": b"x" * 64, "more_body": True}] * PIECES
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)  # all of it has arrived already: nothing else makes the reader wait

    async def main() -> int:
        turns, done = 0, asyncio.Event()

        async def somebody_else() -> None:
            nonlocal turns
            while not done.is_set():
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(somebody_else())
        scope = {"type": "http", "method": "POST", "headers": [], "path": "/"}
        async for _ in _ManyFiles(scope, receive).stream():
            pass
        done.set()
        await other
        return turns

    assert asyncio.run(main()) >= PIECES
