"""A run in several processes is the run of one: the same curve, the same adapter; what dies, is cancelled or missing is told."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.unit.tuning.conftest import InProcess

from zhilu.context import Context, open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import (
    CancelledByUser,
    InputError,
    MissingComponentError,
    UnreachableError,
    UnsupportedError,
    UpstreamError,
)
from zhilu.models import ModelStore
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.launch import LAUNCHERS, refuse_launch
from zhilu.tuning.runs import RunFolder, RunInfo, RunLibrary

pytestmark = pytest.mark.usefixtures("needs_torch")

CHAT = [{"prompt": f"count to {at}", "completion": " ".join(map(str, range(at % 7 + 2)))} for at in range(40)]
PAIRS = [{"prompt": f"count {at}", "chosen": f"{at} is it", "rejected": f"no {at * 3} you"} for at in range(40)]
# What adding floats in another order may change, in 12 steps at a high learning rate. Measured: at most 2e-6.
SAME = 1e-4


def needs(launch: str) -> None:
    if missing := LAUNCHERS[launch].missing:
        pytest.skip(f"{', '.join(missing)} not installed here: {LAUNCHERS[launch].install}")


@pytest.fixture
def context(own_home: Path, tmp_path: Path) -> Any:
    context = open_context({})
    ModelStore(context).import_folder(make_tiny_model(tmp_path / "tiny"), "tiny")
    for name, rows in (("chat", CHAT), ("pairs", PAIRS)):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)))
        DatasetLibrary(context).keep(file)
    yield context
    context.close()


class Watched(InProcess):
    """A job that calls ``on_progress`` from its own thread, and can be cancelled."""

    def __init__(self, context: Context, on_progress: Any = None) -> None:
        super().__init__(context)
        self.on_progress, self.cancelled, self.seen = on_progress, False, 0

    def progress(self, fraction: float, stage: Any, detail: str = "") -> None:
        super().progress(fraction, stage, detail)
        self.seen += "loss" in detail
        if self.on_progress is not None and "loss" in detail:
            self.on_progress(self)

    def check(self) -> None:
        if self.cancelled:
            raise CancelledByUser("cancelled")


def a_run(context: Context, name: str, launch: str, **more: Any) -> RunFolder:
    asked: dict[str, Any] = {
        "model": "tiny", "data": "chat", "rank": 4, "batch_tokens": 300, "max_len": 100, "epochs": 3, "eval_every": 4,
        "learning_rate": 5e-3, "patience": 0, "launch": launch, **more,
    }  # fmt: skip
    library = RunLibrary(context)
    return library.add(RunInfo(name=name, created_at=datetime.now(timezone.utc), config=TuneConfig(**asked)))


def go(context: Context, run: RunFolder, job: Any = None) -> RunFolder:
    from zhilu.tuning.job import run_tuning

    run_tuning(job or InProcess(context), {"run": run.path.name})  # type: ignore[arg-type]
    return run


def curve(run: RunFolder) -> list[dict[str, Any]]:
    return list(run.measured())


def refuse_difference(one: RunFolder, other: RunFolder) -> None:
    assert [v["step"] for v in curve(one)] == [v["step"] for v in curve(other)]
    for here, there in zip(curve(one), curve(other), strict=True):
        for key in {"loss", "held_out", "grad_norm", "tokens", "learned", "margin"} & here.keys():
            assert there[key] == pytest.approx(here[key], rel=SAME, abs=SAME), (here["step"], key)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("launch", ["ddp", "fsdp2", "zero1", "zero2", "zero3"])
def test_two_processes_draw_the_curve_of_one(context: Context, launch: str, method: str) -> None:
    needs(launch)
    more = {"method": method, "learning_rate": 5e-3 if method == "lora" else 1e-3}
    one = go(context, a_run(context, "one", "one", **more))
    two = go(context, a_run(context, "two", launch, **more))
    assert len(curve(one)) > 8
    refuse_difference(one, two)
    first, last = one.info().outcome, two.info().outcome
    assert first is not None and last is not None
    assert last.held_out_after < last.held_out_before
    assert [a.after for a in last.answers] == [a.after for a in first.answers]
    assert [a.before for a in last.answers] == [a.before for a in first.answers]


@pytest.mark.slow
@pytest.mark.parametrize("launch", ["ddp", "fsdp2", "zero2", "zero3"])
def test_preferences_are_learned_alike(context: Context, launch: str) -> None:
    needs(launch)
    one = go(context, a_run(context, "one", "one", data="pairs"))
    refuse_difference(one, go(context, a_run(context, "two", launch, data="pairs")))


@pytest.mark.slow
def test_ray_draws_the_curve_of_one(context: Context) -> None:
    needs("ray")
    one = go(context, a_run(context, "one", "one"))
    refuse_difference(one, go(context, a_run(context, "two", "ray")))


@pytest.mark.slow
@pytest.mark.parametrize("launch", ["ddp", "fsdp2", "zero2", "zero3"])
def test_a_cancelled_run_leaves_no_process_and_goes_on_where_it_was(
    context: Context, launch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(launch)
    monkeypatch.setenv("_ZHILU_SAVE_SECONDS", "0")
    one = go(context, a_run(context, "one", "one"))
    two = a_run(context, "two", launch)

    def cancel(job: Watched) -> None:
        job.cancelled = job.seen >= 4

    with pytest.raises(CancelledByUser):
        go(context, two, Watched(context, cancel))
    assert not ranks()
    assert two.info().outcome is None and two.checkpoint.exists()
    job = InProcess(context)
    refuse_difference(one, go(context, two, job))
    assert any("going on from step" in line for line in job.lines)
    assert not two.checkpoint.exists() and not (two.path / "zero").exists()


def ranks() -> dict[str, psutil.Process]:
    """Living processes of a launched run under this one, by rank. The dead stay as zombies, which cannot be read."""
    found = {}
    for child in psutil.Process().children():
        with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            if "launch.rank" in " ".join(child.cmdline()):
                found[child.environ()["RANK"]] = child
    return found


@pytest.mark.slow
def test_a_dead_process_ends_the_run_with_its_number(context: Context) -> None:
    def kill(job: Watched) -> None:
        if "1" in (living := ranks()):
            os.kill(living["1"].pid, signal.SIGKILL)

    run = a_run(context, "dead", "ddp", epochs=50)
    with pytest.raises(UpstreamError) as raised:
        go(context, run, Watched(context, kill))
    assert raised.value.code == "rank_died"
    assert "Process 1" in raised.value.message.en and "SIGKILL" in raised.value.message.en
    assert not ranks()


def test_what_a_process_raises_is_the_runs_error(tmp_path: Path) -> None:
    """The first that failed is named, not those that fail because it is gone; and what was killed before both."""
    from zhilu.tuning.launch.rank import note_error
    from zhilu.tuning.launch.ranks import _raise

    def errors() -> list[Path]:
        return sorted(tmp_path.glob("*.error.json"), key=lambda path: path.stat().st_mtime_ns)

    note_error(tmp_path, 1, InputError("The loss is nan", param="learning_rate", fix="zhilu tune run"))
    time.sleep(0.02)
    note_error(tmp_path, 0, RuntimeError("Connection closed by peer"))
    with pytest.raises(InputError, match="The loss is nan") as raised:
        _raise(tmp_path, [1, 1], errors())
    assert (raised.value.param, raised.value.fix) == ("learning_rate", "zhilu tune run")
    note_error(tmp_path, 1, ValueError("a row that cannot be"))
    os.utime(tmp_path / "1.error.json", (1, 1))
    with pytest.raises(UpstreamError, match=r"Process 1 of the run ended[^\0]*a row that cannot be"):
        _raise(tmp_path, [1, None], errors())
    (tmp_path / "2.log").write_text("step 3\nstep 4\n")
    with pytest.raises(UpstreamError, match=r"Process 2 of the run ended \(signal SIGKILL\)[^\0]*step 4"):
        _raise(tmp_path, [1, 1, -signal.SIGKILL], errors())


def test_a_launcher_that_is_missing_or_cannot_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TuneConfig(model="tiny", data="chat", launch="zero2", objective="sft")
    monkeypatch.setattr("zhilu.tuning.launch.find_spec", lambda name: None)
    with pytest.raises(MissingComponentError) as missing:
        refuse_launch(config)
    assert missing.value.fix == "pip install 'zhilu[deepspeed]'" and "zero2" in missing.value.message.en
    with pytest.raises(MissingComponentError, match="ray"):
        refuse_launch(config.model_copy(update={"launch": "ray"}))
    with pytest.raises(UnsupportedError, match="ColossalAI"):
        refuse_launch(config.model_copy(update={"launch": "colossalai"}))
    with pytest.raises(UnsupportedError, match="qlora"):
        refuse_launch(config.model_copy(update={"launch": "fsdp2", "method": "qlora"}))
    with pytest.raises(UnsupportedError, match="grpo"):
        refuse_launch(config.model_copy(update={"launch": "ddp", "objective": "grpo"}))
    with pytest.raises(InputError, match="4 processes"):
        refuse_launch(config.model_copy(update={"launch": "one", "nproc": 4}))
    refuse_launch(config.model_copy(update={"launch": "ddp", "nproc": 4}))


def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    import socket

    from zhilu.tuning.launch.ray import refuse_silent

    with socket.create_server(("127.0.0.1", 0)) as there:
        address = f"127.0.0.1:{there.getsockname()[1]}"
        refuse_silent(address)
        refuse_silent(f"ray://{address}")
    for silent in (address, "127.0.0.1:99999"):
        with pytest.raises(UnreachableError, match=silent) as raised:
            refuse_silent(silent)
        assert raised.value.param == "ray_address"


@pytest.mark.slow
def test_a_run_on_a_cluster_that_is_not_there_is_one_error(context: Context) -> None:
    needs("ray")
    run = a_run(context, "far", "ray", ray_address="127.0.0.1:1")
    with pytest.raises(UpstreamError, match="No Ray cluster answers"):
        go(context, run)


def test_every_process_has_a_sequence_where_the_step_has_rows_for_it() -> None:
    from tests.unit.tuning.test_sft import ROWS

    from zhilu.tuning.recipes.batches import step_batches

    alone = step_batches(ROWS, 400, 400, 0, seed=1)
    shared = step_batches(ROWS, 400, 400, 0, seed=1, parts=2)
    assert len(alone) == 1 and len(shared) >= 2
    assert sorted(r.ids for p in alone for r in p) == sorted(r.ids for p in shared for r in p)
