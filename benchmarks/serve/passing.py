"""The least that a gateway in Python can be: uvicorn on h11 passes a request's bytes to one engine and its answer back.

    python benchmarks/serve/passing.py ENGINE_PORT PORT

It checks nothing, knows no model and writes no log: what it adds is what the two hops themselves cost on this machine.
"""

from __future__ import annotations

import sys
from typing import Any

import httpx
import uvicorn

from zhilu.serving.gateway.loopback import LoopbackTransport


def main(engine: str, port: int) -> None:
    transport = LoopbackTransport()
    host, kept = httpx.URL(engine).netloc.decode("ascii"), {b"content-type"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        url = f"{engine}{scope['path']}"
        headers = {"host": host, "content-type": "application/json", "content-length": str(len(body))}
        request = httpx.Request("POST", url, stream=httpx.ByteStream(body), headers=headers)
        response = await transport.handle_async_request(request)
        passed = [(name, value) for name, value in response.headers.raw if name.lower() in kept]
        await send({"type": "http.response.start", "status": response.status_code, "headers": passed})
        async for chunk in response.aiter_raw():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    uvicorn.run(
        app, port=port, http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
