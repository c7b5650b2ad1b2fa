"""Gate 5.7: a back end in Node.js and one in Java stand in front of the model, and pass its stream on as it comes.

A back end that waits for the whole answer and then sends it in one go looks right in a log. So the gate reads from it as a
browser does, and compares the moments: pieces must come while the model still writes. That its request reached this gateway is
read from the usage log.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zhilu.client import connect
from zhilu.context import Context
from zhilu.errors import UpstreamError, ZhiluError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.serving.client_gates import Find, logged_requests
from zhilu.serving.proofs.client_tools import Java, Missing, Node, Runtime, samples_folder

__all__ = ["GATES", "Passed", "check_backends", "read_stream"]

_FILES = {"node": "backend.mjs", "java": "Backend.java"}
_QUESTION = "Count from one to thirty in words. 从一数到三十。"
_START_S = 60.0
_LOG_WAIT_S = 10.0
_LISTENS = re.compile(rb"http://127\.0\.0\.1:(\d+)")


@dataclass
class Passed:
    """What came through a back end. ``moments``: seconds at which pieces with text came; ``request``: its id at the gateway."""

    request: str
    moments: list[float] = field(default_factory=list)
    text: str = ""
    is_ended: bool = False

    @property
    def spread(self) -> float:
        """Seconds between the first piece and the last."""
        return self.moments[-1] - self.moments[0] if self.moments else 0.0


def check_backends(context: Context, *, find: tuple[Find, ...] = (Node.find, Java.find)) -> Verdict:
    """5.7: both back ends stream. ``find`` is there for tests."""
    if context.settings.base_url:
        return Verdict.cannot_run_here(
            T("The gateway is another machine's: its log cannot be read.", "网关在另一台机器上，读不到它的日志。"),
            fix="zhilu settings unset base_url",
            because=Because.SETTING,
        )
    found = [look(context) for look in find]
    there = [item for item in found if isinstance(item, Runtime)]
    missing = [item for item in found if isinstance(item, Missing)]
    figures: list[Figure] = []
    try:
        for runtime in there:
            outcome = asyncio.run(_through(context, runtime))
            if isinstance(outcome, Verdict):
                return outcome
            figures += [
                Figure(T(runtime.title, runtime.title), runtime.version),
                Figure(T(f"{runtime.title}: pieces", f"{runtime.title}：片段数"), len(outcome.moments)),
                Figure(
                    T(f"{runtime.title}: first to last", f"{runtime.title}：首末间隔"), round(outcome.spread, 3), "s"
                ),
            ]
    except ZhiluError as error:
        return Verdict.failed(error.message, *figures, fix=error.fix)
    if missing:
        return Verdict.cannot_run_here(
            T(" ".join(m.why.en for m in missing), "".join(m.why.zh for m in missing)),
            *figures,
            fix=missing[0].fix,
            because=Because.COMPONENT,
        )
    files = [samples_folder() / r.name / _FILES[r.name] for r in there]
    return Verdict.passed(
        T(
            "Both back ends passed the model's answer on while it was written; the gateway's log holds their requests.",
            "两个后端都在模型书写的同时把回答转发出来，网关日志里有它们的请求。",
        ),
        *figures,
        artefacts=[Artefact.of(path, f"{path.parent.name}/{path.name}") for path in files],
    )


async def _through(context: Context, runtime: Runtime) -> Passed | Verdict:
    async with connect(context) as client:
        return await asyncio.to_thread(_judge, context, runtime, client.base_url)


def _judge(context: Context, runtime: Runtime, url: str) -> Passed | Verdict:
    name = f"clients/{runtime.name}/{_FILES[runtime.name]}"
    with _running(context, runtime, url) as port:
        status, _ = _ask(port, "")
        if status != 400:
            return _failed(name, T(f"an empty question got {status}, not 400", f"空问题得到 {status}，应为 400"))
        passed = read_stream(port, _QUESTION)
    if not passed.is_ended or len(passed.moments) < 3:
        return _failed(
            name,
            T(f"{len(passed.moments)} pieces came, and the end {'did' if passed.is_ended else 'did not'}",
              f"收到 {len(passed.moments)} 个片段，{'有' if passed.is_ended else '没有'}结束标记"),
        )  # fmt: skip
    row = logged_requests(context, [passed.request], wait=_LOG_WAIT_S).get(passed.request)
    if row is None or not row["stream"] or row["model"] != default_model(context).name:
        return _failed(
            name,
            T(f"the gateway's log has no such stream {passed.request!r}", f"网关日志里没有流式请求 {passed.request!r}"),
        )
    # The model took this long; a back end that holds the pieces back hands them out within a moment.
    if passed.spread < 0.2 * _writing_seconds(row):
        return _failed(
            name,
            T(f"all pieces came within {passed.spread:.3f} s: they were held back",
              f"所有片段在 {passed.spread:.3f} 秒内到达：它们被攒在一起才发出"),
        )  # fmt: skip
    return passed


def _writing_seconds(row: dict[str, Any]) -> float:
    """How long the model wrote, by the gateway's own clock."""
    return max(0.0, float(row["seconds"]) - float(row["first_byte_s"])) if row["first_byte_s"] is not None else 0.0


@contextmanager
def _running(context: Context, runtime: Runtime, url: str) -> Iterator[int]:
    """The back end as a process of its own on a free port; ended afterwards."""
    env = {**os.environ, **runtime.env, "ZHILU_URL": url, "ZHILU_MODEL": default_model(context).name, "PORT": "0"}
    env.pop("ZHILU_API_KEY", None)
    if context.settings.api_key:
        env["ZHILU_API_KEY"] = context.settings.api_key
    command = runtime.command(samples_folder() / runtime.name, _FILES[runtime.name])
    log = context.home.logs / f"backend-{runtime.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield _port_of(process, log, runtime)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port_of(process: subprocess.Popen[bytes], log: Path, runtime: Runtime) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        if match := _LISTENS.search(log.read_bytes()):
            return int(match.group(1))
        time.sleep(0.05)
    tail = log.read_text(encoding="utf-8", errors="replace").strip()[-400:] or "-"
    raise UpstreamError(
        T(f"{runtime.title}'s back end did not start: {tail}", f"{runtime.title} 后端没有启动：{tail}"),
        fix=f"cat {log}",
    )


def _ask(port: int, question: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/api/chat", question.encode(), {"Content-Type": "text/plain"})
        reply = connection.getresponse()
        return reply.status, reply.read(2000).decode(errors="replace")
    finally:
        connection.close()


def read_stream(port: int, question: str) -> Passed:
    """Ask a back end and note when each piece comes.

    Raises:
        UpstreamError: it refuses, or its stream holds an error.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", "/api/chat", question.encode(), {"Content-Type": "text/plain"})
        reply = connection.getresponse()
        if reply.status != 200:
            said = reply.read(500).decode(errors="replace")
            raise UpstreamError(T(f"The back end answers {reply.status}: {said}", f"后端返回 {reply.status}：{said}"))
        passed = Passed(reply.headers.get("X-Request-Id", ""))
        while line := reply.readline():
            _take(line.decode(errors="replace").strip(), passed)
        return passed
    finally:
        connection.close()


def _take(line: str, passed: Passed) -> None:
    if not line.startswith("data:"):
        return
    data = line[5:].strip()
    if data == "[DONE]":
        passed.is_ended = True
        return
    chunk = json.loads(data)
    if "error" in chunk:
        said = str(chunk["error"])[:300]
        raise UpstreamError(T(f"The stream broke off: {said}", f"流中断：{said}"))
    piece = next((c.get("delta", {}).get("content") for c in chunk.get("choices", [])), None)
    if piece:
        passed.text += piece
        passed.moments.append(time.monotonic())


def _failed(name: str, why: T) -> Verdict:
    return Verdict.failed(T(f"{name}: {why.en}.", f"{name}：{why.zh}。"), fix=f"cat {name}")


GATES: tuple[Gate, ...] = (
    Gate(
        "5.7",
        T("Back ends in Node.js and Java pass the stream on", "Node.js 与 Java 后端转发流"),
        check_backends,
        ("2.5",),
        slow=True,
    ),
)
