"""Each proof fails when its subject is broken: one small mistake in the lesson's code at a time."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.internals.test_lessons import prove

from zhilu.internals.catalog import find_lesson


class Mistake(NamedTuple):
    task: str
    name: str
    right: str
    wrong: str


MISTAKES = (
    Mistake("6.3", "the mask is off by one", "rows[:, None] >= columns", "rows[:, None] + 1 >= columns"),
    Mistake("6.3", "the scale is dropped", ") * scale_of(q.shape[-1])\n    return", ")\n    return"),
    Mistake("6.3", "the sum is not scaled down with the maximum", "total = total * shrink +", "total = total +"),
    Mistake("6.3", "what was collected is not scaled down", "collected * shrink +", "collected +"),
    Mistake("6.3", "the gradient forgets the softmax's sum", "(d_weights - delta[:, rows])", "d_weights"),
    Mistake("6.3", "the whole matrix is there after all", "block: int = 64) -> tuple[Array, Array]:", "block: int = 4096) -> tuple[Array, Array]:"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: f"{one.task} {one.name}")
def test_a_mistake_is_found(mistake: Mistake, tmp_path: Path) -> None:
    source = find_lesson(mistake.task).path.read_text()
    assert source.count(mistake.right) == 1, "the lesson reads differently now"
    file = tmp_path / "mine.py"
    file.write_text(source.replace(mistake.right, mistake.wrong))
    assert not prove(mistake.task, file).passed
