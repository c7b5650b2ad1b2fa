"""A copied recipe runs as a program, computes what the product's recipe computes, and its adapter can be served."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from zhilu.context import open_context
from zhilu.errors import ConflictError, NotFoundError
from zhilu.models.shipped import NANO

pytestmark = pytest.mark.usefixtures("needs_torch")


def test_a_copy_is_refused_where_it_would_overwrite(tmp_path: Path) -> None:
    from zhilu.tuning.recipes.own import copy_recipe, own_recipes
    from zhilu.tuning.tune_cli import tune

    assert "sft" in own_recipes()
    done = CliRunner().invoke(tune, ["recipe", "copy", "sft", "--to", str(tmp_path / "mine")])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["sft.py", "sft.yaml"]
    with pytest.raises(ConflictError, match="nothing was written"):
        copy_recipe("sft", tmp_path / "mine")
    with pytest.raises(NotFoundError, match="Did you mean 'sft'"):
        copy_recipe("stf", tmp_path)


@pytest.mark.timeout(400)
def test_it_runs_and_its_losses_are_the_products(own_home: Path, tmp_path: Path) -> None:
    """The file as it is; of its configuration only the length is changed, so that two steps are enough to see."""
    from zhilu.engine.model.adapters import read_adapter
    from zhilu.engine.model.config import read_config
    from zhilu.tuning.base_model import TARGETS, load_base
    from zhilu.tuning.config import Chosen, TuneConfig
    from zhilu.tuning.data.library import DatasetLibrary
    from zhilu.tuning.recipes import make_run
    from zhilu.tuning.recipes.own import copy_recipe
    from zhilu.tuning.recipes.rows import read_units
    from zhilu.tuning.recipes.sft import add_lora

    _, settings = copy_recipe("sft", tmp_path)
    short = settings.read_text().replace("steps: 110", "steps: 2").replace("batch_tokens: 2048", "batch_tokens: 256")
    settings.write_text(short.replace("rank: 32", "rank: 8").replace("alpha: 64", "alpha: 16"))
    with closing(open_context({})) as context:
        DatasetLibrary(context).keep_example()
        done = subprocess.run(
            [sys.executable, "sft.py", "sft.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=380
        )
        assert done.returncode == 0, done.stderr
        said = [float(loss) for loss in re.findall(r"  loss (\S+)", done.stdout)]
        config = TuneConfig(model="zhilu-nano", data="support-desk", held_out="support-desk-held-out")
        units, held_out, _, config = read_units(context, config)
        chosen = Chosen(8, 16.0, 2e-3, 2, 256, 1024, 22, {})
        run = make_run(
            add_lora(load_base(NANO), config, chosen, TARGETS), units, held_out, config, chosen, tmp_path / "c"
        )
        assert said == pytest.approx([run.step()["loss"] for _ in range(2)], abs=2e-4)
        adapter = context.home.adapters / "my-desk"
        assert read_adapter("a", adapter, read_config(NANO), NANO).rank == 8
        assert json.loads((adapter / "zhilu-adapter.json").read_text())["base"] == "zhilu-nano"
