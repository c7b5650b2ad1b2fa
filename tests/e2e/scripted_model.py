"""A model that takes its time, for the browser tests: what is tested is the workbench, so the words must be known.

Speaks the OpenAI protocol: streams a word every ``--pause`` seconds. Asked with numbered passages it copies the sentence
that shares most with the question and cites it, or refuses. Asked to "count", it counts for long enough to be stopped;
"fail" breaks off in the middle. Given tools it calls the first one with ``{"city": "Wien"}``. ``GET /last`` is the body of
the last request, for tests of what was really sent. ``--replies FILE`` is a JSON list of [words, reply]: the first one whose
words all stand in the request is its reply.

    python tests/e2e/scripted_model.py --port 8000 --pause 0.03
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from zhilu.prompts import REFUSAL, language_of

_TURN = count(1)
_PASSAGE = re.compile(r"^\[(\d+)\] ?(.*?)(?=^\[\d+\]|\n\n(?:Question: |问题：))", re.S | re.M)
_MARKDOWN = (
    "Here is **what you asked** for:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint('hello')\n```\n\n"
    "In TeX \\(a^2\\). That is answer {n}."
)


def _pairs(text: str) -> set[str]:
    """Words of Latin text, neighbouring pairs of Chinese characters."""
    latin = set(re.findall(r"[a-z0-9]{3,}", text.lower()))
    han = "".join(re.findall(r"[\u4e00-\u9fff]", text))
    return latin | {han[i : i + 2] for i in range(len(han) - 1)}


def grounded(prompt: str) -> str:
    """The sentence of the passages that shares most with the question, cited; the refusal where little is shared."""
    question = re.split(r"Question: |问题：", prompt)[-1]
    wanted = _pairs(question)
    best, number, shared = "", 0, 0
    for n, text in _PASSAGE.findall(prompt):
        for sentence in re.split(r"(?<=[.。！？!?])\s*", text):
            common = len(wanted & _pairs(sentence))
            if common > shared:
                best, number, shared = sentence.strip(), int(n), common
    return f"{best} [{number}]" if shared >= 2 else REFUSAL.say(language_of(question))


def reply(messages: list[dict[str, Any]]) -> str:
    question = str(messages[-1]["content"])
    asked = "\n".join(str(message["content"]) for message in messages)
    for words, said in Handler.replies:
        if all(word in asked for word in words):
            return said
    if _PASSAGE.search(question):
        return grounded(question)
    if "count" in question.lower():
        return " ".join(str(number) for number in range(1, 400))
    return _MARKDOWN.format(n=next(_TURN))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pause = 0.02
    replies: list[tuple[list[str], str]] = []
    last: dict[str, Any] = {}

    def do_GET(self) -> None:
        if self.path == "/last":
            self._json(Handler.last)
            return
        self._json(
            {"object": "list", "data": [{"id": "zhilu-nano", "object": "model", "owned_by": "test", "created": 0}]}
        )

    def do_POST(self) -> None:
        body = Handler.last = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            self._json({"error": {"message": "not here", "type": "not_found"}}, status=404)
            return
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            self._call_a_tool(body)
            return
        text = reply(body["messages"])
        usage = {"prompt_tokens": 10, "completion_tokens": len(text.split()), "total_tokens": 10 + len(text.split())}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self._json(
                {
                    "id": "c",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "zhilu-nano",
                    "choices": [choice],
                    "usage": usage,
                }
            )
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        broken = "fail" in str(body["messages"][-1]["content"]).lower()
        try:
            for position, chunk in enumerate(self._chunks(text, usage)):
                if broken and position == 3:
                    break
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()
                time.sleep(self.pause)
            if not broken:
                self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the gateway hung up: that is how a stop arrives
        self.close_connection = True

    def _call_a_tool(self, body: dict[str, Any]) -> None:
        """The arguments in two pieces where the answer is streamed, as real engines send them."""
        name = body["tools"][0]["function"]["name"]
        arguments = json.dumps({"city": "Wien"})
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        pieces: list[dict[str, Any]] = [
            call, {"index": 0, "function": {"arguments": arguments[:5]}},
            {"index": 0, "function": {"arguments": arguments[5:]}},
        ]  # fmt: skip
        shared = {"id": "c", "created": 0, "model": "zhilu-nano"}
        if not body.get("stream"):
            whole = {**call, "function": {"name": name, "arguments": arguments}}
            message = {"role": "assistant", "content": None, "tool_calls": [whole]}
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
            self._json({**shared, "object": "chat.completion", "choices": [choice]})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        ends = [None, None, None, "tool_calls"]
        for piece, end in zip([*pieces, None], ends, strict=True):
            delta = {"tool_calls": [piece]} if piece else {}
            chunk = {**shared, "object": "chat.completion.chunk"}
            choices = [{"index": 0, "delta": delta, "finish_reason": end}]
            self.wfile.write(f"data: {json.dumps({**chunk, 'choices': choices})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _chunks(self, text: str, usage: dict[str, int]) -> Iterator[dict[str, Any]]:
        shared = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "zhilu-nano"}
        for piece in re.findall(r"\s*\S+\s*?|\s+$", text):
            yield {**shared, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        yield {**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        yield {**shared, "choices": [], "usage": usage}

    def _json(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the test's output is the test's."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--replies", type=Path)
    args = parser.parse_args()
    Handler.pause = args.pause
    if args.replies:
        Handler.replies = json.loads(args.replies.read_text(encoding="utf-8"))
    ThreadingHTTPServer(("127.0.0.1", args.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
