"""A reward model tells held-out pairs apart, and what it learned can be learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zhilu.context import open_context
from zhilu.errors import InputError, NotFoundError
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.runs import RunLibrary

pytestmark = pytest.mark.usefixtures("needs_torch")

PAIRS = [
    {"prompt": f"What is {i} plus {i + 1}?", "chosen": f"Gladly: it is {2 * i + 1}.", "rejected": f"{2 * i + 1}, go away!"}
    for i in range(20)
]  # fmt: skip


def test_held_out_pairs_are_told_apart_and_a_policy_learns_from_it(own_home: Path, train: Any) -> None:
    import asyncio

    from zhilu.tuning.after.behaviour import ask_held_out
    from zhilu.tuning.after.jobs import submit_export, submit_merge
    from zhilu.tuning.after.merge import with_adapter
    from zhilu.tuning.after.parity import check_parity
    from zhilu.tuning.recipes.reward import TrainedReward, refuse_other

    context = open_context({})
    run = train(context, PAIRS, "polite-judge", objective="reward", epochs=3)
    out = run.info().outcome
    assert out.measures["accuracy"] == (0.5, 1.0)
    assert out.measures["margin"][1] > 0.5
    assert out.adapter is None and out.model is None and out.answers == []
    assert (run.path / "reward.safetensors").is_file()
    assert not (context.home.adapters / "polite-judge").exists(), "it judges; nobody could be served by it"
    for use in (
        lambda: with_adapter(context, run.info()),
        lambda: submit_merge(context, "polite-judge"),
        lambda: submit_export(context, "polite-judge", "gguf"),
        lambda: asyncio.run(check_parity(context, "polite-judge")),
        lambda: asyncio.run(ask_held_out(context, "polite-judge")),
    ):
        with pytest.raises(InputError, match="judges answers") as raised:
            use()
        assert "--reward run:polite-judge" in (raised.value.fix or "")

    refuse_other(run.info(), "zhilu-nano")
    with pytest.raises(InputError, match="same tokens"):
        refuse_other(run.info(), "another")
    with pytest.raises(NotFoundError):
        TrainedReward(context, "nobody", "zhilu-nano")

    from zhilu.tuning.data.preflight import Preflight
    from zhilu.tuning.data.read import read_dataset

    path = open_pairs(context, own_home)
    preflight = Preflight.of(context, "zhilu-nano")
    rows = [row for example in read_dataset(path).examples for row in preflight.render(example)]
    judge = TrainedReward(context, "polite-judge", "zhilu-nano")
    worth = judge.of_rows(rows)
    assert all(better > worse for better, worse in zip(worth[0::2], worth[1::2], strict=True))

    chats = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in PAIRS]
    tuned = train(context, chats, "polite-ppo", objective="grpo", reward="run:polite-judge", epochs=0.8, max_answer=8)
    first, last = tuned.info().outcome.measures["reward"]
    assert first != 0 and last >= first
    context.close()


def open_pairs(context: Any, folder: Path) -> Path:
    import json

    path = folder / "seen.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in PAIRS[:6]))
    return path


def test_an_unknown_run_of_rewards_is_refused_before_anything_is_trained(own_home: Path, train: Any) -> None:
    from zhilu.tuning.job import _refuse_reward

    context = open_context({})
    config = TuneConfig(model="zhilu-nano", data="x", objective="ppo", reward="run:nobody")
    with pytest.raises(NotFoundError):
        _refuse_reward(context, config, None)
    with pytest.raises(InputError):
        _refuse_reward(context, TuneConfig(model="zhilu-nano", data="x", objective="reward", method="full"), None)
    assert RunLibrary(context).list() == []
    context.close()
