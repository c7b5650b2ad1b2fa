"""The job kind ``tune``: data to a served adapter. It can be killed at any moment and goes on with its last checkpoint."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.engine.model.config import read_config
from zhilu.errors import InputError
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.base_model import TARGETS, count_parameters, load_base, require_trainer
from zhilu.tuning.config import REWARDED, TuneConfig, choose, refuse_options, refuse_unused
from zhilu.tuning.data.check import DataReport
from zhilu.tuning.data.checking import check_dataset
from zhilu.tuning.estimate import refuse_memory
from zhilu.tuning.finish import keep_first_answers, keep_outcome, result_of
from zhilu.tuning.four_bit import load_base_in_4_bits, require_4_bits
from zhilu.tuning.launch import refuse_launch
from zhilu.tuning.launch.ranks import clear_ranks, run_ranks
from zhilu.tuning.recipes.rows import objective_of, read_units
from zhilu.tuning.rewards import FILE, REWARDS, RUN, keep_own, load_reward
from zhilu.tuning.runs import RunInfo, RunLibrary

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["TUNE", "checked", "submit_tuning"]

_LEAST_ROWS = 8


def submit_tuning(
    context: Context, config: TuneConfig, name: str | None = None, reward_file: Path | None = None
) -> tuple[RunInfo, Job]:
    """Check the data, then start the run as a job.

    Args:
        reward_file: a person's own reward function, copied into the run (``config.reward`` is ``file`` then).

    Raises:
        MissingComponentError, NotFoundError, InputError: see ``checked``.
        ConflictError: the name is taken.
        InputError: the run does not fit into memory.
    """
    config, report = checked(context, config, reward_file)
    folder = ModelStore(context).path_of(config.model)
    assert report.tokens is not None
    rest = (report.tokens.total - report.tokens.most) // max(report.usable - 1, 1)
    sizes = [report.tokens.most, *[rest] * (report.usable - 1)]
    chosen = choose(config, count_parameters(folder), sizes, read_config(folder).max_positions)
    refuse_memory(folder, config, chosen, report.tokens.most)
    library = RunLibrary(context)
    name = name or _free_name(context, config)
    run = library.add(RunInfo(name=name, created_at=datetime.now(timezone.utc), config=config))
    if reward_file is not None:
        keep_own(reward_file, run.path)
    job = JobStore(context).submit(
        TUNE, {"run": name}, T(f"Tune {config.model} on {config.data}", f"用 {config.data} 微调 {config.model}")
    )
    info = run.info().model_copy(update={"job_id": job.id})
    run.write(info)
    return info, job


def checked(context: Context, config: TuneConfig, reward_file: Path | None = None) -> tuple[TuneConfig, DataReport]:
    """The configuration with its objective, and the report on its data.

    Raises:
        MissingComponentError: what trains, or what holds a base or moments in few bits, is not installed.
        NotFoundError: no such model or dataset.
        InputError: options do not go together; the data has errors, or is too little; objective, method and reward do not go together.
    """
    refuse_options(config)
    require_trainer()
    if config.method == "qlora":
        require_4_bits()
    _require_optimizer(config)
    report = check_dataset(context, config.data, model=config.model, held_out=config.held_out, max_len=config.max_len)
    if not report.ok:
        worst = next(finding for finding in report.findings if finding.severity == "error")
        raise InputError(
            T(
                f"{config.data} is not ready: {worst.title.en} (line {worst.lines[0]}): {worst.message.en}",
                f"{config.data} 还不能训练：{worst.title.zh}（第 {worst.lines[0]} 行）：{worst.message.zh}",
            ),
            param="data",
            code="data_not_ready",
            fix=f"zhilu data check {config.data}",
        )
    config = config.model_copy(update={"objective": objective_of(config, report.kind or "")})
    refuse_unused(config)
    refuse_launch(config)
    _refuse_reward(context, config, reward_file)
    if report.usable < _LEAST_ROWS:
        raise InputError(
            T(
                f"{config.data} has {report.usable} rows; {_LEAST_ROWS} are the least.",
                f"{config.data} 只有 {report.usable} 行；至少 {_LEAST_ROWS} 行。",
            ),
            param="data",
        )  # fmt: skip
    return config, report


def _require_optimizer(config: TuneConfig) -> None:
    from zhilu.tuning.recipes.optimizers import require_optimizer

    require_optimizer(config.optimizer)


def _refuse_reward(context: Context, config: TuneConfig, file: Path | None) -> None:
    """
    Raises:
        InputError: an objective that needs a reward has none, or cannot be had with this method; or the reward is unknown.
    """
    if config.objective not in (*REWARDED, "reward"):
        return
    if config.method == "full":
        raise InputError(
            T(f"{config.objective} trains an adapter: the base without it is what the model is held to.",
              f"{config.objective} 训练适配器：去掉适配器的基座就是需要保持接近的参照。"),
            param="method",
            fix=f"zhilu tune run --data {config.data} --objective {config.objective} --method lora",
        )  # fmt: skip
    if config.objective == "reward":
        return
    if file is not None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            keep_own(file, Path(folder))
            load_reward(FILE, Path(folder))
    elif config.reward in (None, FILE):
        raise InputError(
            T(f"{config.objective} needs a reward: {', '.join(REWARDS)}, or a file on the command line.",
              f"{config.objective} 需要奖励：{'、'.join(REWARDS)}，或在命令行给出文件。"),
            param="reward",
            fix=f"zhilu tune run --data {config.data} --objective {config.objective} --reward number",
        )  # fmt: skip
    elif config.reward.startswith(RUN):
        from zhilu.tuning.recipes.reward import refuse_other

        refuse_other(RunLibrary(context).get(config.reward.removeprefix(RUN)).info(), config.model)
    else:
        load_reward(config.reward, Path())


def run_tuning(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    # Threads that wait for each other must sleep: spinning, two of them take a machine with other work to a standstill
    # (measured here at load 12: 4 times slower). Read by the OpenMP library when PyTorch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from zhilu.tuning.recipes import make_run, reward_of
    from zhilu.tuning.recipes.arithmetic import use_fastest_float32, with_precision
    from zhilu.tuning.recipes.course import begin, train
    from zhilu.tuning.recipes.sft import add_lora

    run = RunLibrary(job.context).get(params["run"])
    info = run.info()
    if info.outcome is not None:  # killed after its last write
        return result_of(info)
    job.progress(0.0, T("Reading the data", "读取数据"))
    units, held_out, preflight, config = read_units(job.context, info.config)
    info.config = config
    folder = ModelStore(job.context).path_of(config.model)
    chosen = choose(config, count_parameters(folder), [unit.size for unit in units], preflight.context)
    job.log(use_fastest_float32().en)
    chosen = with_precision(config, chosen, info.chosen)
    for key, reason in chosen.reasons.items():
        job.log(f"{key} = {getattr(chosen, key)}: {reason.en}")
    info.chosen = {key: getattr(chosen, key) for key in chosen.reasons}
    info.reasons = chosen.reasons
    run.write(info)
    ended = None
    if config.launch != "one":  # before the model is loaded here: it is needed in this process only at the end
        ended = run_ranks(job, run, config)
    job.progress(0.01 if ended is None else 0.95, T("Loading the model", "加载模型"), config.model)
    model = load_base_in_4_bits(folder, chosen.precision) if config.method == "qlora" else load_base(folder)
    if config.method != "full":
        model = add_lora(model, config, chosen, TARGETS)
    reward = reward_of(job.context, config, run.path)
    training = make_run(model, units, held_out, config, chosen, run.checkpoint, preflight, reward)
    if ended is not None:
        for name, value in ended.counters.items():
            setattr(training, name, value)
        training.peak_mb = ended.peak_mb
        if config.method != "qlora":
            keep_first_answers(run, model, held_out, preflight)
        done = keep_outcome(job, run, training, folder, len(units), held_out, preflight, chosen, ended.stopped_early)
        clear_ranks(run)
        return done
    # One on a base in 4 bits is asked as it is served, when the run has ended.
    if begin(job, run, training, held_out) and config.method != "qlora":
        keep_first_answers(run, model, held_out, preflight)
    stopped_early = train(job, run, training, chosen, held_out, config)
    return keep_outcome(job, run, training, folder, len(units), held_out, preflight, chosen, stopped_early)


TUNE = JobKind(name="tune", run=run_tuning, resumable=True)


def _free_name(context: Context, config: TuneConfig) -> str:
    from zhilu.models.store import check_name

    base = f"{config.model}-{config.data}".encode("ascii", "ignore").decode().strip("-._")[:90] or "run"
    taken = {path.name for home in (context.home.runs, context.home.adapters) for path in home.glob("*")}
    return check_name(next(name for n in range(1, 10_000) if (name := base if n == 1 else f"{base}-{n}") not in taken))
