"""``python -m zhilu.tuning.launch.ray RUN``: a run's processes as workers of Ray Train, on the Ray address of the configuration.

Workers on other machines read the same data home: it must lie where all of them see it.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from zhilu.errors import UnreachableError
from zhilu.messages import T
from zhilu.tuning.launch.rank import _end_with_parent, note_error, train_rank

__all__ = ["main", "refuse_silent"]

_WAIT = 10.0  # seconds


def _work(params: dict[str, Any]) -> None:
    """What a worker does; Ray has set up its process group."""
    import ray.train

    os.environ["ZHILU_HOME"] = params["home"]
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from zhilu.context import open_context
    from zhilu.tuning.runs import RunLibrary

    context = open_context()
    run = RunLibrary(context).get(params["run"])
    rank = ray.train.get_context().get_world_rank()
    try:
        train_rank(context, run)
    except BaseException as error:
        note_error(run.path / "ranks", rank, error)
        raise
    finally:
        context.close()


def main(argv: list[str]) -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    from zhilu.context import open_context
    from zhilu.tuning.runs import RunLibrary

    context = open_context()
    run = RunLibrary(context).get(argv[0])
    config = run.info().config
    count = config.num_processes
    try:
        if config.ray_address:
            refuse_silent(config.ray_address)
            ray.init(address=config.ray_address, log_to_driver=True)
        else:
            ray.init(num_cpus=count, include_dashboard=False, log_to_driver=True)
    except Exception as error:
        note_error(run.path / "ranks", 0, error)
        raise
    trainer = TorchTrainer(
        _work,
        train_loop_config={"home": str(context.home.path), "run": argv[0]},
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=count, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(
            name=argv[0], storage_path=str(run.path / "ray"), failure_config=FailureConfig(max_failures=0)
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        _note_dead(run.path / "ranks", error)
        raise
    finally:
        ray.shutdown()
    return 0


def refuse_silent(address: str) -> None:
    """Ray itself tries for minutes, and says nothing meanwhile.

    Raises:
        UnreachableError: nothing listens at ``address``.
    """
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _WAIT).close()
    except (OSError, OverflowError) as error:
        raise UnreachableError(
            T(f"No Ray cluster answers at {address}: {error}.", f"{address} 没有 Ray 集群应答：{error}。"),
            param="ray_address",
            fix=f"ray status --address {address}",
        ) from error


def _note_dead(folder: Path, error: Exception) -> None:
    """Which worker it was, where that one could not write it down itself."""
    if any(folder.glob("*.error.json")):
        return
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    found = re.search(r"rank (\d{1,6})", str(error), re.IGNORECASE)
    rank = min(failures) if failures else int(found.group(1)) if found else 0
    note_error(folder, rank, failures.get(rank, error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
