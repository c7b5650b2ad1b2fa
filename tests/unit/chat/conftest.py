"""A real engine process with a tiny random model: what chat talks to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from zhilu.context import Context, open_context
from zhilu.engine.testing import make_tiny_model


@pytest.fixture(scope="session")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "zhilu.engine.server", "--model", str(folder), "--name", "tiny"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--parent-watch"],
        stdin=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                json.load(answer)
                break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    yield url
    assert process.stdin is not None
    process.stdin.close()
    process.wait(20)


@pytest.fixture
def context(engine_url: str) -> Iterator[Context]:
    context = open_context({"base_url": engine_url, "model": "tiny"})
    yield context
    context.close()
