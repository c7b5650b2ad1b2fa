"""A model server that calls a tool when it is offered one, in pieces as cut as can be, and reads the result back.

The embedded model may or may not call; what a program does with a call has to be tested all the same.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["CITY", "run_tool_caller"]

CITY = 'São "工" Paulo\\ \U0001f30d'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        content = json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        last = asked["messages"][-1]
        message: dict[str, Any]
        if last["role"] == "tool":
            message = {"role": "assistant", "content": f"It told me: {last['content']}"}
        else:
            arguments = json.dumps({"city": CITY})
            call = {"id": "call-1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        content = _events(message) if asked.get("stream") else _whole(message)
        self.send_response(200)
        kind = "text/event-stream" if asked.get("stream") else "application/json"
        self.send_header("content-type", kind)
        self.send_header("x-request-id", f"req-{len(self.server.asked)}")  # type: ignore[attr-defined]
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _whole(message: dict[str, Any]) -> bytes:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "scripted",
             "choices": [{"index": 0, "message": message, "finish_reason": reason}]}  # fmt: skip
    return json.dumps(reply).encode()


def _events(message: dict[str, Any]) -> bytes:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": letter} for letter in message["content"] or ""]
    for index, call in enumerate(message.get("tool_calls", ())):
        head = {"index": index, "id": call["id"], "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {"name": call["function"]["name"], "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": letter}}]}
            for letter in call["function"]["arguments"]
        ]
    frame = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
    chunks = [{**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    chunks.append({**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"


@contextmanager
def run_tool_caller() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yields its address with ``/v1``, and the list that requests are put into as they come."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", server.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
