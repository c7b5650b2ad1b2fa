"""Broken and hostile models at ``zhilu model import``, ``show`` and ``serve``: a clear message each, no crash, no spike.

A process of its own runs them all, with a limit of memory; here is read what it said.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.models import hostile_folders
from tests.unit.models.hostile_folders import CASES

VERBS = ("import", "show", "serve")
MOST_MB = 80  # what a verb may add to the largest memory of the process


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    work = tmp_path_factory.mktemp("hostile")
    script = Path(hostile_folders.__file__)
    done = subprocess.run(
        [sys.executable, str(script), str(work)], capture_output=True, text=True, timeout=300, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stderr[-2000:]
    for before, line in zip([None, *lines], lines, strict=False):
        line["grown_mb"] = (line["peak_kb"] - before["peak_kb"]) / 1024 if before else 0
    return {(line["case"], line["verb"]): line for line in lines}


def test_a_sound_model_is_taken_shown_and_served(said: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert [said["sound", verb]["kind"] for verb in VERBS] == ["fine"] * 3


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_its_fault(said: dict[tuple[str, str], dict[str, Any]], case: str) -> None:
    _, needle, verbs = CASES[case]
    first, *others = verbs.split()
    telling = {first, *others} if others else set(VERBS[VERBS.index(first) :])
    for verb in VERBS:
        assert (case, verb) in said, f"the process died of {case!r} at {verb}"
        line = said[case, verb]
        assert line["kind"] != "crashed", line["told"]
        assert line["grown_mb"] < MOST_MB
        if verb in telling:
            assert line["told"], f"{verb} said nothing of {case!r}"
            assert len(line["told"]["en"]) < 1500
            assert re.search("[\u4e00-\u9fff]", line["told"]["zh"])
    assert needle in said[case, first]["told"]["en"]
