"""A gateway that really listens, in a thread of the test process; its engines are real processes."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from zhilu.client import GATEWAY_FILE
from zhilu.context import Context, open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.host.app import create_app
from zhilu.process import mine
from zhilu.serving.gateway.gateway import Gateway
from zhilu.serving.supervise.supervisor import Supervisor

__all__ = ["RunningGateway", "run_gateway", "run_tiny_gateway"]


@dataclass(frozen=True)
class RunningGateway:
    url: str
    context: Context
    gateway: Gateway
    loop: asyncio.AbstractEventLoop

    @property
    def supervisor(self) -> Supervisor:
        return self.gateway.supervisor

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def call(self, work: Any) -> Any:
        """Run a coroutine in the gateway's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(300)  # a busy machine starts an engine slowly


@contextmanager
def run_gateway(
    home: Path, settings: dict[str, Any] | None = None, only: tuple[str, ...] = ("serving",), **state: Any
) -> Iterator[RunningGateway]:
    """Serve until the block ends. ``state``: what ``zhilu.serving.routes.lifespan`` reads from ``app.state``."""
    context = open_context({"home": str(home), "threads": 1, **(settings or {})})
    app = create_app(context, only=only, state=state)
    server = uvicorn.Server(
        uvicorn.Config(app, http="h11", ws="none", lifespan="on", log_config=None, access_log=False)
    )
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve(sockets=[sock])))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            thread.join(0.01)
        inner = app
        while not hasattr(inner, "state"):
            inner = inner.app
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        yield RunningGateway(url, context, inner.state.gateway, loop)
    finally:
        server.should_exit = True
        thread.join(30)
        loop.close()
        sock.close()
        context.close()


@contextmanager
def run_tiny_gateway(home: Path) -> Iterator[RunningGateway]:
    """A gateway with a tiny model started, recorded in ``home`` as ``zhilu up`` would, so that gates find it."""
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        state = {"url": running.url, **mine().note()}
        (home / "run" / GATEWAY_FILE).write_text(json.dumps(state))
        running.call(running.supervisor.ensure("tiny"))
        yield running
