"""The README, run as a new user would: in a fresh clone, in a home of its own, command by command.

Needs the package index, so it has a marker of its own: ``make test-install``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.install, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone") / "zhilu"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    return folder


# What arrives by jobs after the start has tests of its own; here it would change the size while it is measured.
LATER = {"ZHILU_TORCH": "none", "ZHILU_STARTER": "none"}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("user")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ZHILU_") and k != "VIRTUAL_ENV"}
    return {**kept, "ZHILU_HOME": str(home / "zhilu"), "ZHILU_PORT": str(port), "LANG": "en_US.UTF-8", **LATER}


@pytest.fixture(scope="module")
def running(clone: Path, env: dict[str, str]) -> Iterator[str]:
    """`make run`, waited for until the workbench answers; stopped as Ctrl+C would."""
    url = f"http://127.0.0.1:{env['ZHILU_PORT']}"
    with (clone / "make-run.log").open("wb") as output:
        process = subprocess.Popen(
            ["make", "run"], cwd=clone, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 1500
        while True:
            try:
                if json.load(urllib.request.urlopen(f"{url}/zhilu/v1/status", timeout=5))["model"]["state"] == "ready":
                    break
            except OSError:
                pass
            assert process.poll() is None, (clone / "make-run.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (clone / "make-run.log").read_text()[-3000:]
            time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / readme).read_text(), flags=re.DOTALL)


def test_make_run_brings_up_the_page_and_streams_a_first_answer(running: str) -> None:
    page = urllib.request.urlopen(running, timeout=20).read().decode()
    assert '<div id="root">' in page and "/assets/" in page
    request = urllib.request.Request(
        f"{running}/v1/chat/completions",
        json.dumps(
            {"model": "zhilu-nano", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
        ).encode(),
        {"Content-Type": "application/json"},
    )
    lines = urllib.request.urlopen(request, timeout=120).read().decode().splitlines()
    text = "".join(
        choice["delta"].get("content") or ""
        for line in lines
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
    )
    assert text.strip() and lines[-2:] != [] and "data: [DONE]" in lines


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_commands_of_the_readme_run(running: str, clone: Path, env: dict[str, str], readme: str) -> None:
    shell = shutil.which("bash")
    assert shell
    block = next(text for text in blocks(readme, "bash") if "zhilu kb create" in text)
    subprocess.run(
        [clone / ".venv/bin/zhilu", "kb", "remove", "notes", "--yes"],
        env=env,
        cwd=clone,
        capture_output=True,
        check=False,
    )
    # `zhilu doctor` exits 1 where it finds something wrong with this machine: a finding, not a broken README.
    script = "set -e\n" + block.replace("zhilu doctor ", "zhilu doctor || [ $? = 1 ] # ")
    done = subprocess.run(
        [shell, "-c", script], cwd=clone, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "8642" in done.stdout


def test_the_python_sample_runs(running: str, clone: Path, env: dict[str, str]) -> None:
    code = blocks("README.md", "python")[0].replace("http://127.0.0.1:8642", running)
    done = subprocess.run(
        [clone / ".venv/bin/python", "-c", code], env=env, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0 and done.stdout.strip(), done.stderr[-2000:]


def test_the_installation_stays_small(running: str, clone: Path) -> None:
    """Everything `make run` put on the disk: no PyTorch is among it."""
    sizes = [
        p.lstat().st_size
        for folder in (".venv", "build", "ui/node_modules")
        for p in (clone / folder).rglob("*")
        if not p.is_dir()
    ]
    print(f"installed: {sum(sizes) / 1e9:.2f} GB")
    assert sum(sizes) < 1.0e9
