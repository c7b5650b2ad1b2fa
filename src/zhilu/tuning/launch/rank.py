"""``python -m zhilu.tuning.launch.rank RUN``: one process of a run, started with torchrun's variables (RANK, WORLD_SIZE, …).

It tells of itself by files in ``runs/RUN/ranks``: the first process of its progress, any of an error. It ends with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import ZhiluError, error_body
from zhilu.home import atomic_write
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.tuning.launch.spread import Spread
    from zhilu.tuning.runs import RunFolder

__all__ = ["DONE", "SAID", "RankJob", "main", "make_spread", "note_error", "train_rank"]

SAID, DONE = "said.jsonl", "done.json"


class RankJob:
    """The job as one of its processes sees it: what the first says is written down for the job's own process to pass on."""

    id, attempt = "rank", 1

    def __init__(self, context: Context, folder: Path, *, leads: bool) -> None:
        self.context, self.said, self.leads = context, folder / SAID, leads

    def progress(self, fraction: float, stage: T, detail: str = "") -> None:
        self._say({"progress": fraction, "stage": stage.data(), "detail": detail})

    def log(self, text: str) -> None:
        self._say({"log": text})

    def waiting(self) -> nullcontext[None]:
        return nullcontext()

    def check(self) -> None:
        """A cancelled run's processes are ended from outside."""

    def _say(self, what: dict[str, Any]) -> None:
        if self.leads:
            with self.said.open("a", encoding="utf-8") as out:
                out.write(json.dumps(what, ensure_ascii=False) + "\n")


def make_spread(launch: str) -> Spread:
    from zhilu.tuning.launch.many import Averaged
    from zhilu.tuning.launch.sharded import Sharded
    from zhilu.tuning.launch.zero import Zero

    if launch.startswith("zero"):
        return Zero(int(launch[-1]))
    return Sharded() if launch == "fsdp2" else Averaged()


def train_rank(context: Context, run: RunFolder) -> None:
    """This process's part of the whole training, from the data to the best weights."""
    import torch

    from zhilu.models import ModelStore
    from zhilu.tuning.base_model import TARGETS, load_base
    from zhilu.tuning.config import Chosen
    from zhilu.tuning.finish import peak_mb
    from zhilu.tuning.four_bit import load_base_in_4_bits
    from zhilu.tuning.recipes import make_run
    from zhilu.tuning.recipes.arithmetic import use_fastest_float32
    from zhilu.tuning.recipes.course import begin, train
    from zhilu.tuning.recipes.rows import read_units
    from zhilu.tuning.recipes.sft import add_lora

    # The processes of a machine share its cores.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    info = run.info()
    units, held_out, preflight, config = read_units(context, info.config)
    chosen = Chosen(**info.chosen, reasons=info.reasons)
    folder = ModelStore(context).path_of(config.model)
    spread = make_spread(config.launch)
    use_fastest_float32()
    model = load_base_in_4_bits(folder, chosen.precision) if config.method == "qlora" else load_base(folder)
    if config.method != "full":
        model = add_lora(model, config, chosen, TARGETS)
    spread.shard(model)
    training = make_run(model, units, held_out, config, chosen, run.checkpoint, preflight, spread=spread)
    spread.attach(training)
    job: Any = RankJob(context, run.path / "ranks", leads=spread.leads)
    begin(job, run, training, held_out)
    stopped = train(job, run, training, chosen, held_out, config)
    if spread.leads:
        done = {name: getattr(training, name) for name in training.counters}
        atomic_write(
            run.path / "ranks" / DONE, json.dumps({"counters": done, "stopped": stopped, "peak_mb": peak_mb()})
        )


def note_error(folder: Path, rank: int, error: BaseException) -> None:
    """Write down why this process ends, before the others notice that it is gone."""
    found: dict[str, Any] = {"text": "".join(traceback.format_exception(error))}
    if isinstance(error, ZhiluError):
        found |= error_body(error)
    atomic_write(folder / f"{rank}.error.json", json.dumps(found, ensure_ascii=False))


def main(argv: list[str]) -> int:
    from zhilu.context import open_context
    from zhilu.tuning.runs import RunLibrary

    threading.Thread(target=_end_with_parent, daemon=True).start()
    context = open_context()
    run = RunLibrary(context).get(argv[0])
    try:
        train_rank(context, run)
    except BaseException as error:
        note_error(run.path / "ranks", int(os.environ["RANK"]), error)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # not through the libraries' own ends, which wait for the other processes
    from torch import distributed

    distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # all is written; threads of the libraries that still run abort an interpreter that ends beside them


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
