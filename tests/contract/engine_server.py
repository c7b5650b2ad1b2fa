"""Our engine as a real process, for tests that speak to it over HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

__all__ = ["run_engine"]


@contextmanager
def run_engine(model: Path, name: str, *arguments: str, patience: float = 180) -> Iterator[str]:
    """Serve ``model`` until the block ends; yields the URL. ``patience``: seconds until it must be ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zhilu.engine.server", "--model", str(model), "--name", name, "--port", str(port)]
    command += ["--threads", "1", "--device", "cpu", "--parent-watch", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(url, process, patience)
        yield url
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=60)


def _wait_ready(url: str, process: subprocess.Popen[bytes], patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("the engine did not become ready")
