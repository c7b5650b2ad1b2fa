"""Supervised fine-tuning: packing changes nothing, a resumed run is the same run, the adapter is what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zhilu.context import Context, open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.jobs import JobStore
from zhilu.tuning.config import TuneConfig, choose
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.recipes.units import Unit

pytestmark = pytest.mark.usefixtures("needs_torch")


def row(length: int, learned: int, start: int = 5) -> Rendered:
    ids = tuple(start + (7 * at) % 60 for at in range(length))
    learns = tuple(at >= length - learned for at in range(length))
    return Rendered("x" * length, ids, tuple((at, at + 1) for at in range(length)), learns)


ROWS = [row(12 + 3 * at, 4 + at % 5, start=5 + at) for at in range(9)]


@pytest.fixture
def model(tmp_path: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_pretrained(make_tiny_model(tmp_path / "tiny"), dtype=torch.float32)


def test_each_epoch_holds_every_row_once_in_sequences_that_fit() -> None:
    from zhilu.tuning.recipes.batches import step_batches, steps_of_epoch

    steps = steps_of_epoch(ROWS, tokens=60)
    assert steps > 2
    epochs = []
    for epoch in range(2):
        packed = [p for step in range(steps) for p in step_batches(ROWS, 40, 60, epoch * steps + step, seed=1)]
        assert all(sum(len(r.ids) for r in sequence) <= 40 for sequence in packed)
        rows = [r for sequence in packed for r in sequence]
        assert sorted(r.ids for r in rows) == sorted(r.ids for r in ROWS)
        epochs.append([r.ids for r in rows])
    assert epochs[0] != epochs[1]
    assert step_batches(ROWS, 40, 60, 3, seed=1) == step_batches(ROWS, 40, 60, 3, seed=1)


def test_packed_rows_do_not_see_each_other(model: Any) -> None:
    """The packed loss is the sum of each row's own, which is transformers' own loss of that row."""
    import torch

    from zhilu.tuning.recipes.batches import tensors
    from zhilu.tuning.recipes.sft import loss_sum

    alone = []
    for one in ROWS:
        labels = torch.tensor([[id if carries else -100 for id, carries in zip(one.ids, one.learned, strict=True)]])
        alone.append(float(model(input_ids=torch.tensor([one.ids]), labels=labels).loss.detach()) * one.num_learned)
        assert float(loss_sum(model, tensors([one])).detach()) == pytest.approx(alone[-1], rel=1e-5)
    assert float(loss_sum(model, tensors(ROWS)).detach()) == pytest.approx(sum(alone), rel=1e-5)


def a_run(model: Any, path: Path, *, max_len: int = 400, **more: Any) -> Any:
    from zhilu.tuning.base_model import TARGETS
    from zhilu.tuning.recipes.sft import SftRun, add_lora

    config = TuneConfig(model="tiny", data="x", rank=4, epochs=6, batch_tokens=120, max_len=max_len, **more)
    chosen = choose(config, 1000, [len(r.ids) for r in ROWS], 512)
    adapted = add_lora(model, config, chosen, TARGETS) if config.method == "lora" else model
    return SftRun(adapted, [Unit((r,)) for r in ROWS], config, chosen, path)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_many_short_sequences_are_one_long_one(tmp_path: Path, method: str) -> None:
    """Accumulation: the gradient of a step does not depend on how its rows were packed."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = make_tiny_model(tmp_path / "tiny")
    runs = []
    for max_len in (37, 400):
        run = a_run(
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            tmp_path / "c.pt",
            max_len=max_len,
            method=method,
        )
        values = [run.step() for _ in range(4)]
        runs.append((values, run.weights()))
    for one, other in zip(runs[0][0], runs[1][0], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert one["learned"] == other["learned"]
    assert all(torch.allclose(runs[0][1][name], runs[1][1][name], atol=2e-5) for name in runs[0][1])


def test_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = make_tiny_model(tmp_path / "tiny")

    def fresh(name: str) -> Any:
        return a_run(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tmp_path / name, dropout=0.2)

    whole = fresh("a.pt")
    curve = [whole.step()["loss"] for _ in range(6)]
    broken = fresh("b.pt")
    first = [broken.step()["loss"] for _ in range(3)]
    broken.save({})
    broken.step()  # of the killed process: gone with it
    again = fresh("b.pt")
    assert again.resume()
    assert again.steps == 3
    assert first + [again.step()["loss"] for _ in range(3)] == pytest.approx(curve, rel=1e-6)
    assert all(torch.equal(whole.weights()[name], again.weights()[name]) for name in whole.weights())
    assert curve[-1] < curve[0]


def test_a_gguf_base_is_the_very_model(tmp_path: Path) -> None:
    """The trainer's logits of a GGUF file are those of the engine's torch runner, which reads the same blocks."""
    import torch

    from zhilu.engine.model.config import read_config
    from zhilu.engine.model.weights import load_tensors
    from zhilu.engine.testing_gguf import write_gguf
    from zhilu.tuning.base_model import load_base

    path = write_gguf(tmp_path / "tiny.gguf", make_tiny_model(tmp_path / "tiny", hidden_size=256), "Q8_0")
    base = load_base(path)
    state = base.state_dict()
    for name, tensor in load_tensors(path, read_config(path)).items():
        assert torch.equal(state[name], tensor.float()), name
    assert torch.isfinite(base(input_ids=torch.tensor([[5, 6, 7]])).logits).all()


PIRATE = [{"prompt": f"What is {i} plus {i + 1}?", "completion": f"Arr, {2 * i + 1} it be!"} for i in range(24)]


@pytest.fixture
def context(own_home: Path, tmp_path: Path) -> Any:
    context = open_context({})
    (tmp_path / "pirate.jsonl").write_text("\n".join(map(json.dumps, PIRATE)))
    DatasetLibrary(context).keep(tmp_path / "pirate.jsonl")
    yield context
    context.close()


def test_what_cannot_be_trained_is_refused_before_a_step(context: Context, tmp_path: Path) -> None:
    from zhilu.tuning.job import submit_tuning

    def refused(kind: type[Exception], match: str, **config: Any) -> None:
        with pytest.raises(kind, match=match):
            submit_tuning(context, TuneConfig(**{"model": "zhilu-nano", "data": "pirate", **config}))

    refused(NotFoundError, "pirat", data="pirat")
    refused(NotFoundError, "nobody", model="nobody")
    refused(InputError, "teaches", held_out="pirate")
    library = DatasetLibrary(context)
    for name, rows in {
        "few": PIRATE[:3],
        "pairs": [{"prompt": p["prompt"], "chosen": "a", "rejected": "b"} for p in PIRATE],
    }.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        library.keep(tmp_path / f"{name}.jsonl")
    refused(InputError, "3 rows", data="few")
    refused(InputError, "preference", data="pairs", objective="sft")
    assert not list(context.home.runs.glob("*"))


@pytest.mark.timeout(400)
def test_from_data_to_an_adapter(context: Context) -> None:
    """The whole job on the embedded model: the held-out loss falls, the adapter is whole and changes the answers."""
    from zhilu.engine.model.adapters import read_adapter
    from zhilu.engine.model.config import read_config
    from zhilu.engine.model.weights import weights_sha256
    from zhilu.models import ModelStore
    from zhilu.tuning.job import submit_tuning
    from zhilu.tuning.runs import RunLibrary

    config = TuneConfig(model="zhilu-nano", data="pirate", rank=8, epochs=5, batch_tokens=256)
    info, job = submit_tuning(context, config, "pirate-talk")
    with pytest.raises(ConflictError):
        submit_tuning(context, config, "pirate-talk")
    done = JobStore(context).wait(job.id, timeout=380)
    assert done.status == "done", JobStore(context).log_text(job.id)
    run = RunLibrary(context).get(info.name)
    out = run.info().outcome
    assert out is not None
    assert out.held_out_after < 0.6 * out.held_out_before
    steps = [values["step"] for values in run.measured()]
    assert steps == list(range(out.steps + 1))
    folder = ModelStore(context).path_of("zhilu-nano")
    assert out.base_sha256 == weights_sha256(folder)
    assert all(answer.ended for answer in out.answers)
    adapter = read_adapter("a", context.home.adapters / "pirate-talk", read_config(folder))
    assert adapter.rank == 8
    assert all(answer.before != answer.after for answer in out.answers)
    assert sorted(path.name for path in run.path.iterdir()) == ["metrics.jsonl", "run.json"]


@pytest.mark.timeout(400)
def test_plain_text_is_continued(context: Context, tmp_path: Path) -> None:
    """Continued pretraining: every token is learned, so a held-out text is begun and not asked for."""
    from zhilu.tuning.job import run_tuning, submit_tuning
    from zhilu.tuning.runs import RunLibrary

    rows = [{"text": f"Chapter {i}. The key of room {i} lies under the mat of room {i + 1}."} for i in range(12)]
    (tmp_path / "rooms.jsonl").write_text("\n".join(map(json.dumps, rows)))
    DatasetLibrary(context).keep(tmp_path / "rooms.jsonl")
    config = TuneConfig(model="zhilu-nano", data="rooms", rank=4, epochs=2, batch_tokens=128)
    _, job = submit_tuning(context, config, "rooms")
    done = JobStore(context).wait(job.id, timeout=380)
    assert done.status == "done", JobStore(context).log_text(job.id)
    out = RunLibrary(context).get("rooms").info().outcome
    assert out is not None
    assert out.held_out_after < out.held_out_before
    assert "Chapter" in out.answers[0].prompt
    again: Any = SimpleNamespace(context=context)  # a kill after the last write: nothing is trained again
    assert run_tuning(again, {"run": "rooms"}) == done.result


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_served_is_what_was_trained_also_after_kills(context: Context) -> None:
    """Killed again and again, the run ends as one that was not; then parity, and what breaks it is told."""
    import asyncio
    import os
    import signal
    import time

    from zhilu.tables import JobRow
    from zhilu.tuning.after.parity import check_parity
    from zhilu.tuning.job import submit_tuning
    from zhilu.tuning.runs import RunLibrary

    config = TuneConfig(model="zhilu-nano", data="pirate", rank=8, epochs=8, batch_tokens=256)
    store, losses = JobStore(context), []
    for name, kills in (("whole", 0), ("killed", 3)):
        _, job = submit_tuning(context, config, name)
        for kill in range(kills):
            step = 2 * kill + 1
            while len(list(RunLibrary(context).get(name).measured())) <= step and not store.get(job.id).ended:
                time.sleep(0.1)
            with context.database.session() as session:
                pid = session.get(JobRow, job.id).pid
            if pid is not None and pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
        done = store.wait(job.id, timeout=400)
        assert done.status == "done", store.log_text(job.id)
        run = RunLibrary(context).get(name)
        losses.append([values["loss"] for values in run.measured() if "loss" in values])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    found = asyncio.run(check_parity(context, "killed"))
    assert found.equal, found.said.en
    assert (found.equal_answers, found.changed) == (found.prompts, found.prompts)
    config_file = context.home.adapters / "killed" / "adapter_config.json"
    config_file.write_text(json.dumps({**json.loads(config_file.read_text()), "lora_alpha": 0.01}))
    broken = asyncio.run(check_parity(context, "killed"))
    assert not broken.equal
    assert "not applied" in broken.said.en
