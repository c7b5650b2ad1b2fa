"""A workbench that runs, on a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from zhilu.context import Context
from zhilu.host.app import create_app


@pytest.fixture
def workbench(context: Context) -> Iterator[str]:
    """Its address; it makes knowledge bases with the embedder that ships with the product."""
    context.settings = context.settings.model_copy(update={"embedder": "zhilu-embed"})
    app = create_app(context, only=("rag", "texts", "jobs"))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", http="h11"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(400):
        if server.started:
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(15)
