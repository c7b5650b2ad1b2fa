"""The papers: every line of code named is there, every figure is measured and holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhilu.context import open_context
from zhilu.errors import NotFoundError
from zhilu.internals.catalog import LESSONS
from zhilu.internals.papers.paper import place_of
from zhilu.internals.papers.shelf import PAPERS, find_paper, measure
from zhilu.internals.runs import kept, run_paper


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_the_code_of_a_paper_is_where_it_is_said_to_be(name: str) -> None:
    paper = PAPERS[name]
    assert paper.lesson in LESSONS and paper.code
    for where in paper.code:
        place = place_of(*where)
        line = (Path(__file__).parents[3] / "src" / place.file).read_text().splitlines()[place.line - 1]
        assert where[1].split(".")[-1] in line and line.split()[0] in ("def", "class", "async", "@staticmethod")


def test_a_symbol_that_is_gone_is_noticed() -> None:
    with pytest.raises(LookupError):
        place_of("engine/observe.py", "no_such_thing")
    with pytest.raises(NotFoundError, match="rope"):
        find_paper("rop")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PAPERS))
def test_the_figure_of_a_paper_holds(name: str) -> None:
    if PAPERS[name].needs_torch:
        pytest.importorskip("torch", reason="PyTorch is not installed here")
    result = measure(PAPERS[name])
    assert result.task == name and (result.charts or result.tables)
    assert [(one.name.en, one.value, one.bar) for one in result.checks if not one.passed] == []


def test_a_figure_runs_in_a_process_of_its_own_and_is_kept(own_home: Path) -> None:
    context = open_context({"home": str(own_home)})
    result = run_paper(context, "deepseek-v2")
    assert result.passed and kept(context, "deepseek-v2").result == result
