"""The installer, as far as it can be asked without installing: what it compiles, and what the build needs."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def install() -> Any:
    spec = importlib.util.spec_from_file_location("install", ROOT / "scripts" / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
