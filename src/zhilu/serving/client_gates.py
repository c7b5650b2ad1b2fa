"""Gate 2.5: the sample programs in Node.js and Java run against the live gateway, and its log contains their requests.

That a program ends well proves little: it could have talked to any server. Each program prints the ``x-request-id`` of every
answer, and the gate looks these ids up in ``logs/usage.jsonl``, which only this gateway writes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zhilu.client import connect
from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.serving.proofs.client_tools import Java, Missing, Node, Runtime, samples_folder

__all__ = ["GATES", "check_clients", "logged_requests"]

_REQUEST = re.compile(r"request ([A-Za-z0-9._:-]+)\]")
_TIMEOUT_S = 300.0
_LOG_WAIT_S = 10.0  # a request is booked after its last byte was sent, so the program may end first
Find = Callable[[Context], "Runtime | Missing"]


@dataclass(frozen=True)
class Sample:
    """A program of ``clients/``; ``streams``: what the log must say of each of its requests."""

    file: str
    streams: bool


_SAMPLES: dict[str, tuple[Sample, ...]] = {
    "node": (Sample("chat.mjs", True), Sample("tools.mjs", True)),
    "java": (Sample("Chat.java", True), Sample("Tools.java", False)),
}


def check_clients(context: Context, *, find: tuple[Find, ...] = (Node.find, Java.find)) -> Verdict:
    """2.5: both languages' programs get their answers from this machine's gateway. ``find`` is there for tests."""
    if context.settings.base_url:
        return Verdict.cannot_run_here(
            T(
                f"The model runs at {context.settings.base_url}; the log there is not ours to read.",
                f"模型运行在 {context.settings.base_url}，那里的日志我们读不到。",
            ),
            fix="zhilu settings unset base_url",
            because=Because.SETTING,
        )
    folder = samples_folder()
    found = [look(context) for look in find]
    there = [item for item in found if isinstance(item, Runtime)]
    missing = [item for item in found if isinstance(item, Missing)]
    figures = [Figure(T(runtime.title, runtime.title), runtime.version) for runtime in there]
    if there:
        outcome = _with_gateway(context, lambda url: _run_all(context, folder, there, url))
        if isinstance(outcome, Verdict):
            return outcome
        figures += [
            Figure(T("programs run", "运行的程序"), sum(len(_SAMPLES[r.name]) for r in there)),
            Figure(T("requests in the gateway's log", "网关日志里的请求"), len(outcome)),
            Figure(T("tokens answered", "回答的 token"), sum(row["completion_tokens"] for row in outcome)),
        ]
    if missing:
        return Verdict.cannot_run_here(
            T(" ".join(m.why.en for m in missing), "".join(m.why.zh for m in missing)),
            *figures,
            fix=missing[0].fix,
            because=Because.COMPONENT,
        )
    names = " and ".join(f"{r.title} {r.version}" for r in there), "和".join(f"{r.title} {r.version}" for r in there)
    files = [folder / runtime.name / sample.file for runtime in there for sample in _SAMPLES[runtime.name]]
    return Verdict.passed(
        T(
            f"Programs in {names[0]} got their answers from this gateway; its log holds every one of their requests.",
            f"{names[1]} 写的程序都从这个网关得到了回答，它们的每个请求都在网关日志里。",
        ),
        *figures,
        artefacts=[Artefact.of(path, f"{path.parent.name}/{path.name}") for path in files],
    )


def _with_gateway(
    context: Context, work: Callable[[str], list[dict[str, Any]] | Verdict]
) -> list[dict[str, Any]] | Verdict:
    """Run ``work(url)`` against the running gateway, or one started for it."""

    async def ask() -> list[dict[str, Any]] | Verdict:
        async with connect(context) as client:
            return await asyncio.to_thread(work, client.base_url)

    try:
        return asyncio.run(ask())
    except ZhiluError as error:
        return Verdict.failed(error.message, fix=error.fix)


def _run_all(context: Context, folder: Path, there: list[Runtime], url: str) -> list[dict[str, Any]] | Verdict:
    """The log's rows of every request that the programs made, or what went wrong first."""
    rows = []
    for runtime in there:
        for sample in _SAMPLES[runtime.name]:
            outcome = _run(context, runtime, folder / runtime.name, sample, url)
            if isinstance(outcome, Verdict):
                return outcome
            rows += outcome
    return rows


def _run(context: Context, runtime: Runtime, folder: Path, sample: Sample, url: str) -> list[dict[str, Any]] | Verdict:
    settings = context.settings
    env = {**os.environ, **runtime.env, "ZHILU_URL": url, "ZHILU_MODEL": default_model(context).name}
    env.pop("ZHILU_API_KEY", None)
    if settings.api_key:
        env["ZHILU_API_KEY"] = settings.api_key
    command = runtime.command(folder, sample.file)
    name = f"{runtime.name}/{sample.file}"
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, encoding="utf-8", errors="replace",
            timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return _failed(context, name, T(f"no end after {_TIMEOUT_S:.0f} s", f"{_TIMEOUT_S:.0f} 秒后仍未结束"))
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        return _failed(context, name, T(f"exit status {done.returncode}: {said}", f"退出码 {done.returncode}：{said}"))
    ids = _REQUEST.findall(done.stderr)
    if not ids:
        return _failed(context, name, T("it made no request", "没有发出请求"))
    rows = logged_requests(context, ids, wait=_LOG_WAIT_S)
    for identity in ids:
        row = rows.get(identity)
        if row is None:
            return _failed(
                context,
                name,
                T(f"the gateway's log has no request {identity}", f"网关日志里没有请求 {identity}"),
            )
        told = (row["status"], row["model"], row["stream"])
        if told != (200, default_model(context).name, sample.streams) or not row["completion_tokens"]:
            why = f"{identity}: status {row['status']}, model {row['model']!r}, stream {row['stream']}"
            return _failed(context, name, T(f"the log says otherwise ({why})", f"日志所记不符（{why}）"))
    return [rows[identity] for identity in ids]


def _failed(context: Context, name: str, why: T) -> Verdict:
    return Verdict.failed(
        T(f"clients/{name}: {why.en}.", f"clients/{name}：{why.zh}。"),
        fix=f"zhilu engine log {default_model(context).name}",
    )


def logged_requests(context: Context, ids: list[str], *, wait: float = 0.0) -> dict[str, dict[str, Any]]:
    """Rows of the usage log by request id; asks again for up to ``wait`` seconds while one of ``ids`` is not there."""
    deadline = time.monotonic() + wait
    while True:
        rows: dict[str, dict[str, Any]] = {}
        for name in ("usage.jsonl.1", "usage.jsonl"):
            path = context.home.logs / name
            if path.exists():
                text = path.read_text(encoding="utf-8", errors="replace")
                lines = (json.loads(line) for line in text.splitlines() if any(wanted in line for wanted in ids))
                rows |= {row["id"]: row for row in lines}
        if set(ids) <= set(rows) or time.monotonic() > deadline:
            return rows
        time.sleep(0.1)


GATES: tuple[Gate, ...] = (
    Gate(
        "2.5",
        T("Programs in Node.js and Java get their answers here", "Node.js 和 Java 程序从这里得到回答"),
        check_clients,
        ("2.2",),
        slow=True,
    ),
)
