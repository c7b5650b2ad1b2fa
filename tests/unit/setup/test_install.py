"""The installer and the tests on other Pythons, as far as they can be asked without installing."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def install() -> Any:
    return script("install")


def test_what_is_compiled_for_running_is_there(install: Any) -> None:
    """The script passes over what it cannot import, so that a list that is out of date would not show."""
    names: dict[str, Any] = {}
    exec(install.USED.split("\nfor ")[0], names)
    assert {"zhilu.host.app", "zhilu.engine.server", "zhilu.rag.load.worker"} <= set(names["names"])
    assert [name for name in names["names"] if find_spec(name.split(".")[0]) is None] == []


def test_the_workbench_is_built_without_what_only_checks_it() -> None:
    """`make run` installs the dependencies alone (`npm ci --omit=dev`)."""
    package = json.loads((ROOT / "ui" / "package.json").read_text())
    imported = re.findall(r'from "([^"]+)"', (ROOT / "ui" / "vite.config.ts").read_text())
    needed = {name for name in imported if not name.startswith(("node:", "."))}
    assert "vite" in needed and needed <= set(package["dependencies"])


def test_other_pythons_get_the_tests_that_tell_most() -> None:
    """A newer Python all default tests, an older one those that import everything; one between them is taken to follow."""
    pythons = script("pythons")
    running = sys.version_info[:2]
    older, oldest, newer = (running[0], running[1] - 1), (running[0], running[1] - 2), (running[0], running[1] + 1)
    some = ["tests/unit", "tests/contract"]
    here = {version: Path("python") for version in (oldest, older, newer)}
    assert pythons.chosen(here, []) == {oldest: some, newer: ["tests"]}
    assert pythons.chosen({newer: Path("python")}, []) == {newer: ["tests"]}
    assert pythons.chosen({older: Path("python")}, []) == {older: some}
    assert pythons.chosen(here, [f"{older[0]}.{older[1]}"]) == {older: ["tests"]}
    with pytest.raises(SystemExit, match=r"no Python '2\.7'"):
        pythons.chosen(here, ["2.7"])
