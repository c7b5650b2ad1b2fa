"""DPO and KTO: the textbook's losses, whatever the packing, and a run after which held-out pairs are told apart."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from zhilu.context import open_context
from zhilu.gate import Status
from zhilu.tuning.config import TuneConfig, choose
from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.gates import check_judged
from zhilu.tuning.recipes.units import Unit, crossed, pack_units, step_units

pytestmark = pytest.mark.usefixtures("needs_torch")


def row(prompt: int, answer: int, start: int) -> Rendered:
    ids = tuple(5 + (start * 11 + 7 * at) % 60 for at in range(prompt + answer))
    return Rendered("", ids, tuple((0, 0) for _ in ids), tuple(at >= prompt for at in range(prompt + answer)))


PAIRS = [Unit((row(6 + n % 3, 4 + n % 4, n), row(6 + n % 3, 3 + n % 5, n + 40))) for n in range(7)]
SINGLE = [Unit((row(5 + n % 3, 4 + n % 4, n),), label=n % 3 > 0) for n in range(7)]


def a_run(objective: str, units: list[Unit], path: Path, *, max_len: int = 400, folder: Path, **more: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    from zhilu.tuning.base_model import TARGETS
    from zhilu.tuning.recipes import make_run
    from zhilu.tuning.recipes.sft import add_lora

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = TuneConfig(
        model="tiny", data="x", objective=objective, rank=4, epochs=6, batch_tokens=60, max_len=max_len, **more
    )  # type: ignore[arg-type]
    chosen = choose(config, 1000, [unit.size for unit in units], 512)
    adapted = add_lora(model, config, chosen, TARGETS) if config.method == "lora" else model
    return make_run(adapted, units, units[:3], config, chosen, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from zhilu.engine.testing import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("m") / "tiny")


def test_rows_of_a_unit_stay_together_and_each_epoch_has_all() -> None:
    packed = pack_units(PAIRS, 50)
    assert all(sum(unit.size for unit in members) <= 50 for members in packed)
    assert sorted(id(unit) for members in packed for unit in members) == sorted(map(id, PAIRS))
    steps = max(1, min(len(PAIRS), -(-sum(unit.size for unit in PAIRS) // 60)))
    seen = [unit for step in range(steps) for unit in step_units(PAIRS, 60, step, 3)]
    assert sorted(map(id, seen)) == sorted(map(id, PAIRS))
    mixed = crossed(PAIRS[0].rows[0], PAIRS[1].rows[0])
    assert mixed.ids[:6] == PAIRS[0].rows[0].ids[:6]
    assert mixed.ids[6:] == PAIRS[1].rows[0].ids[7:]


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize(("objective", "units"), [("dpo", PAIRS), ("kto", SINGLE)])
def test_a_run_begins_at_the_base_and_learns(
    folder: Path, tmp_path: Path, objective: str, units: list[Unit], method: str
) -> None:
    """The first loss is that of a model that prefers nothing; packing changes no step; a resumed run is the same run."""
    import torch

    runs = [
        a_run(objective, units, tmp_path / f"{n}.pt", max_len=n, folder=folder, method=method, learning_rate=5e-3)
        for n in (40, 400)
    ]
    start = runs[0].measure(units[:3])
    assert start["held_out"] == pytest.approx(math.log(2) if objective == "dpo" else 0.5, abs=1e-5)
    values = [[run.step() for _ in range(5)] for run in runs]
    for one, other in zip(*values, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=2e-3)
    after = runs[0].measure(units[:3])
    assert after["margin"] > 0.01
    assert after["held_out"] < start["held_out"]
    runs[1].save({})
    further = runs[1].step()
    again = a_run(objective, units, tmp_path / "400.pt", folder=folder, method=method, learning_rate=5e-3)
    assert again.resume()
    assert again.step()["loss"] == pytest.approx(further["loss"], rel=1e-5)
    assert all(torch.allclose(again.weights()[k], v, atol=1e-6) for k, v in runs[1].weights().items())


@pytest.mark.timeout(400)
def test_held_out_pairs_are_told_apart(own_home: Path, train: Any) -> None:
    """The whole run on the embedded model: polite answers are preferred to rude ones, also where they were not seen."""
    rows = [
        {"prompt": f"What is {i} plus {i + 1}?", "chosen": f"Gladly: it is {2 * i + 1}.", "rejected": f"{2 * i + 1}, go away!"}
        for i in range(20)
    ]  # fmt: skip
    context = open_context({})
    out = train(context, rows, "polite", epochs=3).info().outcome
    first, last = out.measures["margin"]
    assert (first, out.measures["accuracy"][0]) == (pytest.approx(0, abs=1e-5), 0.5)
    assert last > 0.1
    assert out.measures["accuracy"][1] == 1
    assert out.held_out_after < out.held_out_before == pytest.approx(math.log(2), abs=1e-5)
    assert (context.home.adapters / "polite" / "adapter_model.safetensors").is_file()
    verdict = check_judged(context)
    assert verdict.status is Status.PASSED, verdict.why.en
    context.close()
