"""A server of somebody else's, on a real socket: for dialects that ours does not speak."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["serve"]


@contextmanager
def serve(answer: Callable[[str, dict[str, Any], dict[str, str]], tuple[int, str]]) -> Iterator[str]:
    """A server of somebody else's, on a real socket, in a dialect that ours does not speak."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, text = answer(self.path, json.loads(raw or b"{}"), dict(self.headers))
            self.send_response(status)
            kind = (
                "text/html"
                if text.startswith("<")
                else "text/event-stream"
                if text.startswith("data:")
                else "application/json"
            )
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = _reply

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
