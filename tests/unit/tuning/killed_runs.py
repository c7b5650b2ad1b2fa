"""A program for ``test_killed.py``: tunings that are killed at random moments, and what is on the disk after each kill.

    python killed_runs.py HOME MODEL KILLS SEED

PyTorch and Transformers are imported once, and each attempt is forked from that: an attempt begins in milliseconds, so that a kill hits the
run and not the imports. Prints one JSON line: ``kills`` with the place where each hit, ``broken`` (what was half written), ``runs``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import peft  # noqa: F401  (imported before the forks)
import torch
import transformers  # noqa: F401
from safetensors.torch import load_file

from zhilu.context import open_context
from zhilu.tuning.config import TuneConfig
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.job import run_tuning
from zhilu.tuning.runs import RunInfo, RunLibrary

ROWS = [{"prompt": f"What is {i} plus {i + 1}?", "completion": f"Arr, {2 * i + 1} it be!"} for i in range(24)]


class Job:
    id, attempt = "test", 1

    def __init__(self, context: Any) -> None:
        self.context = context

    def progress(self, fraction: float, stage: Any, detail: str = "") -> None: ...

    def log(self, text: str) -> None: ...

    def check(self) -> None: ...


def attempt(home: Path, name: str) -> int:
    """A child that goes on with the run; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        torch.set_num_threads(1)
        job: Any = Job(open_context({"home": str(home)}))
        run_tuning(job, {"run": name})
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(code)


def begin(home: Path, model: str, name: str) -> None:
    context = open_context({"home": str(home)})
    config = TuneConfig(model=model, data="pirate", rank=4, epochs=10, batch_tokens=96, dropout=0.1, patience=0)
    RunLibrary(context).add(RunInfo(name=name, created_at=datetime.now(timezone.utc), config=config))
    context.close()


def whole(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def broken(home: Path, name: str) -> list[str]:
    """Files that cannot be read as what they are; those under a name that begins with a dot are nobody's yet."""
    found = []
    run = home / "runs" / name
    readers: list[tuple[Path, Any]] = [(run / "run.json", lambda path: RunInfo.model_validate_json(path.read_bytes()))]
    readers += [(path, load_file) for path in run.glob("best.safetensors")]
    readers += [(path, lambda path: torch.load(path, weights_only=True)) for path in run.glob("checkpoint.pt")]
    for adapter in (home / "adapters").glob("[!.]*"):
        readers += [(adapter / "adapter_config.json", lambda path: json.loads(path.read_text())["r"])]
        readers += [(adapter / "adapter_model.safetensors", load_file)]
        readers += [(adapter / "zhilu-adapter.json", lambda path: json.loads(path.read_text())["base_sha256"])]
    for path, read in readers:
        found += _fault(path, read)
    return found


def _fault(path: Path, read: Any) -> list[str]:
    try:
        read(path)
    except Exception as error:
        return [f"{path.name}: {error}"]
    return []


def place(home: Path, name: str) -> str:
    """How far the run was: nothing measured yet, a step, or its end."""
    metrics = home / "runs" / name / "metrics.jsonl"
    lines = metrics.read_text().count("\n") if metrics.is_file() else 0
    return (
        "end"
        if (home / "adapters" / f".incoming-{name}").exists() or (home / "adapters" / name).exists()
        else str(lines)
    )


def outcome(home: Path, name: str) -> dict[str, Any]:
    folder = home / "runs" / name
    measured = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    weights = load_file(home / "adapters" / name / "adapter_model.safetensors")
    return {
        "losses": [values["loss"] for values in measured if "loss" in values],
        "steps": [values["step"] for values in measured],
        "held_out": RunInfo.model_validate_json((folder / "run.json").read_bytes()).outcome.held_out_after,  # type: ignore[union-attr]
        "weights": {name: tensor.double().sum().item() for name, tensor in weights.items()},
    }


def main(home: Path, model: str, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    file = home.parent / "pirate.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)))
    context = open_context({"home": str(home)})
    DatasetLibrary(context).keep(file)
    context.close()
    begin(home, model, "whole")
    begun = time.monotonic()
    assert whole(attempt(home, "whole"))
    length = time.monotonic() - begun
    told: dict[str, Any] = {"seconds": length, "kills": [], "broken": [], "runs": {"whole": outcome(home, "whole")}}
    number = 0
    while len(told["kills"]) < kills:
        name, number = f"killed-{number}", number + 1
        begin(home, model, name)
        while True:
            pid = attempt(home, name)
            if len(told["kills"]) == kills:
                assert whole(pid)
                break
            until = time.monotonic() + draw.uniform(0.05, 1.1) * length
            while time.monotonic() < until and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                time.sleep(0.002)
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                assert whole(pid)
                break
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            told["kills"].append(place(home, name))
            told["broken"] += broken(home, name)
        told["runs"][name] = outcome(home, name)
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
