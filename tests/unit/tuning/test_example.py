"""The training set to begin with: sound data, nothing of it held out as well, and (slow) a model that learns it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from zhilu.context import Context, open_context
from zhilu.errors import InputError, NotFoundError
from zhilu.tuning.data.example import HELD_OUT, NAME, make_example


@pytest.fixture
def context(own_home: Path) -> Any:
    with closing(open_context({})) as made:
        yield made


def test_the_rows_are_even_and_speak_of_other_things_than_the_held_out_ones() -> None:
    taught, asked = make_example()
    assert (len(taught), len(asked)) == (500, 60)
    assert len({row["prompt"] for row in taught + asked}) == 560
    queues = Counter(row["completion"].split(";")[0].split("；")[0] for row in taught)
    assert len(queues) == 12 and max(queues.values()) - min(queues.values()) <= 1
    assert sum("转到" in row["completion"] for row in asked) == 30
    assert not any("shredder" in row["prompt"] or "碎纸机" in row["prompt"] for row in taught)
    assert {row["completion"] for row in asked} <= {row["completion"] for row in taught}
    assert make_example() == (taught, asked)


def test_it_is_kept_once_and_is_sound_for_the_shipped_model(context: Context) -> None:
    from zhilu.tuning.cli import data
    from zhilu.tuning.data.checking import check_dataset
    from zhilu.tuning.data.library import DatasetLibrary

    for _ in range(2):
        done = CliRunner().invoke(data, ["example", "--json"], obj=context)
        assert done.exit_code == 0, done.output
        assert [info["name"] for info in json.loads(done.output)] == [NAME, HELD_OUT]
    assert len(DatasetLibrary(context).list()) == 2
    report = check_dataset(context, NAME, model="zhilu-nano", held_out=HELD_OUT)
    assert report.ok and report.usable == 500
    assert not [finding for finding in report.findings if finding.severity == "error"]


@pytest.mark.usefixtures("needs_torch")
def test_who_asks_is_told_what_cannot_be_asked(context: Context, train: Any) -> None:
    from zhilu.tuning.after.behaviour import ask_held_out
    from zhilu.tuning.runs import RunLibrary

    with pytest.raises(NotFoundError):
        asyncio.run(ask_held_out(context, "nobody"))
    run = train(context, [{"text": f"Room {i} has a key."} for i in range(10)], "rooms", epochs=1)
    with pytest.raises(InputError, match="plain texts"):
        asyncio.run(ask_held_out(context, "rooms"))
    with pytest.raises(InputError, match="no reward"):
        asyncio.run(ask_held_out(context, "rooms", rule="file"))
    run.write(run.info().model_copy(update={"outcome": None}))
    with pytest.raises(InputError, match="not finished"):
        asyncio.run(ask_held_out(RunLibrary(context).context, "rooms"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("needs_torch")
def test_the_commands_of_the_readme_teach_it(context: Context) -> None:
    """Kept, checked, trained on zhilu-nano, served: four of five held-out messages answered letter by letter (0.88 measured), which the base
    does not do for one in ten; and what is served is what was trained."""
    from zhilu.tuning.cli import data
    from zhilu.tuning.tune_cli import tune

    def call(group: Any, line: str) -> Any:
        done = CliRunner().invoke(group, line.split(), obj=context)
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    call(data, "example --json")
    call(data, f"check {NAME} --eval {HELD_OUT} --model zhilu-nano --json")
    run = call(tune, f"run --data {NAME} --held-out {HELD_OUT} --model zhilu-nano --name desk --json")
    assert run["outcome"]["held_out_after"] < 0.2 * run["outcome"]["held_out_before"]
    found = call(tune, "ask desk --json")
    assert found["prompts"] == 60
    assert found["base"] < 0.1
    assert found["tuned"] >= 0.8, [row for row in found["rows"] if not row["tuned_score"]]
    assert call(tune, "parity desk --json")["equal"]
