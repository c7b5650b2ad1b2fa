"""The course of a run: steps, held-out figures, checkpoints, and its end. All processes of a run go through it together."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zhilu.errors import InputError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.jobs import JobContext
    from zhilu.tuning.config import Chosen, TuneConfig
    from zhilu.tuning.recipes.units import Unit
    from zhilu.tuning.runs import RunFolder

__all__ = ["begin", "train"]

_SAVE_SECONDS = 20.0  # between checkpoints
_SAVE_MARK = "_ZHILU_SAVE_SECONDS"  # in the environment, for tests that want one at every step


def begin(job: JobContext, run: RunFolder, training: Any, held_out: Sequence[Unit]) -> bool:
    """Take up the checkpoint, or measure the base; True where the run begins anew."""
    if training.resume():
        job.log(f"going on from step {training.steps}")
    if training.spread.leads:
        run.cut(training.steps if training.steps else -1)
    if training.steps:
        return False
    found = training.measure(held_out, job.check)
    if training.spread.leads:
        run.measure(step=0, **found)
    return True


def train(
    job: JobContext, run: RunFolder, training: Any, chosen: Chosen, held_out: Sequence[Unit], config: TuneConfig
) -> bool:
    """To the last step, or until the held-out loss no longer falls; True where that ended it."""
    stage = T("Training", "训练")
    recipe = config.model_dump()
    leads = training.spread.leads
    save_seconds = float(os.environ.get(_SAVE_MARK, _SAVE_SECONDS))
    while training.steps < chosen.steps and not (config.patience and training.waited >= config.patience):
        job.check()
        begun = time.monotonic()
        values = training.step()
        training.seconds += time.monotonic() - begun
        if not math.isfinite(values["loss"]):
            raise InputError(
                T(f"The loss is {values['loss']} at step {training.steps}: the learning rate is too high.",
                  f"第 {training.steps} 步的损失为 {values['loss']}：学习率太高。"),
                param="learning_rate",
                fix=f"zhilu tune run --data {config.data} --learning-rate {chosen.learning_rate / 4:.1g}",
            )  # fmt: skip
        speed = training.tokens / training.seconds
        left = (chosen.steps - training.steps) * training.seconds / training.steps
        measured = {"step": training.steps, **values, "tokens_per_second": speed}
        if training.steps % chosen.eval_every == 0 or training.steps == chosen.steps:
            measured |= training.measure(held_out, job.check)
            if training.judge(measured["held_out"]):
                _save_best(run, training)
        if leads:
            run.measure(**measured)
        detail = f"{training.steps}/{chosen.steps}, loss {values['loss']:.3f}, {speed:,.0f} tok/s, {left:,.0f} s"
        job.progress(0.02 + 0.93 * training.steps / chosen.steps, stage, detail)
        if training.spread.agree(time.monotonic() - training.saved) > save_seconds:
            training.save(recipe)
    training.save(recipe)
    stopped = bool(training.steps < chosen.steps)
    if stopped:
        job.log(f"the held-out loss was best at step {training.best_step}: ended at {training.steps}")
    return stopped


def _save_best(run: RunFolder, training: Any) -> None:
    from safetensors.torch import save_file

    weights = training.weights()
    if not training.spread.leads:
        return
    temporary = run.path / ".best.safetensors"
    save_file({name: tensor.contiguous().clone() for name, tensor in weights.items()}, temporary)
    temporary.replace(run.path / "best.safetensors")
