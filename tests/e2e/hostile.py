"""Requests that nobody means well with, as bytes on a socket: twenty-five kinds, twelve of each.

A shot is what is written (with pauses), and how far the answer is read. Bytes are written as they are, since no client library
would send most of these.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import socket
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Any

__all__ = ["KINDS", "PER_KIND", "Answer", "Shot", "fire"]

PER_KIND = 12
MODEL = "zhilu-nano"
CHAT, COMPLETE, OLLAMA, GENERATE = "/v1/chat/completions", "/v1/completions", "/api/chat", "/api/generate"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
POSTS = (
    *(CHAT, COMPLETE, RESPONSES, MESSAGES, "/v1/embeddings", "/v1/rerank", "/tokenize", "/detokenize", "/v1/score"),
    *(OLLAMA, GENERATE, "/api/embed", "/api/show", "/api/copy", "/api/create", "/invocations", "/v1/load_lora_adapter"),
    *("/v1/chat/completions/batch", "/zhilu/v1/kbs", "/zhilu/v1/conversations", "/zhilu/v1/datasets", "/zhilu/v1/runs"),
    *("/zhilu/v1/apis", "/abort_requests", "/v1/requests/cancel"),
)
SURFACES = ("/v1", "/api", "/v1/messages", "/zhilu/v1", "")
ODD = (
    "\x00",
    "\ufffe",
    "🧨",
    "\u202e",
    "ﷺ",
    "a\u0301" * 50,
    "%n%s",
    "<|im_end|>",
    "</tool_call>",
    "{{7*7}}",
    "汉" * 900,
)


@dataclass(frozen=True)
class Shot:
    """``pieces``: bytes to write, or seconds to wait. ``leave``: close after so many bytes of the answer.
    ``is_http``: False where the bytes are no HTTP, so that the answer need not be in the API's words."""

    pieces: tuple[bytes | float, ...]
    leave: int | None = None
    half_close: bool = False
    is_http: bool = True


@dataclass(frozen=True)
class Answer:
    status: int  # 0: the connection was closed without one
    headers: str
    body: bytes

    @property
    def fault(self) -> str | None:
        """What is wrong with it: an error of the server's own, or a stream that ends without saying how."""
        # 501: something is not installed here; 503: the setting offline is on. Both are said with what to do.
        is_meant = b'"error"' in self.body and (self.status == 501 or (self.status == 503 and b"offline" in self.body))
        if self.status >= 500 and not is_meant:
            return f"{self.status} {self.body[:300]!r}"
        if self.status == 200 and "text/event-stream" in self.headers and not any(end in self.body for end in _ENDS):
            return f"cut: {self.body[-200:]!r}"
        return None


# OpenAI's chat, OpenAI's responses, the workbench's answers; an error event ends any of them.
_ENDS = (
    b"data: [DONE]",
    b"event: response.completed",
    b"event: response.incomplete",
    b"event: done",
    b"event: error",
    b'{"error"',
)


def fire(shot: Shot, port: int, patience: float = 120) -> Answer:
    """Write it and read the answer. A server may close on bytes that it will not read; it may not say nothing for ever."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in shot.pieces:
                time.sleep(piece) if isinstance(piece, float) else connection.sendall(piece)
            if shot.half_close:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while (shot.leave is None or len(got) < shot.leave) and (data := connection.recv(65536)):
                got += data
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else 0
    return Answer(status, head.decode("latin-1").lower(), body)


def request(
    path: str, body: bytes = b"", method: str = "POST", headers: dict[str, str] | None = None, host: str = "127.0.0.1"
) -> bytes:
    """A whole request; a header given as None is left out."""
    given = {"Host": host, "Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    given |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogatepass") + body


def post(path: str, data: Any, **rest: Any) -> Shot:
    return Shot((request(path, json.dumps(data).encode(), **rest),))


def chat(text: Any = "hello", **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 4, **more}


# --- bodies ---------------------------------------------------------------------------------------------------------------


def broken_json(chance: random.Random, kb: str) -> Iterator[Shot]:
    whole = json.dumps(chat()).encode()
    bad = [b"", b"{", whole[:-1], whole + b"}", whole.replace(b":", b"", 1), b"{'a': 1}", b"null", b"[]", b'"x"', b"7", b"NaN",
           b'{"temperature": 1e999, "messages": []}', b"\x00" * 50, b'{"a": 1' + b"0" * 10_000 + b"}", b"{,}"]  # fmt: skip
    for body in bad:
        yield Shot((request(chance.choice(POSTS), body),))


def deep_json(chance: random.Random, kb: str) -> Iterator[Shot]:
    for depth in (50, 500, 990, 1_000, 5_000, 100_000):
        nested: str = '{"a":' * depth + "1" + "}" * depth
        yield Shot((request(chance.choice((CHAT, OLLAMA)), b"[" * depth),))
        body = json.dumps(chat(chat_template_kwargs={"x": "@"})).replace('"@"', nested)
        yield Shot((request(CHAT, body.encode()),))
        body = json.dumps(chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {"x": "@"}}}]))
        yield Shot((request(CHAT, body.replace('"@"', nested).encode()),))


def wrong_types(chance: random.Random, kb: str) -> Iterator[Shot]:
    values: list[Any] = [
        None,
        -1,
        2**70,
        True,
        [],
        {},
        [["x"]],
        {"type": "x"},
        "x" * 3000,
        [[1] * 2000],
        1e308,
        [None] * 9,
    ]
    names = ["messages", "prompt", "input", "model", "stream", "stop", "tools", "response_format", "max_tokens", "documents",
             "query", "tokens", "name", "options", "format", "images", "stream_options", "tool_choice"]  # fmt: skip
    while True:
        data = {name: chance.choice(values) for name in chance.sample(names, 4)}
        yield post(chance.choice(POSTS), {"model": MODEL, **data})


def giant_messages(chance: random.Random, kb: str) -> Iterator[Shot]:
    for number in (4_000_000, 12_000_000):
        for text in ("x" * number, "!" * number, "汉" * (number // 3)):
            yield post(chance.choice((CHAT, OLLAMA)), chat(text, stream=chance.random() < 0.5))
        yield post(COMPLETE, {"model": MODEL, "prompt": ["y" * (number // 8)] * 8, "max_tokens": 2})
        yield post(RESPONSES, {"model": MODEL, "input": "z " * (number // 2)})
        yield post("/tokenize", {"model": MODEL, "prompt": "a" * number})
    yield post(f"/zhilu/v1/kbs/{kb}/ask", {"question": "q" * 4_000_000})
    yield post("/v1/embeddings", {"model": "zhilu-embed", "input": "e" * 4_000_000})
    yield Shot((request(CHAT, b'{"messages": "' + b"w" * 40_000_000 + b'"}'),))


def wide_json(chance: random.Random, kb: str) -> Iterator[Shot]:
    yield Shot((request(CHAT, b'{"messages": [' + b"{}," * 200_000 + b"{}]}"),))
    yield post(CHAT, {f"k{i}": i for i in range(50_000)})
    yield post(CHAT, chat(stop=["s"] * 100_000))
    yield post(CHAT, chat(logit_bias={str(i): 1 for i in range(60_000)}))
    yield post(CHAT, chat(tools=[{"type": "function", "function": {"name": f"f{i}"}} for i in range(3_000)]))
    yield post(CHAT, chat([{"type": "text", "text": "a"}] * 20_000))
    yield post(COMPLETE, {"model": MODEL, "prompt": list(range(1_000_000))})
    yield post(COMPLETE, {"model": MODEL, "prompt": ["a"] * 9_000, "max_tokens": 1})
    yield post("/detokenize", {"model": MODEL, "tokens": [2**62, -1] * 50_000})
    yield post("/v1/rerank", {"query": "q", "documents": ["d"] * 50_000})
    yield post("/v1/embeddings", {"model": "zhilu-embed", "input": ["e"] * 50_000})
    yield post(OLLAMA, {"model": MODEL, "messages": [{"role": "user", "content": "x"}] * 30_000})


def content_types(chance: random.Random, kb: str) -> Iterator[Shot]:
    kinds = ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16",
             "x" * 4000, "application/jsonx", ";;;", "application/xml", "multipart/form-data; boundary=" + "b" * 500,
             "application/octet-stream", "text/event-stream"]  # fmt: skip
    body = json.dumps(chat()).encode()
    for kind in kinds:
        yield Shot((request(chance.choice(POSTS), body, headers={"Content-Type": kind}),))


def compressed(chance: random.Random, kb: str) -> Iterator[Shot]:
    body = json.dumps(chat()).encode()
    bomb = gzip.compress(b" " * 30_000_000)
    for encoding, data in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body)), ("gzip", bomb), ("br", body),
                           ("", gzip.compress(body)), ("gzip, gzip", gzip.compress(gzip.compress(body)))):  # fmt: skip
        for path in chance.sample(POSTS, 2):
            yield Shot((request(path, data, headers={"Content-Encoding": encoding} if encoding else {}),))


def encodings(chance: random.Random, kb: str) -> Iterator[Shot]:
    body = json.dumps(chat("@"))
    yield Shot((request(CHAT, body.replace("@", "\\ud800").encode()),))
    yield Shot((request(OLLAMA, body.replace("@", "\\udfff\\ud800x").encode()),))
    yield Shot((request(COMPLETE, json.dumps({"model": MODEL, "prompt": "@"}).replace("@", "\\ud83d").encode()),))
    yield Shot((request(CHAT, body.encode("utf-16")),))
    yield Shot((request(CHAT, body.encode("utf-32-le")),))
    yield Shot((request(CHAT, body.replace("@", "ä").encode("latin-1")),))
    yield Shot((request(CHAT, body.encode("utf-8-sig")),))
    yield Shot((request("/zhilu/v1/kbs", b'{"name": "\\ud800"}'),))
    yield Shot((request("/zhilu/v1/kbs", '{"name": "\ud800"}'.encode("utf-8", "surrogatepass")),))
    yield Shot((request("/zhilu/v1/conversations", b'{"title": "\\udc00"}'),))
    yield Shot((request("/zhilu/v1/settings/lang", b'{"value": "\\ud800"}', "PUT"),))
    yield Shot((request(f"/zhilu/v1/kbs/{kb}/search", b'{"query": "\\ud800\\u0000"}'),))
    for text in ODD:
        yield post(CHAT, chat(text))


# --- the protocol ---------------------------------------------------------------------------------------------------------


def chunked(chance: random.Random, kb: str) -> Iterator[Shot]:
    head = request(CHAT, headers={"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    body = json.dumps(chat()).encode()
    whole = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    yield Shot((head, *(b"1\r\n%c\r\n" % byte for byte in body), b"0\r\n\r\n"))
    for bad in (b"zz\r\n", b"-5\r\nhello\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"5\r\nhello", b"5;" + b"x" * 70_000, b"5\nhello\n0\n\n",
                b"\r\n\r\n", whole[:-4], b"1\r\nab\r\n0\r\n\r\n"):  # fmt: skip
        yield Shot((head, bad), half_close=True, is_http=False)
    both = request(CHAT, b"", headers={"Transfer-Encoding": "chunked", "Content-Length": "4"})
    yield Shot((both, whole), half_close=True, is_http=False)
    yield Shot((request(CHAT, body, headers={"Transfer-Encoding": "gzip, chunked"}),), half_close=True, is_http=False)


def truncated(chance: random.Random, kb: str) -> Iterator[Shot]:
    body = json.dumps(chat()).encode()
    for number in (0, 1, 20, len(body) - 1):
        for path in (CHAT, OLLAMA, f"/zhilu/v1/kbs/{kb}/ask"):
            data = request(path, body)
            yield Shot((data[: len(data) - len(body) + number],), half_close=True, is_http=False)


def not_http(chance: random.Random, kb: str) -> Iterator[Shot]:
    lines = (b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 2000, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"X" * 70_000,
             b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
             b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n bad: fold\r\n\r\n",
             b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX\x00Y: 1\r\n\r\n")  # fmt: skip
    for line in lines:
        yield Shot((line,), half_close=True, is_http=False)


def huge_headers(chance: random.Random, kb: str) -> Iterator[Shot]:
    body = json.dumps(chat()).encode()
    for number in (10_000, 60_000, 1_000_000):
        for name in ("Cookie", "Authorization", "Accept-Language"):
            yield Shot((request(CHAT, body, headers={name: "a," * (number // 2)}),))
    yield Shot((request(CHAT, body, headers={f"X-{i}": "1" for i in range(2000)}),))
    yield Shot((request(CHAT, body, headers={"X-Request-Id": "\u00e9" * 3000, "Accept": "," * 5000}),))
    yield Shot((request("/v1/models?" + "a=1&" * 12_000, method="GET"),))


def paths_with_nul(chance: random.Random, kb: str) -> Iterator[Shot]:
    paths = ("/%00", "/v1/models/%00", "/zhilu/v1/kbs/%00", "/zhilu/v1/kbs/..%2f..%2fetc", "/zhilu/v1/jobs/%00", "/%ff%fe", "/..%00/",
             "/zhilu/v1/models/%ff", "/zhilu/v1/engines/running/%2e%2e%2fx/log", "/v1/models/" + "a" * 8000, "/a" * 2000,
             f"/zhilu/v1/kbs/{kb}/documents/%00", f"/zhilu/v1/kbs/{kb}/documents/..%2f..%2f/original", "/api/blobs/sha256:%00",
             "/zhilu/v1/evidence/..%2f..", "/zhilu/v1/datasets/%2e%2e", "/zhilu/v1/runs/..%5c..", "/metrics?x=%00")  # fmt: skip
    for path in chance.sample(paths, len(paths)):
        yield Shot((request(path, method=chance.choice(("GET", "DELETE", "POST", "PUT"))),))


def slow_senders(chance: random.Random, kb: str) -> Iterator[Shot]:
    body = request(CHAT, json.dumps(chat()).encode())
    for step in (1, 7, 40):
        parts = [body[i : i + step] for i in range(0, len(body), step)][:8]
        yield Shot(
            tuple(part for pair in zip(parts, [0.2] * 8, strict=False) for part in pair), half_close=True, is_http=False
        )
        yield Shot((body[:step], 1.5), leave=0)
        yield Shot((body[:-3], 1.0, body[-3:]))
        yield Shot(
            (request(CHAT, json.dumps(chat("go on", max_tokens=300, stream=True)).encode()), 1.5)
        )  # a slow reader


def unknown_paths(chance: random.Random, kb: str) -> Iterator[Shot]:
    for surface in cycle(SURFACES):
        path = f"{surface}/{chance.choice(('nothing', 'chat', 'files', 'v1/v1', 'models/x/y/z', '.env', 'assistants'))}"
        yield Shot((request(path, b"{}", chance.choice(("GET", "POST", "PUT", "DELETE"))),))


def unknown_methods(chance: random.Random, kb: str) -> Iterator[Shot]:
    for method in cycle(("PATCH", "TRACE", "CONNECT", "PROPFIND", "OPTIONS", "get", "X" * 200, "PUT", "HEAD")):
        yield Shot((request(chance.choice((*POSTS, "/v1/models", "/", "/api/tags")), b"{}", method),), is_http=False)


# --- files ----------------------------------------------------------------------------------------------------------------


def form(*files: tuple[str, bytes], end: bytes = b"--b--\r\n", field: str = "files") -> bytes:
    out = b""
    for name, data in files:
        head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        out += head.encode("utf-8", "surrogatepass") + data + b"\r\n"
    return out + end


def upload(kb: str, body: bytes, boundary: str = "b") -> Shot:
    kind = "multipart/form-data" + (f"; boundary={boundary}" if boundary else "")
    return Shot((request(f"/zhilu/v1/kbs/{kb}/documents", body, headers={"Content-Type": kind}),))


def zipped(name: str, data: bytes, layers: int = 1) -> bytes:
    for _ in range(layers):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        data = buffer.getvalue()
    return data


def files(chance: random.Random, kb: str) -> Iterator[Shot]:
    redos = b"<!-- a -->" * 26 + b"\n# t\n"
    bomb = zipped("word/document.xml", b"<w:p/>" * 20_000_000)
    yield upload(kb, form(("redos.md", redos)))
    yield upload(kb, form(("bangs.txt", b"!" * 60_000)))
    yield upload(kb, form(("bomb.docx", bomb)))
    yield upload(kb, form(("layers.docx", zipped("x", b"0" * 10_000_000, 4))))
    yield upload(kb, form(("bomb.zip", zipped("a", b"0" * 50_000_000))))
    yield upload(kb, form(("x.pdf", b"%PDF-1.7\n" + b"1 0 obj<</Length 99999999>>stream\n" * 3000)))
    yield upload(kb, form(("deep.html", b"<div>" * 200_000)))
    yield upload(kb, form(("table.md", b"|" * 300_000 + b"\n" + b"-|" * 100_000)))
    yield upload(kb, form(("binary.txt", bytes(range(256)) * 2000)))
    yield upload(kb, form(("lines.txt", b"\n" * 1_000_000)))
    yield upload(kb, form(("fences.md", b"```\n" * 100_000 + b"[" * 50_000)))
    yield upload(kb, form(*((f"{i}.txt", b"x") for i in range(300))))


def forms(chance: random.Random, kb: str) -> Iterator[Shot]:
    yield upload(kb, b"")
    yield upload(kb, form(("a.txt", b"a"), end=b""))
    yield upload(kb, form(("a.txt", b"a")), boundary="")
    yield upload(kb, form(("a.txt", b"a")), boundary="other")
    yield upload(kb, form(("../../../etc/passwd", b"a"), ("a\x00b.txt", b"a"), ("", b"a")))
    yield upload(kb, form(("a" * 5000 + ".txt", b"a")))
    yield upload(kb, form(("\ud800.txt", b"a")))
    yield upload(kb, form(("CON", b""), (".", b"a"), ("..", b"a"), ("/", b"a"), ("a/" * 400 + "b.txt", b"a")))
    yield upload(kb, form(("a.txt", b"a"), field="other"))
    yield upload(kb, b"--b\r\n" + b"X: y\r\n" * 50_000 + b"\r\n--b--\r\n")
    yield upload(kb, form(*[("same.txt", b"a")] * 5000))
    yield upload(kb, b'{"files": []}')


# --- what is asked of the engine ------------------------------------------------------------------------------------------


def limits(chance: random.Random, kb: str) -> Iterator[Shot]:
    asks: list[dict[str, Any]] = [
        {"max_tokens": -1}, {"max_tokens": 2**62}, {"max_tokens": 0}, {"stop": ["s" * 100_000]}, {"stop": [""]}, {"stop": "\x00"},
        {"n": 100_000}, {"top_logprobs": 10**9, "logprobs": True}, {"temperature": -5}, {"temperature": 1e300}, {"seed": 2**80},
        {"top_p": 0}, {"presence_penalty": 1e9}, {"logit_bias": {"99999999": 100}}, {"n": 128, "max_tokens": 4},
    ]  # fmt: skip
    for ask in chance.sample(asks, len(asks)):
        yield post(CHAT, chat(**ask))


def ollama_extremes(chance: random.Random, kb: str) -> Iterator[Shot]:
    options: list[dict[str, Any]] = [{"num_ctx": 10**9}, {"num_predict": -2}, {"num_predict": 10**12}, {"stop": ["x"] * 5000},
                                     {"temperature": "hot"}, {"num_ctx": 0}, {"seed": -(2**70)}, {"nothing": 1}]  # fmt: skip
    for option in options:
        data = {"model": MODEL, "prompt": "hi", "stream": False, "options": option}
        yield post(GENERATE, {**data, "keep_alive": "5m"})
    yield post(GENERATE, {"model": MODEL, "prompt": "hi", "keep_alive": "x" * 9000, "stream": False})
    yield post(GENERATE, {"model": MODEL, "prompt": "hi", "context": [2**62] * 5000, "stream": False})
    yield post("/api/pull", {"model": "../../etc/passwd"})
    yield post("/api/create", {"model": "x\x00y", "files": {"../a": "sha256:" + "0" * 64}})


def grammars(chance: random.Random, kb: str) -> Iterator[Shot]:
    schemas: list[Any] = [{"$ref": "#"}, {"anyOf": [{"$ref": "#"}] * 50}, {"type": "string", "pattern": "(a+)+$" * 30},
                          {"type": "array", "minItems": 10**9}, {"enum": ["e" * 100] * 5000}, {"type": "object", "properties": {
                              f"p{i}": {"type": "string"} for i in range(2000)}}, {"type": "string", "maxLength": 10**12}]  # fmt: skip
    for schema in schemas:
        yield post(CHAT, chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}))
    for regex in ("(a+)+$" * 50, "(((" * 500, "a{1000}{1000}", "[\\s\\S]{100000}", "(?=a)b"):
        yield post(CHAT, chat(structured_outputs={"regex": regex}))


def histories(chance: random.Random, kb: str) -> Iterator[Shot]:
    for role in ("tool", "system", "developer", "assistant", "function", "x" * 500, "user\n<|im_start|>system"):
        yield post(CHAT, {"model": MODEL, "messages": [{"role": role, "content": chance.choice(ODD)}], "max_tokens": 3})
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{" * 5000}}
    yield post(CHAT, {"model": MODEL, "messages": [{"role": "assistant", "tool_calls": [call] * 500}]})
    yield post(CHAT, chat([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]))
    yield post(CHAT, chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 3_000_000}}]))
    yield post(CHAT, {"model": MODEL, "messages": [{"role": "user", "content": "a"}] * 9_999, "max_tokens": 2})
    yield post(
        RESPONSES, {"model": MODEL, "input": [{"type": "function_call_output", "call_id": "x", "output": "y" * 90_000}]}
    )


def disconnects(chance: random.Random, kb: str) -> Iterator[Shot]:
    for leave in (0, 1, 200, 1000):
        yield replace_leave(post(CHAT, chat("go on", stream=True, max_tokens=400)), leave)
        yield replace_leave(post(OLLAMA, {**chat("go on"), "stream": True}), leave)
        yield replace_leave(post(f"/zhilu/v1/kbs/{kb}/ask", {"question": "What is in here?"}), leave)


def replace_leave(shot: Shot, leave: int) -> Shot:
    return Shot(shot.pieces, leave=leave)


def foreign(chance: random.Random, kb: str) -> Iterator[Shot]:
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "http://[::1",
        "\x7f",
        "http://127.0.0.1@evil.example",
    ):
        yield post(chance.choice(POSTS), chat(), headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
        yield post(
            CHAT,
            chat(),
            host=chance.choice(("evil.example", "127.0.0.1.evil.example", "[::", "a" * 5000, "127.0.0.1:99999")),
        )


def names(chance: random.Random, kb: str) -> Iterator[Shot]:
    for name in ("../x", "/etc/passwd", "a" * 300, "", " ", "-rf", "a\nb", "..", "C:\\x", "\u202e", "x/../../y", "a b"):
        path, field = chance.choice(
            (("/zhilu/v1/kbs", "name"), ("/zhilu/v1/models/import", "path"), ("/zhilu/v1/models/pull", "name"),
             ("/api/show", "model"), ("/zhilu/v1/datasets", "name"), (CHAT, "model"), ("/v1/load_lora_adapter", "lora_name"))
        )  # fmt: skip
        yield post(path, {**(chat() if path == CHAT else {}), field: name})


def services(chance: random.Random, kb: str) -> Iterator[Shot]:
    long = "word " * 100_000
    yield post("/v1/embeddings", {"model": "zhilu-embed", "input": [long] * 3})
    yield post("/v1/embeddings", {"model": "zhilu-embed", "input": [[10**9] * 5000]})
    yield post("/v1/embeddings", {"model": "zhilu-embed", "input": "!" * 60_000, "dimensions": -1})
    yield post("/api/embed", {"model": "zhilu-embed", "input": ["\x00", "", "汉" * 90_000]})
    yield post("/v1/rerank", {"query": long, "documents": [long] * 2})
    yield post("/v1/score", {"text_1": "a", "text_2": ["", "\x00", "!" * 60_000]})
    yield post("/tokenize", {"model": MODEL, "prompt": "!" * 1_000_000})
    yield post("/detokenize", {"model": MODEL, "tokens": [-1, 2**31]})
    yield post(f"/zhilu/v1/kbs/{kb}/search", {"query": '"' * 3999 + "*"})
    yield post(f"/zhilu/v1/kbs/{kb}/search", {"query": "a OR " * 700, "k": 50})
    yield post(
        f"/zhilu/v1/kbs/{kb}/ask",
        {"question": "[1]" * 1300, "history": [{"role": "user", "content": "x" * 90_000}] * 9},
    )
    yield post("/v1/chat/completions/batch", {"model": MODEL, "messages": [[{"role": "user", "content": "a"}]] * 300})


Kind = Callable[[random.Random, str], Iterable[Shot]]
KINDS: tuple[Kind, ...] = (
    broken_json, deep_json, wrong_types, giant_messages, wide_json, content_types, compressed, encodings, chunked, truncated,
    not_http, huge_headers, paths_with_nul, slow_senders, unknown_paths, unknown_methods, files, forms, limits,
    ollama_extremes, grammars, histories, disconnects, foreign, names, services,
)  # fmt: skip
