"""The kind of job ``tune-probe``: three steps of a run that is not kept, in a process of its own, to know what it will take."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.base_model import TARGETS, count_parameters, load_base
from zhilu.tuning.config import TuneConfig, choose
from zhilu.tuning.estimate import Planned, at_once, estimate, nearest_that_fits, processes_here
from zhilu.tuning.finish import peak_mb
from zhilu.tuning.four_bit import load_base_in_4_bits
from zhilu.tuning.job import checked
from zhilu.tuning.recipes.rows import read_units
from zhilu.tuning.rewards import keep_own

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["TUNE_PROBE", "submit_probe"]

_STEPS = 3


def submit_probe(context: Context, config: TuneConfig, reward_file: Path | None = None) -> Job:
    """See ``job.submit_tuning`` for errors, but that a run which does not fit is estimated all the same, without its steps."""
    config, _ = checked(context, config, reward_file)
    title = T(
        f"Estimate {config.method} of {config.model} on {config.data}",
        f"估算用 {config.data} 微调 {config.model}（{config.method}）",
    )
    own = str(reward_file.absolute()) if reward_file else None
    return JobStore(context).submit(TUNE_PROBE, {"config": config.model_dump(), "reward_file": own}, title)


def _probe(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    import psutil

    from zhilu.tuning.recipes import make_run, reward_of
    from zhilu.tuning.recipes.arithmetic import use_fastest_float32, with_precision
    from zhilu.tuning.recipes.sft import add_lora

    job.progress(0.0, T("Reading the data", "读取数据"))
    units, held_out, preflight, config = read_units(job.context, TuneConfig(**params["config"]))
    folder = ModelStore(job.context).path_of(config.model)
    sizes = [unit.size for unit in units]
    chosen = choose(config, count_parameters(folder), sizes, preflight.context)
    rows = at_once(config, chosen, max(sizes))
    memory = estimate(
        folder, config.method, chosen.rank, chosen.max_len, rows, optimizer=config.optimizer, checkpointing=config.checkpointing
    )  # fmt: skip
    free = psutil.virtual_memory().available // processes_here(config)
    planned = Planned(
        memory=memory, free=free, steps=chosen.steps, tokens=chosen.steps * chosen.batch_tokens, step_seconds=0.0, seconds=0.0, peak_mb=0,
        processes=processes_here(config),
    )  # fmt: skip
    if memory.total > free:
        planned.fits = nearest_that_fits(folder, memory, chosen.rank, free, max(sizes), config.optimizer)
        return planned.model_dump(mode="json")
    job.progress(0.1, T("Loading the model", "加载模型"), config.model)
    use_fastest_float32()
    chosen = with_precision(config, chosen, {})
    model = load_base_in_4_bits(folder, chosen.precision) if config.method == "qlora" else load_base(folder)
    if config.method != "full":
        model = add_lora(model, config, chosen, TARGETS)
    with tempfile.TemporaryDirectory(dir=job.context.home.run) as work:
        if params.get("reward_file"):
            keep_own(Path(params["reward_file"]), Path(work))
        reward = reward_of(job.context, config, Path(work))
        run = make_run(model, units, held_out[:1], config, chosen, Path(work) / "probe.pt", preflight, reward)
        taken = []
        for step in range(_STEPS):
            job.check()
            job.progress(0.3 + 0.7 * step / _STEPS, T("Measuring", "测量"), f"{step + 1}/{_STEPS}")
            begun = time.monotonic()
            run.step()
            taken.append(time.monotonic() - begun)
    planned.step_seconds = sorted(taken)[len(taken) // 2]  # the first one also warms up
    planned.seconds, planned.peak_mb = planned.step_seconds * chosen.steps, peak_mb()
    return planned.model_dump(mode="json")


TUNE_PROBE = JobKind(name="tune-probe", run=_probe)
