"""A model hub on loopback that speaks as much HTTP of Hugging Face and ModelScope as their clients need to pull.

It serves a folder ``OWNER/NAME/files``. The real clients talk to it, so a test of pulling really pulls.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["HubServer", "serve_hub", "write_gguf"]

COMMIT = "c0ffee" + "0" * 34
_LARGE = 1000  # bytes from which a file counts as stored in LFS, and so has a SHA-256


class HubServer:
    """What the server does, changeable while it runs.

    Attributes:
        url: its endpoint.
        requests: method, path and range of each request so far.
        chunk_pause: seconds to wait after each 16 KiB of a file.
        lie_about: file name whose bytes are delivered wrong.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.requests: list[str] = []
        self.chunk_pause = 0.0
        self.lie_about: str | None = None


@contextmanager
def serve_hub(folder: Path) -> Iterator[HubServer]:
    """Serve until the block ends."""
    state = HubServer(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Requests,), {"hub": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Requests(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        self.hub.requests.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".rstrip())

    def _answer(self) -> None:
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if parts[:2] == ["api", "models"] and len(parts) >= 4:  # Hugging Face: description or tree
            self._hugging_face(self.hub.folder / parts[2] / parts[3], parts[4:])
        elif len(parts) >= 5 and parts[2] == "resolve":  # Hugging Face: a file
            self._file(self.hub.folder / parts[0] / parts[1] / "/".join(parts[4:]))
        elif parts[:3] == ["api", "v1", "models"] and len(parts) >= 6:  # ModelScope
            self._modelscope(self.hub.folder / parts[3] / parts[4], parts[5:], query)
        elif url.path == "/":
            self._json({})
        else:
            self._json({"error": "not here"}, 404)

    def _hugging_face(self, repo: Path, rest: list[str]) -> None:
        if not repo.is_dir():
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["revision"] and rest[1] not in ("main", COMMIT):
            self._json({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif rest[:1] == ["tree"]:
            self._json([self._tree_entry(path, repo) for path in _files(repo)])
        else:
            siblings = [
                {
                    "rfilename": str(path.relative_to(repo)),
                    "size": path.stat().st_size,
                    "blobId": "0" * 40,
                    **_lfs(path),
                }
                for path in _files(repo)
            ]
            name = f"{repo.parent.name}/{repo.name}"
            self._json({"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings})

    def _tree_entry(self, path: Path, repo: Path) -> dict[str, Any]:
        lfs = {"lfs": {"oid": _sha256(path), "size": path.stat().st_size, "pointerSize": 130}} if _lfs(path) else {}
        return {
            "type": "file",
            "oid": "0" * 40,
            "size": path.stat().st_size,
            "path": str(path.relative_to(repo)),
            **lfs,
        }

    def _modelscope(self, repo: Path, rest: list[str], query: dict[str, str]) -> None:
        if not repo.is_dir():
            self._json({"Code": 10010205001, "Success": False, "Message": "model not found"}, 404)
        elif rest == ["repo", "files"]:
            entries = [
                {
                    "Name": path.name, "Path": str(path.relative_to(repo)), "Type": "blob", "Size": path.stat().st_size,
                    "Sha256": _sha256(path), "Revision": COMMIT, "Mode": "33188", "IsLFS": bool(_lfs(path)),
                    "CommittedDate": 1_700_000_000, "InCheck": False,
                }
                for path in _files(repo)
            ]  # fmt: skip
            self._json({"Code": 200, "Success": True, "Message": "", "Data": {"Files": entries}})
        elif rest == ["repo"]:
            self._file(repo / query["FilePath"])
        else:
            self._json({"Code": 200, "Success": True, "Message": "", "Data": {}})

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        content = path.read_bytes()
        if path.name == self.hub.lie_about:
            content = content[:-1] + bytes([content[-1] ^ 1])
        first, status = 0, 200
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            first, status = int(wanted[6:].split("-")[0] or 0), 206
            last = int(wanted[6:].split("-")[1] or len(content) - 1)
            whole, content = len(content), content[first : last + 1]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{first + len(content) - 1}/{whole}")
        tag = _sha256(path) if _lfs(path) else hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
        for name, value in {
            "Content-Length": str(len(content)), "Content-Type": "application/octet-stream", "ETag": f'"{tag}"',
            "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes",
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send_slowly(content)

    def _send_slowly(self, content: bytes) -> None:
        for start in range(0, len(content), 16384):
            try:
                self.wfile.write(content[start : start + 16384])
            except OSError:
                self.close_connection = True
                return  # the client was killed, which is what the test is about
            threading.Event().wait(self.hub.chunk_pause)

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _files(repo: Path) -> list[Path]:
    return sorted(path for path in repo.rglob("*") if path.is_file())


def _lfs(path: Path) -> dict[str, Any]:
    if path.stat().st_size < _LARGE:
        return {}
    return {"lfs": {"sha256": _sha256(path), "size": path.stat().st_size, "pointerSize": 130}}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_gguf(
    path: Path,
    *,
    architecture: str = "qwen3",
    name: str = "Tiny",
    values: int = 64,
    pooling: int | None = None,
    license: str | None = None,
) -> Path:
    """A GGUF file with a head like a real one's and one tensor of zeros; no engine can answer with it."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def fact(key: str, value: str | int | list[str]) -> bytes:
        if isinstance(value, str):
            return text(key) + struct.pack("<I", 8) + text(value)
        if isinstance(value, int):
            return text(key) + struct.pack("<II", 4, value)
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(word) for word in value)

    facts: dict[str, str | int | list[str]] = {
        "general.architecture": architecture,
        "general.name": name,
        f"{architecture}.context_length": 4096,
        f"{architecture}.block_count": 1,
        f"{architecture}.embedding_length": 64,
        f"{architecture}.attention.head_count": 4,
        "tokenizer.ggml.tokens": ["a", "b", "c"],
    }
    if pooling is not None:
        facts[f"{architecture}.pooling_type"] = pooling
    if license is not None:
        facts["general.license"] = license
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(facts)) + b"".join(fact(key, value) for key, value in facts.items())
    head += text("token_embd.weight") + struct.pack("<IQIQ", 1, values, 0, 0)
    path.write_bytes(head + bytes(-len(head) % 32))
    os.truncate(path, path.stat().st_size + values * 4)  # a hole: zeros that take no room
    return path
