"""Questions of a knowledge base as training rows, and runs beside each other."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import open_context
from zhilu.errors import InputError, UnreachableError
from zhilu.tuning.after.beside import beside, curves_of, not_comparable
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.data.made import questions_of, rows_of
from zhilu.tuning.runs import RunInfo, RunLibrary

MADE: list[dict[str, Any]] = [
    {"question": "When does it open?", "answers": ["8:30"], "status": "accepted", "quote": "It opens\nat 8:30 on weekdays."},
    {"question": "How many books?", "answers": ["twelve, I was told"], "status": "accepted", "quote": "Up to twelve books."},
    {"question": "谁负责？", "answers": ["主管"], "status": "proposed", "quote": None},
    {"question": "Is there a pool?", "answers": [], "status": "accepted", "quote": None},
]  # fmt: skip


def test_only_accepted_answers_become_rows() -> None:
    rows = [json.loads(line) for line in rows_of(MADE).splitlines()]
    assert [row["completion"] for row in rows] == ["8:30", "twelve, I was told"]
    rows = [json.loads(line) for line in rows_of(MADE, "sentence").splitlines()]
    # An answer that a person has rewritten is theirs: it is not replaced by the document's words.
    assert [row["completion"] for row in rows] == ["It opens at 8:30 on weekdays.", "twelve, I was told"]
    with pytest.raises(InputError) as raised:
        rows_of(MADE[2:3])
    assert raised.value.code == "none_accepted"
    with pytest.raises(InputError) as raised:
        rows_of(MADE[2:3], kb="handbook", set_name="mine")
    assert raised.value.fix == "zhilu kb questions handbook --set mine --accept all"
    with pytest.raises(InputError) as raised:
        rows_of([], kb="handbook")
    assert raised.value.fix == "zhilu data make --kb handbook --set training --count 20"


def test_without_a_gateway_it_says_so(own_home: Path) -> None:
    context = open_context({})
    with pytest.raises(UnreachableError) as raised:
        asyncio.run(questions_of(context, "handbook"))
    assert raised.value.fix == "zhilu up"
    context.close()


def test_runs_beside_each_other(own_home: Path) -> None:
    context = open_context({})
    library, runs = RunLibrary(context), []
    for name, steps in (("short", 4), ("long", 40)):
        info = RunInfo(
            name=name, created_at=datetime.now(timezone.utc), config=TuneConfig(model="m", data="d"), chosen={"rank": 8}
        )
        run = library.add(info)
        for at in range(5):
            run.measure(step=at * steps // 4, held_out=4.0 - at)
        runs.append(run)
    assert curves_of(runs[0])[-1] == curves_of(runs[1])[-1] == (1.0, 0.0)
    table = {title.en: said for title, said in beside([run.info() for run in runs])}
    assert table["rank"] == ["8", "8"] and table["held-out loss"] == ["-", "-"]
    assert table["launch"] == ["one x 1", "one x 1"]
    infos = [run.info() for run in runs]
    assert not_comparable(infos) is None
    for changed, said in (({"objective": "dpo"}, "learn different things"), ({"held_out": "other"}, "other rows")):
        config = infos[1].config.model_copy(update=changed)
        note = not_comparable([infos[0], infos[1].model_copy(update={"config": config})])
        assert note is not None and said in note.en
    context.close()
