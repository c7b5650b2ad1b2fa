"""The lessons of stage 6 as they run: every check of every proof, the learner's own file, guesses, gates."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from zhilu.context import Context, open_context
from zhilu.errors import InputError, NotFoundError
from zhilu.gate import Status
from zhilu.internals.__main__ import load_part
from zhilu.internals.catalog import LESSONS, find_lesson
from zhilu.internals.cli import internals
from zhilu.internals.gates import GATES
from zhilu.internals.result import Result, at_least, at_most
from zhilu.internals.runs import copy_part, keep_guess, kept, run_lesson
from zhilu.messages import T
from zhilu.roadmap.stages.internals import INTERNALS

MOST_LINES = 250


def prove(task: str, file: Path | None = None) -> Result:
    """A lesson in this process."""
    lesson = find_lesson(task)
    if lesson.needs_torch:
        pytest.importorskip("torch", reason="PyTorch is not installed here")
    proof: Any = lesson.prove()
    return proof(load_part(lesson, file), lambda fraction, stage: None)


@pytest.fixture
def context(own_home: Path) -> Context:
    return open_context({"home": str(own_home)})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Mismatch dtype")  # torch's rms_norm in bfloat16 has no fused kernel
@pytest.mark.parametrize("task", sorted(LESSONS))
def test_every_number_meets_its_bar(task: str) -> None:
    result = prove(task)
    assert [(one.name.en, one.value, one.bar) for one in result.checks if not one.passed] == []
    assert 0 <= result.answer < len(LESSONS[task].words.options)
    assert result.charts and Result.model_validate_json(result.model_dump_json()) == result


def test_a_lesson_is_one_module_that_one_can_read() -> None:
    for path in (Path(__file__).parents[3] / "src/zhilu/internals/lessons").rglob("*.py"):
        assert len(path.read_text().splitlines()) < MOST_LINES, path.name


def test_there_is_a_gate_for_every_lesson_and_its_files_exist() -> None:
    assert [gate.task for gate in GATES] == [lesson.task for lesson in LESSONS.values() if lesson.gated]
    assert {task.id for task in INTERNALS.tasks} == {gate.task for gate in GATES}
    root = Path(__file__).parents[3] / "src/zhilu"
    for lesson in LESSONS.values():
        assert lesson.path.is_file()
        assert all((root / name).exists() for name in lesson.real)
        assert find_spec(f"zhilu.internals.proofs.{lesson.proof}")


def test_what_is_no_number_passes_nothing() -> None:
    name = T("a", "a")
    assert not at_most(name, float("nan"), 1).passed
    assert not at_least(name, float("nan"), 1).passed
    assert not Result(task="6.3", answer=0, checks=[]).passed


def test_a_guess_outside_the_options_is_refused(context: Context) -> None:
    with pytest.raises(InputError, match="none of the 3"):
        keep_guess(context, "6.3", 3)
    with pytest.raises(NotFoundError, match=r"6\.3"):
        find_lesson("6.9")


@pytest.mark.slow
def test_the_learners_own_file_is_what_the_gate_judges(context: Context, tmp_path: Path) -> None:
    file = copy_part("6.3", tmp_path)
    with pytest.raises(InputError, match="already"):
        copy_part("6.3", tmp_path)
    check = next(gate for gate in GATES if gate.task == "6.3").run
    assert run_lesson(context, "6.3", mine=file).passed
    assert kept(context, "6.3").mine == str(file)

    source = file.read_text()
    file.write_text(source.replace("total = total * shrink +", "total = total +"))
    verdict = check(context)
    assert verdict.status is Status.FAILED and verdict.fix == "zhilu internals run 6.3"

    file.write_text(source.replace("def forward(", "def forwards("))
    with pytest.raises(InputError, match="forward") as broken:
        check(context)
    assert broken.value.fix == "zhilu internals run 6.3 --ours"

    assert run_lesson(context, "6.3", ours=True).passed
    assert check(context).status is Status.PASSED


@pytest.mark.slow
def test_the_verb_says_what_was_measured(context: Context) -> None:
    done = CliRunner().invoke(internals, ["run", "6.3", "--guess", "1", "--json"], obj=context)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["passed"] is True
    done = CliRunner().invoke(internals, ["list"], obj=context)
    assert "✓" in done.output
