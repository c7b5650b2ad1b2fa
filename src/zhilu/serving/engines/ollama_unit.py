"""An Ollama server on a port of ours with one model, imported by a Modelfile. Ends when the server ends.

python ollama_unit.py --port 8000 --name NAME --from FOLDER_OR_FILE.gguf [--context 4096]
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["modelfile"]

_SERVER_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--context", type=int)
    given = parser.parse_args()
    server = subprocess.Popen(["ollama", "serve"], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        _until_listening(server, given.port)
        with tempfile.TemporaryDirectory() as folder:
            recipe = Path(folder, "Modelfile")
            recipe.write_text(modelfile(given.source, given.context), encoding="utf-8")
            made = subprocess.run(["ollama", "create", given.name, "-f", str(recipe)], check=False)
        if made.returncode:
            sys.exit(f"ollama create ended with status {made.returncode}")
        sys.exit(server.wait())
    finally:
        server.terminate()


def modelfile(source: Path, context: int | None) -> str:
    """The recipe of the import (https://docs.ollama.com/modelfile). The chat template comes from the files themselves."""
    lines = [f"FROM {source}"]
    if context is not None:
        lines.append(f"PARAMETER num_ctx {context}")
    return "\n".join(lines) + "\n"


def _until_listening(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _SERVER_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"ollama serve ended with status {server.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"ollama serve did not listen on port {port} within {_SERVER_SECONDS:g} s")


if __name__ == "__main__":
    main()
