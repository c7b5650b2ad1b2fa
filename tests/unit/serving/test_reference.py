"""A gate that lacks something to compare with names what is missing, and nothing that is there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from zhilu.engine.references import transformers as reference
from zhilu.gate import Because, Status
from zhilu.serving.proofs.greedy import _no_reference
from zhilu.setup.require import INSTALL_TORCH


@pytest.mark.parametrize(
    ("absent", "adapter", "said"),
    [
        ({"peft"}, True, ["peft"]),
        ({"transformers", "peft"}, False, ["transformers"]),
        ({"transformers", "peft", "torch"}, True, ["torch", "transformers", "peft"]),
    ],
)
def test_the_reference_names_what_is_not_installed(
    absent: set[str],
    adapter: bool,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    find = importlib.util.find_spec
    argv = ["reference", "--model", str(tmp_path), *(["--adapter", str(tmp_path)] if adapter else [])]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in absent else find("json") if "." not in name else find(name),
    )
    assert reference.main() == 3
    assert capsys.readouterr().err.split() == said


def test_the_verdict_names_it_and_gives_the_command() -> None:
    verdict = _no_reference(["transformers", "peft"])
    assert (verdict.status, verdict.because) == (Status.CANNOT_RUN_HERE, Because.COMPONENT)
    assert "transformers, peft" in verdict.why.en and "transformers, peft" in verdict.why.zh
    assert verdict.fix == f"{sys.executable} -m pip install transformers peft"
    # A plain torch would bring the CUDA build on Linux: it has a command of its own.
    assert _no_reference(["torch", "transformers"]).fix == INSTALL_TORCH
