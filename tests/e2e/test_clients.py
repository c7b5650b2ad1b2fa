"""The samples of ``clients/``, as a developer runs them, against the live gateway with the embedded model.

Each needs its language here: Node.js (taken from PyPI where there is none, as the workbench's build does), a JDK 17, Maven
with its registry. Where a registry cannot be reached, CI fails and another machine skips.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway
from tests.e2e.scripted_tools import CITY, run_tool_caller

from zhilu.context import open_context
from zhilu.gate import Status
from zhilu.process import mine
from zhilu.serving.backend_gates import check_backends
from zhilu.serving.client_gates import check_clients, logged_requests
from zhilu.serving.supervise.ports import reserve_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "clients"
MODEL = "zhilu-nano"
REQUEST = re.compile(r"request (\S+)\]")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with run_gateway(tmp_path_factory.mktemp("clients"), only=("serving", "rag")) as running:
        running.call(running.supervisor.ensure(MODEL))
        yield running


def no_registry(why: str) -> None:
    (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


@pytest.fixture(scope="session")
def npm() -> tuple[list[str], dict[str, str]]:
    """npm and the environment to run it in, as ``scripts/install.py`` finds them."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "scripts" / "install.py")
    assert spec is not None and spec.loader is not None
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    found: tuple[list[str], dict[str, str]] = install.find_npm()
    return found


def packages(folder: Path, npm: tuple[list[str], dict[str, str]]) -> None:
    """The packages that the folder's lock file names."""
    words, env = npm
    manifest = folder / "node_modules" / ".package-lock.json"
    if manifest.exists() and manifest.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime:
        return
    command = [*words, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        no_registry(f"npm ci in {folder.name}: {done.stderr[-500:]}")


@pytest.fixture(scope="session")
def node(npm: tuple[list[str], dict[str, str]]) -> list[str]:
    packages(CLIENTS / "node", npm)
    found = shutil.which("node", path=npm[1]["PATH"])
    assert found
    return [found]


@pytest.fixture(scope="session")
def java() -> list[str]:
    found = shutil.which("java")
    if found is None or shutil.which("javac") is None:
        pytest.skip("no JDK here: apt install default-jdk-headless")
    return [found]


def run(command: list[str], url: str, *, model: str = MODEL, given: str | None = None) -> tuple[int, str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ZHILU_")}
    env |= {"ZHILU_URL": url, "ZHILU_MODEL": model}
    done = subprocess.run(
        command, env=env, input=given, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False
    )
    return done.returncode, done.stdout, done.stderr


def command_of(request: pytest.FixtureRequest, file: str) -> list[str]:
    language = file.partition("/")[0]
    return [*request.getfixturevalue(language), str(CLIENTS / file)]


# ---------------------------------------------------------------- the embedded model


@pytest.mark.parametrize("file", ["node/chat.mjs", "java/Chat.java"])
def test_a_streamed_answer_that_the_gateway_saw(
    request: pytest.FixtureRequest, gateway: RunningGateway, file: str
) -> None:
    status, out, err = run([*command_of(request, file), "What can you do?"], f"{gateway.url}/v1")
    assert status == 0, err
    assert out.strip()
    (identity,) = REQUEST.findall(err)
    row = logged_requests(gateway.context, [identity], wait=10)[identity]
    assert (row["model"], row["stream"], row["status"]) == (MODEL, True, 200)
    assert f"[{row['completion_tokens']} tokens" in err


@pytest.mark.parametrize("file", ["node/tools.mjs", "java/Tools.java"])
def test_tools_are_offered_to_the_model(request: pytest.FixtureRequest, gateway: RunningGateway, file: str) -> None:
    """Whether it calls one is the model's affair (see the next test); the program ends well either way."""
    status, _, err = run(command_of(request, file), f"{gateway.url}/v1")
    assert status == 0, err
    identities = REQUEST.findall(err)
    rows = logged_requests(gateway.context, identities, wait=10)
    assert identities
    assert {rows[identity]["status"] for identity in identities} == {200}
    # The tool stands in the prompt: the question alone is a few dozen tokens.
    assert rows[identities[0]]["prompt_tokens"] > 60


def test_ollamas_own_client(request: pytest.FixtureRequest, gateway: RunningGateway) -> None:
    status, out, err = run([*command_of(request, "node/ollama.mjs"), "What can you do?"], f"{gateway.url}/v1")
    assert status == 0, err
    assert out.strip()
    assert MODEL in err.splitlines()[0]
    assert re.search(r"\[[1-9]\d* tokens, ended by (stop|length)\]", err)


def test_anthropics_own_client(request: pytest.FixtureRequest, gateway: RunningGateway) -> None:
    """A stream, and the whole round of a call through a server that always makes one."""
    command = command_of(request, "node/messages.mjs")
    status, out, err = run([*command, "What can you do?"], f"{gateway.url}/v1")
    assert status == 0, err
    rows = logged_requests(gateway.context, REQUEST.findall(err), wait=10)
    told = {(row["endpoint"], row["model"], row["stream"], row["status"]) for row in rows.values()}
    assert told == {("/v1/messages", MODEL, True, 200)}
    with run_tool_caller() as (url, asked):
        start = {"engine": "openai", "base_url": url, "remote_model": "scripted"}
        httpx.post(f"{gateway.url}/zhilu/v1/models/scripted/start", json=start, trust_env=False).raise_for_status()
        gateway.call(gateway.supervisor.ensure("scripted"))
        status, out, err = run(command, f"{gateway.url}/v1", model="scripted")
    assert status == 0, err
    assert "ended by tool_use" in err and "ended by end_turn" in err
    *_, call, result = asked[-1]["messages"]
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"city": CITY}
    assert (result["role"], result["tool_call_id"]) == ("tool", "call-1")
    assert f"It told me: {result['content']}" in out


def test_the_gate_passes_with_the_real_programs(
    node: list[str], java: list[str], gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a gateway that it finds in the same home."""

    from zhilu.client import GATEWAY_FILE

    state = {"url": gateway.url, **mine().note()}
    (gateway.context.home.run / GATEWAY_FILE).write_text(json.dumps(state))
    monkeypatch.setenv("PATH", f"{Path(node[0]).parent}{os.pathsep}{os.environ['PATH']}")
    context = open_context({"home": str(gateway.context.home.path)})
    try:
        verdict = check_clients(context)
    finally:
        context.close()
    assert verdict.status is Status.PASSED, verdict.why
    assert {figure.name.en: figure.value for figure in verdict.figures}["programs run"] == 4


def test_the_back_ends_stream_through_the_gate(
    node: list[str], java: list[str], gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real ones, asked as a browser asks them."""

    from zhilu.client import GATEWAY_FILE

    state = {"url": gateway.url, **mine().note()}
    (gateway.context.home.run / GATEWAY_FILE).write_text(json.dumps(state))
    monkeypatch.setenv("PATH", f"{Path(node[0]).parent}{os.pathsep}{os.environ['PATH']}")
    context = open_context({"home": str(gateway.context.home.path)})
    try:
        verdict = check_backends(context)
    finally:
        context.close()
    assert verdict.status is Status.PASSED, verdict.why
    assert len(verdict.artefacts) == 2


@pytest.mark.browser
@pytest.mark.parametrize("browser", [True, False])
def test_the_pages_stream_through_the_gate(
    built_react: Path, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, npm: tuple[list[str], dict[str, str]],
    browser: bool,
) -> None:  # fmt: skip
    """The sample as its own server serves it, and the workbench where it is built; without a browser the sample's module."""

    from zhilu.client import GATEWAY_FILE
    from zhilu.serving.page_gates import check_pages
    from zhilu.serving.proofs.browser import find_chromium

    chromium = find_chromium() if browser else None
    if browser and chromium is None:
        pytest.skip("no Chromium here")
    state = {"url": gateway.url, **mine().note()}
    (gateway.context.home.run / GATEWAY_FILE).write_text(json.dumps(state))
    monkeypatch.setenv("PATH", npm[1]["PATH"])
    context = open_context({"home": str(gateway.context.home.path)})
    try:
        verdict = check_pages(context, chromium=lambda: chromium)
    finally:
        context.close()
    told = {figure.name.en: figure.value for figure in verdict.figures}
    if browser:  # this gateway serves no workbench, which comes last
        assert "The workbench: it is not built here" in verdict.why.en
    else:
        assert verdict.status is Status.PASSED, verdict.why
        assert "No Chromium" in verdict.why.en
    assert int(told["The React sample: pieces"]) >= 3


# ---------------------------------------------------------------- what programs do with a call, and with errors


@pytest.mark.parametrize("file", ["node/tools.mjs", "java/Tools.java"])
def test_a_call_is_run_and_its_result_sent_back(request: pytest.FixtureRequest, file: str) -> None:
    with run_tool_caller() as (url, asked):
        status, out, err = run(command_of(request, file), url)
    assert status == 0, err
    assert "[1 tool calls, ended by tool_calls, request req-1]" in err
    assert len(asked) == 2
    *_, call, result = asked[1]["messages"]
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"city": CITY}
    assert (result["role"], result["tool_call_id"]) == ("tool", "call-1")
    told: dict[str, Any] = json.loads(result["content"])
    assert told == {"city": CITY, "weather": "sunny", "temperature": 21}
    assert f"It told me: {result['content']}" in out


@pytest.mark.parametrize(
    "file",
    ["node/chat.mjs", "node/tools.mjs", "node/messages.mjs", "node/ollama.mjs", "java/Chat.java", "java/Tools.java"],
)
def test_problems_are_told_in_a_line(request: pytest.FixtureRequest, gateway: RunningGateway, file: str) -> None:
    command = command_of(request, file)
    status, _, err = run(command, f"{gateway.url}/v1", model="nobody")
    assert status == 1
    assert "nobody" in err
    status, _, err = run(command, f"http://127.0.0.1:{reserve_port()}/v1")
    assert status == 1
    assert "zhilu up" in err
    assert "    at " not in err  # no stack of calls


def test_java_reads_chinese_in_any_locale(
    java: list[str], gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    status, out, err = run([*java, str(CLIENTS / "java/Chat.java"), "-"], f"{gateway.url}/v1", given="你能做什么？\n")
    assert status == 0, err
    assert re.search("[\u4e00-\u9fff]", out)


def test_both_java_files_hold_the_same_json_reader() -> None:
    texts = [(CLIENTS / "java" / name).read_text("ascii") for name in ("Chat.java", "Tools.java")]
    readers = [text[text.index("    // ---- JSON") :] for text in texts]
    assert readers[0] == readers[1]


# ---------------------------------------------------------------- Maven


def test_the_maven_project_says_where_its_libraries_log() -> None:
    """Without exactly one binding SLF4J prints three warnings before the first answer."""
    maven = "{http://maven.apache.org/POM/4.0.0}"
    listed = ElementTree.parse(CLIENTS / "java/maven/pom.xml").getroot().iter(f"{maven}dependency")
    slf4j = [d for d in listed if d.findtext(f"{maven}groupId") == "org.slf4j"]
    assert [(d.findtext(f"{maven}artifactId"), d.findtext(f"{maven}scope")) for d in slf4j] == [
        ("slf4j-nop", "runtime")
    ]
    version = str(slf4j[0].findtext(f"{maven}version"))
    assert version.startswith("2.")  # one for SLF4J 1 is not found by the API of 2, which the libraries bring


def test_the_maven_project_compiles(java: list[str], tmp_path: Path) -> None:
    """As far as this machine lets it: the project and every file's syntax; all of it where Maven's registry answers."""
    sources = sorted((CLIENTS / "java/maven").rglob("*.java"))
    assert len(sources) == 3
    parsed = subprocess.run(
        ["javac", "-XDshould-stop.ifNoError=PARSE", "-XDshould-stop.ifError=PARSE", "-d", str(tmp_path), *map(str, sources)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert parsed.returncode == 0, parsed.stderr
    mvn = shutil.which("mvn")
    if mvn is None:
        pytest.skip("no Maven here; the syntax was checked")
    project = tmp_path / "maven"
    shutil.copytree(CLIENTS / "java/maven", project, ignore=shutil.ignore_patterns("target"))
    valid = subprocess.run(
        [mvn, "-B", "-q", "-o", "validate"], cwd=project, capture_output=True, text=True, check=False
    )
    assert valid.returncode == 0, valid.stdout
    built = subprocess.run([mvn, "-B", "-q", "compile"], cwd=project, capture_output=True, text=True, check=False)
    if re.search(r"Unknown host|Could not transfer|transfer failed|Network is unreachable", built.stdout):
        pytest.skip("Maven's registry cannot be reached here; the project and the syntax were checked")
    assert built.returncode == 0, built.stdout
    ran = subprocess.run(  # against nobody: what is looked at is what it says on the way
        [mvn, "-B", "-q", "exec:java", "-Dexec.mainClass=zhilu.OfficialSdk"], cwd=project, capture_output=True, text=True,
        env={**os.environ, "ZHILU_URL": "http://127.0.0.1:1/v1"}, check=False,
    )  # fmt: skip
    assert "SLF4J" not in ran.stdout + ran.stderr


# ---------------------------------------------------------------- React


@pytest.fixture(scope="session")
def built_react(npm: tuple[list[str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, type-checked and built."""
    folder = CLIENTS / "react"
    packages(folder, npm)
    out = tmp_path_factory.mktemp("react") / "dist"
    words, env = npm
    for command in ("types",), ("build", "--", "--emptyOutDir", "--outDir", str(out)):
        done = subprocess.run(
            [*words, "run", "--silent", *command], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_page_is_small(built_react: Path) -> None:
    import gzip

    assert (built_react / "index.html").exists()
    scripts = b"".join(path.read_bytes() for path in built_react.rglob("*.js"))
    assert len(gzip.compress(scripts)) < 150_000


@pytest.mark.browser
def test_a_person_chats_on_the_page(
    built_react: Path, npm: tuple[list[str], dict[str, str]], gateway: RunningGateway, tmp_path: Path
) -> None:
    """Through the proxy of ``npm run dev`` (the same as ``vite preview``'s) to the live gateway."""
    from tests.e2e.workbench import Watch, browser_at, chromium, served_by

    if chromium() is None:
        pytest.skip("no Chromium here")
    port = reserve_port()
    vite = CLIENTS / "react/node_modules/vite/bin/vite.js"
    found = shutil.which("node", path=npm[1]["PATH"])
    assert found
    argv = [found, str(vite), "preview", "--host", "127.0.0.1", "--port", str(port), "--strictPort",
            "--outDir", str(built_react)]  # fmt: skip
    env = {**npm[1], "ZHILU_URL": f"{gateway.url}/v1"}
    page_url = f"http://127.0.0.1:{port}/"
    before = (gateway.context.home.logs / "usage.jsonl").read_text().count("\n")
    with served_by(argv, page_url, env, tmp_path / "vite.log", cwd=CLIENTS / "react"), browser_at() as browser:
        watch = Watch(browser, page_url.rstrip("/"))
        page = watch.page
        page.goto("/")
        page.get_by_label("Ask something").fill("What can you do?")
        page.keyboard.press("Enter")
        answer = page.locator("article.assistant")
        answer.wait_for()
        page.get_by_role("button", name="Send").wait_for()  # "Stop" while the answer comes
        assert answer.inner_text().strip()
        assert page.get_by_role("alert").count() == 0
        page.get_by_role("button", name="Clear").click()
        answer.wait_for(state="detached")
        watch.close()
    rows = (gateway.context.home.logs / "usage.jsonl").read_text().splitlines()[before:]
    told = [json.loads(row) for row in rows]
    assert [(row["endpoint"], row["stream"], row["status"]) for row in told] == [("/v1/chat/completions", True, 200)]
