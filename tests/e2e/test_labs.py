"""The notebooks of ``labs/``, executed by a Jupyter kernel of this environment from the first cell to the last."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

LABS = Path(__file__).parents[2] / "labs"
NOTEBOOKS = sorted(LABS.glob("??/*.ipynb"))
# What a whole run has said in the end; the cells' own assertions stop it where something is wrong.
SAID = {"stage2_serving": ("ready after", "zhilu_gateway_requests_total")}


def test_both_languages_have_the_same_notebooks_with_the_same_code_cells() -> None:
    en, zh = ({path.name: json.loads(path.read_text("utf-8")) for path in NOTEBOOKS if path.parent.name == lang}
              for lang in ("en", "zh"))  # fmt: skip
    assert set(en) == set(zh) != set()
    for name in en:
        kinds = [[cell["cell_type"] for cell in book[name]["cells"]] for book in (en, zh)]
        assert kinds[0] == kinds[1]
        # As delivered: nothing of the machine they were written on.
        assert not any(cell.get("outputs") for book in (en, zh) for cell in book[name]["cells"])


def test_the_notebooks_of_stage_6_are_those_of_their_sources() -> None:
    done = subprocess.run([sys.executable, LABS / "make.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sources = {path.stem for path in (LABS / "source").glob("*.txt")}
    assert sources == {path.stem for path in NOTEBOOKS if path.stem.startswith("stage6")}


def test_there_is_a_notebook_for_every_lesson() -> None:
    from zhilu.internals.catalog import LESSONS

    numbers = [re.match(r"stage(6(?:_\d)+)_", path.stem) for path in NOTEBOOKS]
    assert {number[1].replace("_", ".") for number in numbers if number} == set(LESSONS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_runs_to_its_end(path: Path, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="the labs extra")
    pytest.importorskip("ipykernel", reason="the labs extra")
    nbformat = pytest.importorskip("nbformat", reason="the labs extra")
    if path.stem.startswith("stage6"):
        pytest.importorskip("torch", reason="PyTorch is not installed here")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises with the cell and its traceback
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", ()))
    assert said
    for wanted in SAID.get(path.stem, ()):
        assert wanted in said
