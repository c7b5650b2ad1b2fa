"""For whoever writes an engine adapter: a scripted engine in a process of its own, and the rules an adapter must keep.

The scripted engine speaks just enough of the protocol to misbehave on demand, which a real engine does not: it dies in the
middle of a stream, starts slowly, ignores SIGTERM. Its answers mean nothing.

    python -m zhilu.serving.testing --port 8000 --name echo [--start-delay 0.5] [--crash-at-start] [--ignore-term]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from zhilu.messages import T
from zhilu.serving.facts import EngineFacts, EngineKind, Launch, LaunchOptions, ServedModel

__all__ = ["ScriptedEngine", "check_adapter"]


_FACTS = EngineFacts(
    name="scripted",
    title=T("Scripted engine", "脚本引擎"),
    status="alive",
    description=T("Misbehaves on demand, for tests.", "按需出错，用于测试。"),
    source="zhilu.serving.testing",
    checked="2026-11-23",
    can=frozenset({"chat", "stream", "stream_usage", "metrics"}),
)


@dataclass(frozen=True)
class ScriptedEngine:
    """An adapter for the scripted engine; ``flags`` are its command-line flags."""

    flags: tuple[str, ...] = ()
    facts: EngineFacts = _FACTS

    def installed(self, home: Path | None = None) -> tuple[bool, T]:
        return True, T("part of Zhilu", "指路自带")

    def launch(self, model: ServedModel, options: LaunchOptions, port: int) -> Launch:
        argv = (sys.executable, "-m", "zhilu.serving.testing", "--port", str(port), "--name", model.name, *self.flags)
        return Launch(url=f"http://127.0.0.1:{port}", ready_path="/health", model=model.name, argv=argv)


def check_adapter(engine: EngineKind, model: ServedModel, options: LaunchOptions | None = None) -> None:
    """Assert what the supervisor relies on, without starting anything."""
    options = options or LaunchOptions()
    first, again = engine.launch(model, options, 40001), engine.launch(model, options, 40001)
    assert first == again, "launch must be a pure function"
    assert first.ready_path.startswith("/"), first.ready_path
    assert not first.url.endswith(("/", "/v1")), "the URL is without /v1"
    assert bool(first.argv) == engine.facts.is_process
    if engine.facts.is_process:
        assert first.url == "http://127.0.0.1:40001", "a started engine listens on loopback only"
        assert "40001" in " ".join(first.argv), "the port we chose must be in the command"
        secret = replace(options, api_key="sk-secret-secret")
        assert "sk-secret" not in " ".join(engine.launch(model, secret, 1).argv), (
            "a key in argv is visible to all users"
        )
    assert engine.facts.title.zh and engine.facts.description.zh
    reason = engine.installed()[1]
    assert reason.en and reason.zh


class _Wire(BaseHTTPRequestHandler):
    """Chat only. The last user message steers: ``die N`` ends the process after N pieces, ``slow N`` pauses N ms each,
    ``odd N`` sends something that is no chunk after N pieces."""

    protocol_version = "HTTP/1.1"
    model = ""
    says: str | None = None
    tokenizer: Any = None
    aborted = 0

    def do_GET(self) -> None:
        if self.path == "/metrics":
            name = "scripted_aborted_total"
            text = f"# HELP {name} Streams whose reader left.\n# TYPE {name} counter\n{name} {_Wire.aborted}\n"
            self._reply(200, text.encode(), "text/plain")
        else:
            self._reply(200, json.dumps({"object": "list", "data": [{"id": self.model}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = str(body["messages"][-1]["content"] if "messages" in body else body["prompt"]).split()
        if words[0] == "refuse":
            error = {
                "message": "too long by 7 tokens",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "x",
            }
            self._reply(400, json.dumps({"error": error}).encode())
            return
        pause = float(words[1]) / 1000 if words[0] == "slow" else 0.0
        usage = {"prompt_tokens": self._count(body), "completion_tokens": 8, "total_tokens": 11}
        if not body.get("stream"):
            time.sleep(pause * 8)
            message = {"role": "assistant", "content": self.says or f"pid {os.getpid()}"}
            choice = {"index": 0, "message": message, "text": message["content"], "finish_reason": "stop"}
            self._reply(200, json.dumps(self._object([choice], usage=usage)).encode())
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for number in range(8):
                if words[0] == "die" and number == int(words[1]):
                    self.wfile.write(b'data: {"half an eve')
                    self.wfile.flush()
                    os._exit(9)
                if words[0] == "odd" and number == int(words[1]):
                    self._event('{"choices": [7]}')
                choice = {"index": 0, "delta": {"content": f"t{number} "}, "finish_reason": None}
                self._event(json.dumps(self._object([choice]), separators=(",", ":")))
                time.sleep(pause)
            if (body.get("stream_options") or {}).get("include_usage"):
                self._event(json.dumps(self._object([], usage=usage), separators=(",", ":")))
            self._event("[DONE]")
        except OSError:
            _Wire.aborted += 1

    def _count(self, body: dict[str, Any]) -> int:
        """Three, or what a program with the files of ``--reads`` counts: without a template, as llama.cpp and Ollama do, the
        words alone."""
        if self.tokenizer is None:
            return 3
        words = "\n".join(message["content"] for message in body["messages"])
        text = self.tokenizer.render_chat(body["messages"]) if self.tokenizer.chat_template else words
        return len(self.tokenizer.encode(text, add_special_tokens=False))

    def _object(self, choices: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
        return {"id": "c-1", "object": "chat.completion", "created": 1, "model": self.model, "choices": choices, **rest}

    def _event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def _reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        print(format % args, file=sys.stderr)


def _exit_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: this thread would hold its lock when the interpreter ends
        pass
    os._exit(0)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--start-delay", type=float, default=0.0)
    parser.add_argument("--crash-at-start", action="store_true")
    parser.add_argument("--crash-unless", type=Path, help="crash at start until this file exists")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--reads", type=Path, help="counts prompts as the model of this folder does")
    parser.add_argument("--says", help="the content of every answer that is not streamed")
    parser.add_argument("--deaf", action="store_true", help="does not watch its parent")
    args = parser.parse_args()
    if not args.deaf:
        threading.Thread(target=_exit_with_parent, daemon=True).start()
    if args.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(args.start_delay)
    if args.crash_at_start or (args.crash_unless and not args.crash_unless.exists()):
        sys.exit("the model file is broken")
    _Wire.model, _Wire.says = args.name, args.says
    if args.reads:
        from zhilu.engine.text.tokenizer import Tokenizer

        _Wire.tokenizer = Tokenizer(args.reads)
    ThreadingHTTPServer.allow_reuse_address = True
    ThreadingHTTPServer(("127.0.0.1", args.port), _Wire).serve_forever()


if __name__ == "__main__":
    _main()
