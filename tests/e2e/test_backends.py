"""The back ends that a project begins with: Express and Next.js built and run against the live gateway, Spring as far as it can be.

Each answers in pieces, says what is wrong, and stops the model when its reader leaves.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway
from tests.e2e.test_clients import CLIENTS, npm, packages  # noqa: F401 - npm is a fixture
from tests.e2e.workbench import served_by

from zhilu.serving.supervise.ports import reserve_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MODEL = "zhilu-nano"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_gateway(tmp_path_factory.mktemp("backends"), only=("serving", "rag")) as running:
        running.call(running.supervisor.ensure(MODEL))
        yield running


@pytest.fixture(params=["express", "next"])
def backend(
    request: pytest.FixtureRequest,
    npm: tuple[list[str], dict[str, str]],  # noqa: F811
    gateway: RunningGateway,
    tmp_path: Path,
) -> Iterator[tuple[str, int]]:
    """Its name and port."""
    name = request.param
    folder = CLIENTS / "node" / name
    packages(folder, npm)
    words, base = npm
    env = {**base, "NEXT_TELEMETRY_DISABLED": "1"}
    built = subprocess.run(
        [*words, "run", "build"], cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    port = reserve_port()
    env |= {"ZHILU_URL": f"{gateway.url}/v1", "ZHILU_MODEL": MODEL, "PORT": str(port)}
    node = shutil.which("node", path=base["PATH"])
    assert node
    start = (
        ["server.mjs"] if name == "express" else ["node_modules/next/dist/bin/next", "start", "--hostname", "127.0.0.1"]
    )
    with served_by([node, *start], f"http://127.0.0.1:{port}/", env, tmp_path / "server.log", cwd=folder):
        yield name, port


def body_of(name: str, question: str, **more: Any) -> bytes:
    message: dict[str, Any] = {"role": "user", "content": question}
    if name == "next":
        message = {"id": "1", "role": "user", "parts": [{"type": "text", "text": question}]}
    return json.dumps({"messages": [message], **more}).encode()


def ask(name: str, port: int, question: str, **more: Any) -> tuple[int, list[dict[str, Any]], str]:
    """The status, the events, and the answer's words."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/chat", body_of(name, question, **more), headers)
        reply = connection.getresponse()
        lines = reply.read().decode().splitlines()
    finally:
        connection.close()
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    events = [json.loads(piece) for piece in data if piece != "[DONE]"]
    assert reply.status != 200 or data[-1] == "[DONE]"
    words = [event.get("text") or event.get("delta") or "" for event in events]
    return reply.status, events, "".join(words)


def rows(gateway: RunningGateway) -> list[dict[str, Any]]:
    path = gateway.context.home.logs / "usage.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_streams_refuses_and_stops(backend: tuple[str, int], gateway: RunningGateway) -> None:
    name, port = backend
    before = len(rows(gateway))
    status, events, words = ask(name, port, "What can you do?")
    assert status == 200
    assert words.strip()
    assert len([event for event in events if event.get("text") or event.get("delta")]) >= 3
    made = rows(gateway)[before:]
    assert {(row["endpoint"], row["stream"], row["status"], row["model"]) for row in made} == {
        ("/v1/chat/completions", True, 200, MODEL)
    }
    assert ask(name, port, " ")[0] == 400

    # Whoever leaves stops the model.
    before = len(rows(gateway))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/api/chat", body_of(name, "Count to a hundred."), {"Content-Type": "application/json"})
    connection.getresponse().read(1)
    connection.close()
    deadline = time.monotonic() + 20
    while len(rows(gateway)) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert rows(gateway)[before]["status"] in (499, 200)  # zhilu-nano may have ended first


def test_a_model_that_is_not_there_is_said(backend: tuple[str, int], gateway: RunningGateway) -> None:
    name, port = backend
    status, events, _ = ask(name, port, "Hello", knowledgeBase="no-such-base")
    told = json.dumps(events)
    if name == "express":
        assert status == 200
        assert "no-such-base" in told
    else:
        assert status == 500


def test_spring_compiles_and_its_tests_pass(tmp_path: Path) -> None:
    """As far as this machine lets it: every file's syntax, what is pinned; all of it where Maven's registry answers."""
    if shutil.which("javac") is None:
        pytest.skip("no JDK here: apt install default-jdk-headless")
    project = CLIENTS / "java/spring"
    sources = sorted(project.rglob("*.java"))
    assert len(sources) >= 10
    parsed = subprocess.run(
        ["javac", "-XDshould-stop.ifNoError=PARSE", "-XDshould-stop.ifError=PARSE", "-d", str(tmp_path), *map(str, sources)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert parsed.returncode == 0, parsed.stderr
    pom = (project / "pom.xml").read_text("utf-8")
    for pinned in ("4.0.7", "2.0.1", "1.19.0", "3.15.0"):
        assert f">{pinned}<" in pom
    mvn = shutil.which("mvn")
    if mvn is None:
        pytest.skip("no Maven here; the syntax was checked")
    copy = tmp_path / "spring"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("target"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("ZHILU_")}
    built = subprocess.run([mvn, "-B", "-q", "test"], cwd=copy, env=env, capture_output=True, text=True, check=False)
    if re.search(r"Unknown host|Could not transfer|transfer failed|Network is unreachable", built.stdout):
        pytest.skip("Maven's registry cannot be reached here; the syntax was checked")
    assert built.returncode == 0, built.stdout
