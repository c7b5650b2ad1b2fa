"""The sets that the gates measure with: whole, judged as they say, and goals that only the world can reach."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from zhilu.agents.proofs.calls import KINDS, is_right, items, sample, tools
from zhilu.agents.proofs.tasks import TASKS, AgentTask
from zhilu.tools.check import problems_of


def test_the_set_is_whole_and_fits_its_tools() -> None:
    counts = Counter(item.kind for item in items())
    assert set(counts) == set(KINDS) and min(counts.values()) >= 100
    assert len({item.ask for item in items()}) == len(items())
    for kind in KINDS:
        chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in i.ask) for i in items() if i.kind == kind)
        assert 40 <= chinese <= 60, kind
    for item in items():
        assert len(item.calls) == {"irrelevant": 0, "parallel": len(item.calls)}.get(item.kind, 1)
        for name, values in item.calls:
            assert name in item.tools
            arguments = {k: next(v for v in right if v is not None) for k, right in values.items()}
            assert not problems_of(tools()[name].facts.parameters, arguments), item


def test_right_is_exactly_right() -> None:
    weather = next(i for i in items() if i.ask.startswith("How is the weather in Lima"))
    assert is_right(weather, [("get_weather", {"city": "lima"})])
    assert is_right(weather, [("get_weather", {"city": "Lima", "day": "today"})])
    for wrong in (
        [],
        [("get_weather", {"city": "Lima", "day": "tomorrow"})],
        [("get_time", {"city": "Lima"})],
        [("get_weather", {"city": "Lima"}), ("get_weather", {"city": "Lima"})],
        [("get_weather", "Lima")],
        [("get_weather", {"city": "Lima", "x": 1})],
    ):
        assert not is_right(weather, wrong)
    light = next(i for i in items() if "kitchen" in i.ask and i.kind == "single")
    assert not is_right(light, [("switch_light", {"room": "kitchen", "on": 0})]), "0 is not false"
    none = next(i for i in items() if i.kind == "irrelevant")
    assert is_right(none, []) and not is_right(none, [(none.tools[0], {})])


def test_the_sample_is_the_same_and_fair() -> None:
    assert sample(8) == sample(8) and Counter(i.kind for i in sample(8)) == dict.fromkeys(KINDS, 8)


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_no_goal_is_reached_by_doing_nothing_or_by_words(task: AgentTask, tmp_path: Path) -> None:
    task.build(tmp_path)
    assert not task.reached(tmp_path, "")
    if task.writes:
        assert not task.reached(tmp_path, "183 23.5 2760 10 tulip-77 5550147 220 chair paid 8 47.6 done")


def test_goals_can_be_reached(tmp_path: Path) -> None:
    right = {"total.txt": "183", "sum.txt": "23.5", "share.txt": "2760.0", "rows.txt": "10 排", "answer.txt": "tulip-77", "phone.txt": "5550147",
             "oslo.txt": "220.0", "empty.txt": "chair"}  # fmt: skip
    for name, text in right.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert sum(task.reached(tmp_path, "") for task in TASKS if any(t.startswith("files") for t in task.tools)) >= 6
