"""FastChat's three processes as one: started in order, ended together, and all ended when one of them ends.

    python fastchat_unit.py --port 8000 --model-path FOLDER --model-names NAME [--device cpu] [--dtype float32]

Runs in FastChat's own environment with the standard library only. The controller and the worker get free ports on loopback. The
OpenAI server starts only when the worker is registered, because before that it would answer with an empty list.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

__all__ = ["template_of"]

_POLL_SECONDS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model-path", type=Path, required=True)
    parser.add_argument("--model-names", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    children: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        controller_port, worker_port = _free_ports(2)
        controller, worker = (f"http://127.0.0.1:{port}" for port in (controller_port, worker_port))
        children.append(_start("controller", controller_port))
        _until(children, lambda: _models(controller) is not None)
        words = ["--worker-address", worker, "--controller-address", controller, "--device", given.device]
        words += ["--model-path", str(given.model_path), "--model-names", given.model_names, "--dtype", given.dtype]
        words += ["--limit-worker-concurrency", "1"]
        template = template_of(given.model_path)
        if template:
            words += ["--conv-template", template]
        children.append(_start("model_worker", worker_port, *words))
        _until(children, lambda: bool(_models(controller)))
        children.append(_start("openai_api_server", given.port, "--controller-address", controller))
        _until(children, lambda: False)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            _wait_or_kill(child)


def _wait_or_kill(child: subprocess.Popen[bytes], seconds: float = 1.5) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()


def template_of(folder: Path) -> str | None:
    """FastChat's name for the model's way of writing a conversation; None leaves the choice to FastChat.

    It does not read the model's own chat template, which is why chats may differ from other engines'.
    """
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
    return "qwen-7b-chat" if kind.startswith("qwen") else None  # ChatML


def _start(module: str, port: int, *words: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", f"fastchat.serve.{module}", "--host", "127.0.0.1", "--port", str(port), *words]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL)


def _until(children: list[subprocess.Popen[bytes]], ready: object) -> None:
    """Return when ``ready()``; end the unit when a process of it has ended."""
    assert callable(ready)
    while not ready():
        for child in children:
            if child.poll() is not None:
                sys.exit(f"{' '.join(map(str, child.args))} ended with status {child.returncode}")  # type: ignore[arg-type]
        time.sleep(_POLL_SECONDS)


def _models(controller: str) -> list[str] | None:
    """Models whose workers are registered; None while the controller does not answer."""
    request = urllib.request.Request(f"{controller}/list_models", data=b"", method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return list(json.loads(answer.read())["models"])
    except (OSError, ValueError, KeyError):
        return None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    main()
