"""kill -9 at 20 random moments: every run ends as one that was left alone, and no file that others read is ever half written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from zhilu.context import open_context
from zhilu.engine.model.config import read_config
from zhilu.engine.testing import make_tiny_model
from zhilu.models import ModelStore
from zhilu.models.shipped import NANO

_KILLS = 20
_TOLERANCE = 1e-6  # of losses, relative: the same arithmetic from the same checkpoint


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 and fork are Unix's")
@pytest.mark.usefixtures("needs_torch")
def test_a_run_that_is_killed_at_random_moments_ends_as_one_that_is_not(own_home: Path, tmp_path: Path) -> None:
    """Two layers under zhilu-nano's tokenizer, a checkpoint at every step, dropout in force."""
    folder = make_tiny_model(tmp_path / "tiny", vocab_size=read_config(NANO).vocab_size)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (NANO / name).is_file():
            shutil.copy(NANO / name, folder / name)
    with closing(open_context({})) as context:
        home = context.home.path
        ModelStore(context).import_folder(folder, "tiny")
    program = Path(__file__).with_name("killed_runs.py")
    done = subprocess.run(
        [sys.executable, str(program), str(home), "tiny", str(_KILLS), "11"],
        env={**os.environ, "_ZHILU_SAVE_SECONDS": "0"}, capture_output=True, text=True, timeout=880, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert len(told["kills"]) == _KILLS
    assert told["broken"] == []
    assert len(set(told["kills"])) > 5, "the kills hit the same place again and again"
    whole = told["runs"].pop("whole")
    assert whole["losses"][-1] < whole["losses"][0]
    for name, run in told["runs"].items():
        assert run["steps"] == whole["steps"], name
        assert run["losses"] == pytest.approx(whole["losses"], rel=_TOLERANCE), name
        assert run["held_out"] == pytest.approx(whole["held_out"], rel=_TOLERANCE), name
        assert run["weights"] == pytest.approx(whole["weights"], rel=1e-4, abs=1e-5), name
