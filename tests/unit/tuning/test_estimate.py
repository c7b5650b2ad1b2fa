"""What a run takes is said before it begins: by the formula, by three of its steps, and where it does not fit, what would."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zhilu.context import Context, open_context
from zhilu.errors import InputError
from zhilu.jobs import JobStore
from zhilu.models.shipped import NANO
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.estimate import Planned, estimate, nearest_that_fits, processes_here

from .conftest import PIRATE

pytestmark = pytest.mark.usefixtures("needs_torch")


@pytest.fixture
def context(own_home: Path, tmp_path: Path) -> Any:
    with closing(open_context({})) as made:
        (tmp_path / "pirate.jsonl").write_text("\n".join(map(json.dumps, PIRATE)))
        DatasetLibrary(made).keep(tmp_path / "pirate.jsonl")
        yield made


def test_the_parts_are_those_of_the_tensors() -> None:
    """Weights and trained tensors are counted as they are held; a longer sequence takes more, 4 bits take less."""
    from zhilu.tuning.base_model import TARGETS, load_base
    from zhilu.tuning.config import Chosen
    from zhilu.tuning.recipes.sft import add_lora

    model = load_base(NANO)
    count = sum(p.numel() for p in model.parameters())
    chosen = Chosen(8, 16, 1e-3, 1, 64, 64, 1, {})
    lora, full = estimate(NANO, "lora", 8, 256), estimate(NANO, "full", 8, 256)
    assert lora.weights == full.weights == 4 * count
    assert full.trained == 12 * count
    adapted = add_lora(model, TuneConfig(model="zhilu-nano", data="-"), chosen, TARGETS)
    assert lora.trained == 16 * sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert estimate(NANO, "lora", 8, 512).sequence > 2 * lora.sequence
    assert estimate(NANO, "lora", 8, 256, rows=3).sequence == 3 * lora.sequence
    assert estimate(NANO, "qlora", 8, 256).weights < 0.6 * lora.weights


def test_the_nearest_is_shorter_before_it_is_another_method(monkeypatch: pytest.MonkeyPatch) -> None:
    from zhilu.tuning import estimate as module

    asked = estimate(NANO, "full", 8, 2048)
    short = estimate(NANO, "full", 8, 512)
    assert nearest_that_fits(NANO, asked, 8, short.total, longest=60) == short
    least = estimate(NANO, "lora", 8, 128).total
    found = nearest_that_fits(NANO, asked, 8, least, longest=60)
    assert found is not None and found.method == "lora" and found.total <= least
    assert nearest_that_fits(NANO, asked, 8, least, longest=1500) is None or can_be_4_bits(module)
    monkeypatch.setattr(module, "can_4_bits", lambda: False)
    assert nearest_that_fits(NANO, asked, 8, 100_000_000, longest=60) is None


def can_be_4_bits(module: Any) -> bool:
    return bool(module.can_4_bits())


def test_what_does_not_fit_is_refused_with_the_figures_and_the_nearest(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    from zhilu.tuning.job import submit_tuning

    full = estimate(NANO, "full", 32, 1024)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=full.total - 1))
    with pytest.raises(InputError, match="nearest that fits: full with sequences of 512") as raised:
        submit_tuning(context, TuneConfig(model="zhilu-nano", data="pirate", method="full", max_len=1024))
    assert raised.value.fix == "zhilu tune run --data pirate --model zhilu-nano --method full --max-len 512"
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    with pytest.raises(InputError, match="No method fits") as raised:
        submit_tuning(context, TuneConfig(model="zhilu-nano", data="pirate"))
    assert "0.0 GB are free" in raised.value.message.en
    # Of several processes each takes as much: fewer of them, not another model, is the way out.
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=3 * full.total))
    many = TuneConfig(model="zhilu-nano", data="pirate", method="full", max_len=1024, launch="ddp", nproc=1000)
    with pytest.raises(InputError, match=r"each of 1000 processes[^\0]*enough for 3 of them") as raised:
        submit_tuning(context, many.model_copy(update={"rank": None}))
    assert (raised.value.fix or "").endswith("--method full --launch ddp --nproc 3")
    assert not list(context.home.runs.glob("*"))


def test_a_reward_of_ones_own_and_several_processes_are_estimated(context: Context, tmp_path: Path) -> None:
    from zhilu.tuning.recipes.probe import TUNE_PROBE

    from .conftest import InProcess

    file = tmp_path / "mine.py"
    file.write_text("def reward(prompt, answer, wanted):\n    return float(len(answer) < 40)\n")
    config = TuneConfig(
        model="zhilu-nano", data="pirate", rank=4, objective="grpo", reward="file", max_answer=1, launch="one"
    )
    params = {"config": config.model_dump(), "reward_file": str(file)}
    planned = Planned.model_validate(TUNE_PROBE.run(InProcess(context), params))  # type: ignore[arg-type]
    assert planned.step_seconds > 0 and planned.processes == 1
    assert processes_here(config.model_copy(update={"launch": "ddp", "nproc": 3})) == 3
    assert processes_here(config.model_copy(update={"launch": "ray", "ray_address": "ray://head:10001"})) == 1


@pytest.mark.timeout(400)
def test_three_steps_are_measured_and_nothing_is_kept(context: Context) -> None:
    """In a process of its own; the formula is of the size of what that process really took."""
    from zhilu.tuning.recipes.probe import submit_probe

    config = TuneConfig(model="zhilu-nano", data="pirate", rank=8, batch_tokens=256)
    done = JobStore(context).wait(submit_probe(context, config).id, timeout=380)
    assert done.status == "done", JobStore(context).log_text(done.id)
    planned = Planned.model_validate(done.result)
    assert planned.step_seconds > 0
    assert planned.seconds == pytest.approx(planned.steps * planned.step_seconds)
    assert 0.4 < planned.memory.total / (planned.peak_mb * 1e6) < 2.5
    assert planned.fits is None
    assert not list(context.home.runs.glob("*")) and not list(context.home.adapters.glob("*"))
