"""Environments for client libraries that cannot share ours: LlamaIndex asks for an older ``openai``, LangChain's tests bring
pytest plugins that would change every other test. Each is made once under ``build/`` from its pinned list.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

__all__ = ["Results", "python_with", "run_tests"]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def python_with(name: str) -> Path:
    """The interpreter of the environment that ``requirements-NAME.txt`` lists."""
    listed = HERE / f"requirements-{name}.txt"
    key = hashlib.sha256(listed.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / "build" / "clients" / f"{name}-{key}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "complete"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(listed)]
        installed = subprocess.run(command, capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            why = f"{listed.name} could not be installed: {installed.stderr.strip()[-500:]}"
            # Where tests are the purpose there is a package index; a person's offline machine has an excuse.
            (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
        done.touch()
    return python


@dataclass(frozen=True)
class Results:
    """Test names by outcome, as the inner pytest tells them."""

    passed: list[str]
    failed: dict[str, str]
    skipped: dict[str, str]
    expected_failures: dict[str, str]
    output: str


def run_tests(python: Path, file: str, report: Path, url: str, model: str, *more: str) -> Results:
    """Run ``file`` of this folder with that interpreter against the gateway at ``url``."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"(ZHILU|OPENAI|ANTHROPIC|LANGCHAIN|LANGSMITH)_", name)
    }
    env |= {"ZHILU_URL": url, "ZHILU_MODEL": model, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        str(python), "-m", "pytest", "-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE), "-q", "-rxXs",
        "-p", "no:cacheprovider", f"--junitxml={report}", *more, str(HERE / file),
    ]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=report.parent)
    assert report.exists(), done.stdout + done.stderr
    passed, failed, skipped, expected = [], {}, {}, {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = str(case.get("name"))
        broken = case.find("failure")
        broken = case.find("error") if broken is None else broken
        left_out = case.find("skipped")
        if broken is not None:
            failed[name] = (broken.text or broken.get("message") or "")[-1500:]
        elif left_out is not None and left_out.get("type") == "pytest.xfail":
            expected[name] = str(left_out.get("message"))
        elif left_out is not None:
            skipped[name] = str(left_out.get("message"))
        else:
            passed.append(name)
    return Results(passed, failed, skipped, expected, done.stdout)
